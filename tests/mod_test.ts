/** What `mod.ts` exports, and what importing it does. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import * as mod from "@concurrent/futures";
import { outputOf, runProgram, test } from "./_helpers.ts";

const ROOT = new URL("../", import.meta.url);

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

test("mod.ts, ./parallel and ./progress: importing them needs no permission and starts nothing", async () => {
  assertEquals(await outputOf("import_only.ts", [], { flags: [], isLocked: true }), { workers: 0 });
  const { code, stderr } = await runProgram("import_only.ts", [], {
    isLocked: true,
    flags: ["--deny-read", "--deny-env", "--deny-sys"],
  });
  assertEquals([code, stderr], [0, ""]);
});

/** What a program that imports a module runs, by the ends of the URLs: all but what an `import()` may load later. */
async function loadedBy(entry: string): Promise<string[]> {
  const args = ["info", "--json", "--no-lock", new URL(entry, ROOT).href];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
  const { modules, roots } = JSON.parse(new TextDecoder().decode(stdout));
  interface Dependency {
    code?: { specifier: string };
    isDynamic?: boolean;
  }
  const dependencies = new Map<string, Dependency[]>(
    modules.map((module: { specifier: string; dependencies?: Dependency[] }) => [
      module.specifier,
      module.dependencies ?? [],
    ]),
  );
  const loaded = new Set<string>(roots);
  for (const specifier of loaded) {
    for (const { code, isDynamic } of dependencies.get(specifier) ?? []) {
      if (code !== undefined && !isDynamic) loaded.add(code.specifier);
    }
  }
  return [...loaded].map((specifier) => specifier.replace(ROOT.href, "")).sort();
}

const NEIGHBOURS = /^executors\/(cluster|sync|parallel|progress)\/|^npm:/;

test("mod.ts, ./parallel and ./progress load nothing of each other, of ./sync and of clusters", async () => {
  const loaded = await loadedBy("mod.ts");
  assert(loaded.includes("executors/threads/thread_pool_executor.ts"), `${loaded}`);
  assertEquals(loaded.filter((module) => NEIGHBOURS.test(module)), []);
  const others = async (room: string) => {
    const modules = await loadedBy(`executors/${room}/mod.ts`);
    return modules.filter((module) => NEIGHBOURS.test(module) && !module.startsWith(`executors/${room}/`));
  };
  assertEquals(await others("parallel"), []);
  const packages = await others("progress");
  assertEquals(packages.map((name) => name.replace(/@.*/, "")), ["npm:cli-progress"], `${packages}`);
});
