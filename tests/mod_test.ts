/** What `mod.ts` exports, and what importing it does. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import * as mod from "@concurrent/futures";
import { outputOf, runProgram, test } from "./_helpers.ts";

const ERRORS = [
  "CancelledError",
  "TimeoutError",
  "InvalidStateError",
  "ShutdownError",
  "BrokenExecutor",
  "BrokenThreadPool",
  "BrokenProcessPool",
  "TaskNotFoundError",
  "TaskExitError",
  "SerializationError",
  "QueueFullError",
];
const OTHERS = ["Executor", "ThreadPoolExecutor", "ProcessPoolExecutor", "Future", "wait", "waitSync", "asCompleted"]
  .concat([
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "ALL_COMPLETED",
    "currentTask",
    "reportProgress",
    "taskRef",
    "transfer",
    "registerError",
    "repeat",
  ]);

test("mod.ts exports what is promised, and nothing else", () => {
  const names = Object.keys(mod);
  assertEquals([...ERRORS, ...OTHERS].filter((name) => !names.includes(name)), []);
  assertEquals(names.filter((name) => ![...ERRORS, ...OTHERS].includes(name)), []);
});

test("mod.ts: every error is an Error that has the name of its class", () => {
  const classes = mod as unknown as Record<string, new (...args: unknown[]) => Error>;
  for (const name of ERRORS) {
    const error = new classes[name]("a message");
    assertInstanceOf(error, Error);
    assertInstanceOf(error, classes[name]);
    assertEquals([error.name, error.message, classes[name].name], [name, "a message", name]);
    assert(String(error).startsWith(`${name}: a message`));
    assert(error.stack!.includes(name));
  }
  assertInstanceOf(new classes.BrokenThreadPool(""), mod.BrokenExecutor);
  assertInstanceOf(new classes.BrokenProcessPool(""), mod.BrokenExecutor);
});

test("mod.ts: importing it loads nothing of the other entry points, but for what workers may need later", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-lock", new URL("../mod.ts", import.meta.url).pathname],
  }).output();
  interface Module {
    specifier: string;
    dependencies?: { code?: { specifier: string }; isDynamic?: boolean }[];
  }
  const modules = new Map(
    (JSON.parse(new TextDecoder().decode(stdout)).modules as Module[]).map((module) => [module.specifier, module]),
  );
  const loaded = new Set([new URL("../mod.ts", import.meta.url).href]);
  for (const specifier of loaded) {
    for (const { code, isDynamic } of modules.get(specifier)?.dependencies ?? []) {
      if (code !== undefined && !isDynamic) loaded.add(code.specifier);
    }
  }
  const others = /[/]executors[/](sync|parallel|progress|cluster)[/]|^npm:|_worker\.ts$/;
  assertEquals([...loaded].filter((specifier) => others.test(specifier)), []);
  assert(loaded.size > 50, `${loaded.size} modules`);
  assert([...modules.keys()].some((specifier) => specifier.endsWith("/executors/sync/mod.ts")), "a thread may need it");
});

test("mod.ts: importing it needs no permission, starts nothing and prints nothing", async () => {
  assertEquals(await outputOf("import_only.ts", [], { flags: [] }), { workers: 0 });
  const { code, stderr } = await runProgram("import_only.ts", [], {
    flags: ["--deny-read", "--deny-env", "--deny-sys"],
  });
  assertEquals([code, stderr], [0, ""]);
});
