/** What a user does first: adds the package and runs a program, where nothing has been downloaded yet. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "../_helpers.ts";
import { blockOf } from "../_projects.ts";
import { assertPrints, Project } from "./_project.ts";
import { Registry } from "./_registry.ts";

const README = Deno.readTextFileSync(new URL("../../README.md", import.meta.url));

test("README's first program runs after `deno add`, from an empty cache, with the permission it names", async () => {
  await using registry = await Registry.start();
  const user = new Project(registry);
  Deno.removeSync(`${user.folder}/deno.json`);
  const added = await user.deno(["add", "jsr:@concurrent/futures"]);
  assertEquals(added.code, 0, added.stderr);
  assertMatch(
    Deno.readTextFileSync(`${user.folder}/deno.json`),
    /"@concurrent\/futures": "jsr:@concurrent\/futures@\^/,
  );

  const colleague = new Project(registry);
  colleague.write("deno.json", Deno.readTextFileSync(`${user.folder}/deno.json`));
  colleague.write("main.ts", blockOf(README, "countPrimes"));
  const { code, stdout, stderr } = await colleague.deno(["run", "--no-prompt", "--allow-read", "main.ts"]);
  assertEquals([code, stdout, stderr], [0, "[ 9592, 17984 ]\n25997\n", ""]);
});

test("after `deno add` npm-lazy-caching installs no package of clusters, as their page says", async () => {
  await using registry = await Registry.start();
  const user = new Project(registry);
  user.write("deno.json", '{ "unstable": ["npm-lazy-caching"] }');
  const { code, stderr } = await user.deno(["add", "jsr:@concurrent/futures"]);
  assertEquals(code, 0, stderr);

  const colleague = new Project(registry, ["pools.ts", "tasks.ts"]);
  for (const name of ["deno.json", "deno.lock"]) {
    colleague.write(name, Deno.readTextFileSync(`${user.folder}/${name}`));
  }
  assertStringIncludes(Deno.readTextFileSync(`${colleague.folder}/deno.lock`), "npm:bullmq");
  const run = await colleague.deno(["run", "--no-prompt", "--allow-read", "pools.ts", "threads", "block"]);
  assertPrints(run, "64", "4", "24", "24", "1,4,9");
  colleague.assertWithoutCluster();
});

for (const kind of ["threads", "processes", "none"]) {
  for (const how of ["block", "await"]) {
    const name = kind === "none" ? "processes without permissions" : kind;
    test(`the first results come from ${name}, with an empty cache: ${how}`, async () => {
      await using registry = await Registry.start();
      const project = new Project(registry, ["pools.ts", "tasks.ts"]);
      const flags = ["--no-prompt", "--allow-read", ...(kind === "threads" ? [] : ["--allow-run"])];
      assertPrints(await project.deno(["run", ...flags, "pools.ts", kind, how]), "64", "4", "24", "24", "1,4,9");
      project.assertWithoutCluster();
    });
  }
}

for (const how of ["block", "await"]) {
  test(`a thread gets a lock and a queue as arguments, with an empty cache: ${how}`, async () => {
    await using registry = await Registry.start();
    const project = new Project(registry, ["sync.ts"]);
    const run = await project.deno(["run", "--no-prompt", "--allow-read", "sync.ts", how]);
    assertPrints(run, "1", "2", "3", "false");
    project.assertWithoutCluster();
  });

  test(`parallel(), parallelize(), invokeAll(), invokeAny() run with an empty cache: ${how}`, async () => {
    await using registry = await Registry.start();
    const project = new Project(registry, ["parallel.ts", "tasks.ts"]);
    const run = await project.deno(["run", "--no-prompt", "--allow-read", "parallel.ts", how]);
    assertPrints(run, "24", "64", "3", "6,4", "1,4,9");
    assertEquals(project.packages(), [], "it needs no package of npm");
  });

  test(`progress() runs with an empty cache, and only it downloads what draws the bar: ${how}`, async () => {
    await using registry = await Registry.start();
    const project = new Project(registry, ["progress.ts", "pools.ts", "tasks.ts"]);
    const flags = ["--no-prompt", "--allow-read"];
    assertPrints(await project.deno(["run", ...flags, "pools.ts", "threads", how]), "64", "4", "24", "24", "1,4,9");
    assertEquals(project.packages(), []);
    assertPrints(await project.deno(["run", ...flags, "progress.ts", how]), "3", "6", "9");
    assertEquals(project.packages().includes("cli-progress"), true);
    project.assertWithoutCluster();
  });
}

test("the threads of parallel() start offline, when a program has been downloaded", async () => {
  const registry = await Registry.start();
  const project = new Project(registry, ["parallel.ts", "tasks.ts"]);
  assertPrints(await project.deno(["run", "parallel.ts", "not at all"]));
  await project.disconnect();
  const run = await project.deno(["run", "--no-prompt", "--allow-read", "parallel.ts", "block"]);
  assertPrints(run, "24", "64", "3", "6,4", "1,4,9");
});

test("the stacks of errors name the program's lines, and none of the library, which is on another host", async () => {
  await using registry = await Registry.start();
  const project = new Project(registry, ["stacks.ts"]);
  const run = await project.deno(["run", "--no-prompt", "--allow-read", "--allow-run", "stacks.ts"]);
  const stack = ["RangeError: no", "    at fail (stacks.ts:5:9)", "    submitted at stacks.ts:12:30"];
  assertPrints(
    run,
    ...["first", "second", "first", "second"].flatMap((call) => `${call} ${stack.join("\n")}`.split("\n")),
  );
});

test("`deno check` of a program has the types of the package, and refuses what is wrong", async () => {
  await using registry = await Registry.start();
  const project = new Project(registry, ["types.ts", "tasks.ts"]);
  const text = Deno.readTextFileSync(`${project.folder}/types.ts`);
  project.write("wrong.ts", text.replace(/^.*@ts-expect-error.*\n/m, ""));
  // All errors of both.
  const { code, stderr } = await project.deno(["check", "types.ts", "wrong.ts"]);
  assertEquals([code, stderr.match(/TS\d+|\w+\.ts:\d+/g)], [1, ["TS2322", "wrong.ts:9"]], stderr);
});

test("all that workers need is there when a program begins: they start offline", async () => {
  const registry = await Registry.start();
  const project = new Project(registry, ["pools.ts", "tasks.ts", "sync.ts"]);
  // Not by `deno cache`, which fetches also what is only imported for its types.
  assertPrints(await project.deno(["run", "pools.ts", "none", "not at all"]));
  assertPrints(await project.deno(["run", "sync.ts", "not at all"]));
  await project.disconnect();
  for (const kind of ["threads", "processes", "none"]) {
    const run = await project.deno(["run", "--no-prompt", "--allow-read", "--allow-run", "pools.ts", kind, "block"]);
    assertPrints(run, "64", "4", "24", "24", "1,4,9");
  }
  const run = await project.deno(["run", "--no-prompt", "--allow-read", "sync.ts", "block"]);
  assertPrints(run, "1", "2", "3", "false");
});
