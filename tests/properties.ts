import fc from "fast-check";

/** The same cases in every run, so that a failure is the fault of a change; PROPERTY_SEED=$RANDOM looks further. */
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env.PROPERTY_SEED ?? 20260901) });
