import { expect, test } from "vitest";
import { environmentsPage } from "../../src/lab/environments/page.ts";
import { environments } from "../../src/lab/environments/registry.ts";

test("the page of the environments is current (npx vitest run tests/lab/environments-page.test.ts -u writes it)", async () => {
  await expect(environmentsPage()).toMatchFileSnapshot("../../docs/environments.md");
});

test("the page names every environment and every parameter", () => {
  const page = environmentsPage();
  for (const [id, { params }] of Object.entries(environments)) {
    const own = page.slice(page.indexOf(`## \`${id}\``)).split("\n## ")[0];
    for (const name of Object.keys(params.shape)) expect(own, `${id} ${name}`).toContain(`| \`${name}\` |`);
  }
});
