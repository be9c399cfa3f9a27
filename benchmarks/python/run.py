#!/usr/bin/env python3
"""Times the padded torch estimators of estimators.py and prints one JSON line per method.

    python3 run.py --threads 2 --methods gae,grpo --repeat 7 --data FILE [--dump]

FILE.json holds {"rollouts": n, "lengths": [...], "groups": [...], "rewards": [...], "dtype": "float32"},
FILE.value.bin the float32 values and FILE.mask.bin the uint8 mask of all rollouts one after the other, little endian.
Without --data a random batch of the asked size is made. Reading and padding are not timed. --dump writes
FILE.METHOD.adv.bin: float32 advantages, one rollout after the other, without padding.

Medians mean something on a quiet machine only: when another process takes a core, each two-thread torch operation
may wait a scheduler slice (8 ms instead of 0.2); seconds_min far below seconds_median tells so.

Exit codes: 0; 1 a result is not finite; 2 bad arguments or data; 3 torch is not installed.
"""

import argparse
import json
import statistics
import sys
import time
from array import array
from pathlib import Path

try:
    import torch
except ImportError as error:
    print(f"torch is not available ({error}); on Debian: apt install python3-torch", file=sys.stderr)
    sys.exit(3)

import estimators

METHODS = {
    "gae": lambda b: estimators.gae(b["rewards"], b["values"], b["mask"])[0],
    "gae-tuned": lambda b: estimators.gae_tuned(b["rewards"], b["values"], b["mask"])[0],
    "reinforce-pp": lambda b: estimators.reinforce_pp(b["rewards"], b["mask"])[0],
    "reinforce-pp-tuned": lambda b: estimators.reinforce_pp_tuned(b["rewards"], b["mask"])[0],
    "grpo": lambda b: estimators.grpo(b["rewards"], b["mask"], b["uid"]),
    "rloo": lambda b: estimators.rloo(b["rewards"], b["mask"], b["uid"]),
}


def read_jagged(stem):
    """Lengths, groups, outcome rewards, and the jagged value and mask columns of a data file."""
    info = json.loads(Path(f"{stem}.json").read_text())
    if info.get("dtype", "float32") != "float32":
        raise ValueError(f"{stem}.json: dtype is {info['dtype']}, expected float32")
    if not all(len(info[k]) == info["rollouts"] for k in ("lengths", "groups", "rewards")):
        raise ValueError(f"{stem}.json: lengths, groups and rewards must each have {info['rollouts']} entries")
    jagged = {}
    for name, dtype, size in (("value", torch.float32, 4), ("mask", torch.uint8, 1)):
        raw = bytearray(Path(f"{stem}.{name}.bin").read_bytes())
        if len(raw) != size * sum(info["lengths"]):
            raise ValueError(f"{stem}.{name}.bin: {len(raw)} bytes, expected {size * sum(info['lengths'])}")
        jagged[name] = torch.frombuffer(raw, dtype=dtype)
    return info["lengths"], info["groups"], info["rewards"], jagged["value"], jagged["mask"]


def random_jagged(args):
    """The same, made up: 0/1 rewards, groups in a row, and observations of 50 tokens after every 200 of the policy."""
    torch.manual_seed(args.seed)
    lengths = torch.randint(args.min_len, args.max_len + 1, (args.rollouts,)).tolist()
    groups = [i // args.group for i in range(args.rollouts)]
    rewards = torch.randint(0, 2, (args.rollouts,)).tolist()
    mask = torch.cat([(torch.arange(n) % 250 < 200).to(torch.uint8) for n in lengths])
    return lengths, groups, rewards, torch.randn(sum(lengths)), mask


def pad(lengths, groups, rewards, value, mask):
    """Right-padded (B, T) tensors; each outcome reward goes to the last policy token of its row."""
    position = torch.arange(max(lengths))
    real = position < torch.tensor(lengths)[:, None]
    batch = {"real": real, "uid": torch.tensor(groups)}
    for name, column in (("values", value), ("mask", mask.float())):
        batch[name] = torch.zeros(real.shape)
        batch[name][real] = column
    last = (batch["mask"] * (position + 1)).argmax(-1)
    batch["rewards"] = torch.zeros(real.shape)
    batch["rewards"][torch.arange(len(lengths)), last] = torch.tensor(rewards, dtype=torch.float32)
    batch["rewards"] *= batch["mask"]
    return batch


def measure(method, batch, warmup, repeat):
    """The advantages and the seconds of each timed run."""
    for _ in range(warmup):
        METHODS[method](batch)
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        advantages = METHODS[method](batch)
        seconds.append(time.perf_counter() - start)
    return advantages, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rollouts", type=int, default=256, help="without --data")
    parser.add_argument("--min-len", type=int, default=200, help="without --data")
    parser.add_argument("--max-len", type=int, default=4096, help="without --data")
    parser.add_argument("--group", type=int, default=8, help="rollouts of one prompt, without --data")
    parser.add_argument("--seed", type=int, default=0, help="without --data")
    parser.add_argument("--data", help="stem of the data files, with or without .json")
    parser.add_argument("--methods", default="gae,reinforce-pp,grpo,rloo", help=", ".join(METHODS))
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--dump", action="store_true", help="write FILE.METHOD.adv.bin (needs --data)")
    args = parser.parse_args()
    methods = args.methods.split(",")
    unknown = [m for m in methods if m not in METHODS]
    if unknown:
        parser.error(f"unknown method {unknown[0]}; known: {', '.join(METHODS)}")
    if args.dump and not args.data:
        parser.error("--dump needs --data")
    if min(args.threads, args.repeat, args.rollouts, args.group, args.min_len) < 1 or args.max_len < args.min_len:
        parser.error("--threads, --repeat, --rollouts, --group and --min-len must be >= 1, --max-len >= --min-len")

    torch.set_num_threads(args.threads)
    stem = args.data[:-5] if args.data and args.data.endswith(".json") else args.data
    try:
        jagged = read_jagged(stem) if stem else random_jagged(args)
        batch = pad(*jagged)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        print(f"cannot read the data: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    tokens = sum(jagged[0])

    for method in methods:
        advantages, seconds = measure(method, batch, args.warmup, args.repeat)
        if not torch.isfinite(advantages).all():
            print(f"{method}: an advantage is not finite", file=sys.stderr)
            return 1
        flat = advantages[batch["real"]]
        masked = (advantages * batch["mask"]).double()
        median = statistics.median(seconds)
        line = {
            "method": method,
            "tokens": tokens,
            "padded_tokens": advantages.numel(),
            "threads": args.threads,
            "torch": torch.__version__,
            "seconds_min": min(seconds),
            "seconds_median": median,
            "tokens_per_second": tokens / median,
            "checksum": {
                "sum": masked.sum().item(),
                "sum_abs": masked.abs().sum().item(),
                "first": flat[: min(8, jagged[0][0])].tolist(),
            },
        }
        print(json.dumps(line), flush=True)
        if args.dump:
            Path(f"{stem}.{method}.adv.bin").write_bytes(array("f", flat.tolist()).tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
