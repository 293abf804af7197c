/**
 * The repository itself, where nothing has been downloaded yet: its first command, and programs that map the package by
 * a path.
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { temporaryPath, test } from "../_helpers.ts";
import { assertPrints, assertWithoutCluster, environment, Project, runDeno } from "./_project.ts";
import { Registry } from "./_registry.ts";

const ROOT = new URL("../../", import.meta.url);

/** What Deno says of `-P`. */
const PREVIEW = "Warning Permissions in the config file is an experimental feature and may change in the future.\n";

test("README's first command for a clone prints flags, and installs nothing of the cluster's", async () => {
  const readme = Deno.readTextFileSync(new URL("README.md", ROOT)).replaceAll("\r\n", "\n");
  const command = readme.split("\n## Working on it\n")[1].split("\n```sh\n")[1].split("\n")[0];
  assertEquals(command, "deno run -P examples/flags.ts");
  const cache = temporaryPath("cache");
  const { code, stdout, stderr } = await runDeno(command.split(" ").slice(1), { cwd: ROOT, env: environment(cache) });
  assertEquals([code, stderr], [0, PREVIEW], stdout);
  assertMatch(stdout, /^([A-Z]{2} ){20}\n20 flags downloaded in \d+\.\d\ds\n$/);
  assertWithoutCluster(cache);
});

for (
  const [how, config] of Object.entries({
    "an import map": { imports: { "@concurrent/futures": new URL("mod.ts", ROOT).href } },
    "links": { imports: { "@concurrent/futures": "jsr:@concurrent/futures@*" }, links: [ROOT.href] },
  })
) {
  test(`a program that maps the package by ${how} gets no warning, and not our stand-in for @std`, async () => {
    await using registry = await Registry.start();
    const project = new Project(registry, ["pools.ts", "tasks.ts"]);
    project.write("deno.json", JSON.stringify(config));
    const run = await project.deno(["run", "--no-prompt", "--allow-read", "pools.ts", "threads", "block"]);
    assertPrints(run, "64", "4", "24", "24", "1,4,9");
    project.assertWithoutCluster();
    project.write("std.ts", 'import "jsr:@std/assert@^1";\n');
    const std = await project.deno(["run", "--no-prompt", "std.ts"]);
    assertEquals(std.code, 1, std.stdout);
    assertStringIncludes(std.stderr, "JSR package not found: @std/assert");
  });
}
