/**
 * How functions are found in programs of their own, whose modules are still being evaluated, or come from elsewhere.
 *
 * Over 400 lines: each program stands beside what it must print.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { bestOf, Ledger, runProgram, temporaryPath, test } from "../_helpers.ts";
import { project, run as start } from "../_projects.ts";
import type { Kind } from "./kind.ts";

const ROOT = new URL("../../", import.meta.url);

/** Flags that grant everything but what no program here needs. */
const GRANTED = ["-R", "-W", "-E", "-S", "-N", "--allow-run"];

/**
 * Begins a main module: `outcome()` tells what became of a future, as text, and `print()` prints a value for the test.
 */
function prelude({ name }: Kind, library = ROOT.href): string {
  return `import { ${name} as Pool, taskRef } from ${JSON.stringify(`${library}mod.ts`)};
const make = () => new Pool({ maxWorkers: 1 });
const outcome = async (future: PromiseLike<unknown>) => {
  try {
    return await future;
  } catch (error) {
    const { name, message, cause } = error as Error;
    return name + ": " + message + (cause instanceof Error ? " <- " + cause.name + ": " + cause.message : "");
  }
};
const print = (value: unknown) => console.log("printed " + JSON.stringify(value));
`;
}

/** Writes a program with other modules beside it; the URL of its folder. */
function write(files: { [path: string]: string }): string {
  const folder = temporaryPath("program");
  for (const [path, text] of Object.entries(files)) {
    Deno.mkdirSync(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${folder}/${path}`, text);
  }
  return `file://${folder}/`;
}

/** Runs a main module and takes what it prints. */
async function printed(url: string, flags: readonly string[] = GRANTED): Promise<unknown[]> {
  const { code, stdout, stderr } = await runProgram(url, [], { flags });
  const values = [...stdout.matchAll(/^printed (.*)$/gm)].map(([, json]) => JSON.parse(json));
  assertEquals([code, stderr.replace(/^Download .*\n/gm, "")], [0, ""], stdout);
  return values;
}

/** Runs a main module that begins with {@linkcode prelude}, with other modules beside it. */
async function run(kind: Kind, main: string, others: { [path: string]: string } = {}): Promise<unknown[]> {
  return await printed(`${write({ "main.ts": prelude(kind) + main, ...others })}main.ts`);
}

/** Serves texts of modules, and this library at `/library/`; the origin is what programs import them from. */
function serve(texts: { [path: string]: string }): { origin: string } & AsyncDisposable {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    const [, file] = /^\/library\/(.*)/.exec(pathname) ?? [];
    const text = file === undefined ? texts[pathname] : Deno.readTextFileSync(new URL(file, ROOT));
    const headers = { "content-type": "application/typescript" };
    return text === undefined ? new Response("no such module", { status: 404 }) : new Response(text, { headers });
  });
  return { origin: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

export function lookupProgramBehaviour(kind: Kind): void {
  const { name } = kind;

  test(`${name}: what stands in strings, templates and regular expressions is no code, and hides none`, async () => {
    assertEquals(
      await run(
        kind,
        `
const table = [10, 20];
const route = "/api/*";
export const lookup = (i: number) => table[i];
/** doc */ export const hello = () => route;
const accept = "*/*", pattern = /[/*"]/;
export const accepts = () => accept + pattern.source;
const text = \`
export const template = (n: number) => n;
import { ghost } from "./ghost.ts";
\${[1].map((n) => \`\${n}\`)} "\`;
export const after = () => text.length > 0;
if (import.meta.main) {
  using pool = make();
  print(await Promise.all([pool.submit(lookup, 1), pool.submit(hello), pool.submit(accepts), pool.submit(after)]));
}`,
      ),
      [[20, "/api/*", '*/*[/*"]', true]],
    );
  });

  test(`${name}: submit runs no module that the program has not loaded`, async () => {
    const ledger = new Ledger();
    const effect = `Deno.writeTextFileSync(${JSON.stringify(ledger.path)}, import.meta.url + "\\n", { append: true });
const make = (by: number) => (n: number) => n + by;\n`;
    const values = await run(
      kind,
      `
import { Schema } from "./erased.ts";
import { only } from "./typed.ts";
const note = \`import { app } from "./quoted.ts"; import * as all from "./quoted.ts"\`;
export const flag = Boolean(note);
export type Only = typeof only;
const parse = (value: Schema): Schema => value;
if (import.meta.main) {
  using pool = make();
  const factor = 3;
  const local = { only: (n: number) => n * factor };
  const task = (n: number) => n * factor;
  const square = (n: number) => n * n;
  const outcomes = [pool.submit((n: number) => n + 1, 1), pool.submit(square, 3), pool.submit(task, 1)];
  outcomes.push(pool.submit((n: number) => n * factor, 1), pool.submit(parse, 5), pool.submit([task][0], 1));
  outcomes.push(pool.submit(local.only, 1));
  const values = await Promise.all(outcomes.map(outcome));
  print(values.map((value) => typeof value === "string" ? value.slice(0, 14) : value));
}`,
      {
        "erased.ts":
          `${effect}export type Schema = number;\nexport const Schema = make(1);\nexport const app = make(2);\n`,
        "typed.ts": `${effect}export function only(n: number): number { return n * 1_000; }\n`,
        "quoted.ts": `${effect}export const app = make(3);\nexport function task(n: number) { return n; }\n`,
      },
    );
    const failed = "ReferenceError";
    assertEquals(values, [[2, 9, failed, failed, 5, failed, failed]]);
    assertEquals(ledger.lines(), []);
  });

  test(`${name}: functions that are made anew are decided about once, whatever their module exports`, async () => {
    const [[times, asked]] = await run(
      kind,
      `
export const flag = Boolean(Deno.args);
export const made = ((by: number) => (n: number) => n + by)(1);
export const square = (n: number) => n * n * n;
if (import.meta.main) {
  using pool = make();
  const { getBuiltinModule } = process;
  let asked = 0;
  process.getBuiltinModule = (name: string) => (name === "node:module" && asked++, getBuiltinModule(name));
  let read = 0;
  const { readTextFileSync } = Deno;
  Deno.readTextFileSync = (...args) => (read++, readTextFileSync(...args));
  const run = (i: number) => {
    const square = (n: number) => n * n;
    return [pool.submit((n: number) => n + 1, i), pool.submit(square, i)];
  };
  await Promise.all(run(0));
  const atFirst = asked;
  let stacks = 0;
  const settings = Error as unknown as { prepareStackTrace: unknown };
  Object.defineProperty(Error, "stackTraceLimit", { get: () => (stacks++, 10), set: () => {}, configurable: true });
  settings.prepareStackTrace;
  const futures = Array.from({ length: 1_000 }, (_, i) => run(i)).flat();
  Object.defineProperty(Error, "stackTraceLimit", { value: 10, writable: true });
  const sum = (await Promise.all(futures)).reduce((sum, n) => sum + n, 0);
  print([stacks, asked - atFirst, sum]);
}`.replace(/^\nexport/, `\nimport process from "node:process";\nexport`),
    ) as [number[]];
    assertEquals([times, asked], [0, 0]);
  });

  test(`${name}: functions that are made anew leave no memory behind, whatever their module exports`, async () => {
    const main = prelude(kind) + `
export const flag = Boolean(Deno.args);
const { gc } = globalThis as unknown as { gc(): void };
if (import.meta.main) {
  using pool = make();
  const used = async () => {
    for (let round = 0; round < 50; round++) {
      await Promise.all(Array.from({ length: 20 }, (_, i) => pool.submit((n: number) => n + 1, i)));
    }
    gc();
    return Deno.memoryUsage().heapUsed;
  };
  // The least of three: what a pool keeps for a while is not always there.
  const least = async () => Math.min(await used(), await used(), await used());
  await used();
  const before = await least();
  print((await least() - before) / 3_000);
}`;
    const file = `${write({ "main.ts": main })}main.ts`;
    // What V8 compiles late, on a busy machine, counts once; what a submit leaves, in each program.
    await bestOf(3, async () => {
      const [bytes] = await printed(file, ["-A", "--v8-flags=--expose-gc"]) as number[];
      assert(bytes < 30, `each submit left ${bytes} bytes`);
    });
  });

  test(`${name}: functions have any name, and those of objects are looked for by no pattern`, async () => {
    assertEquals(
      await run(
        kind,
        `
const tasks = {
  "*": (n: number) => n + 1,
  "c++": (n: number) => n + 2,
  "GET /(.*": (n: number) => n + 3,
  "$&": (n: number) => n + 4,
  "[": function (n: number) { return n + 5; },
};
const closures = { "(": () => tasks };
using pool = make();
print(await Promise.all(Object.values(tasks).map((task) => pool.submit(task, 0))));
print(String(await outcome(pool.submit(closures["("]))).slice(0, 29));`,
      ),
      [[1, 2, 3, 4, 5], "ReferenceError: tasks is not "],
    );
  });

  test(`${name}: what the main module exports as an expression's value is found while it is evaluated`, async () => {
    const values = await run(
      kind,
      `
import { imported } from "./more.ts";
import * as more from "./more.ts";
const make10 = (by: number) => (n: number) => n + by;
export const addTen = make10(10);
export const once = (() => { let calls = 0; return () => ++calls; })();
export const [first, second] = [1, 2].map((by) => (n: number) => n * by + more.offset);
const hidden = make10(20);
export { hidden as shown };
if (import.meta.main) {
  using pool = make();
  print(await Promise.all([
    pool.submit(addTen, 1), pool.submit(once), pool.submit(once), pool.submit(first, 1), pool.submit(second, 1),
    pool.submit(hidden, 1), pool.submit(imported, 1), pool.submit(more.imported, 1), ...pool.map(addTen, [2]),
  ]));
  const local = make10(1_000);
  const shadow = () => {
    const addTen = make10(2_000);
    return pool.submit(addTen, 1);
  };
  const outcomes = [pool.submit(local, 1), pool.submit(make10(1_000), 1), shadow()];
  print((await Promise.all(outcomes.map(outcome))).map((outcome) => String(outcome).slice(0, 29)));
}`,
      {
        "more.ts": `
export const offset = 100;
const make = (by: number) => (n: number) => n * by;
export const imported = make(7);
`,
      },
    );
    const failed = "ReferenceError: by is not def";
    assertEquals(values, [[11, 1, 2, 101, 102, 21, 7, 7, 12], [failed, failed, failed]]);
  });

  test(`${name}: a closure is never taken for an export with its name and text whose module is evaluated`, async () => {
    const [values] = await run(
      kind,
      `
const by = 1;
export const scale = (n: number): number => n * by;
export function plain(n: number): number;
export function plain(n: number): number { return n + by; }
function impostor(by: number) {
  const scale = (n: number): number => n * by;
  return scale;
}
function inside(by: number, pool: InstanceType<typeof Pool>) {
  const scale = (n: number): number => n * by;
  return pool.submit(scale, 1);
}
if (import.meta.main) {
  using pool = make();
  const other = impostor(1_000);
  const outcomes = [pool.submit(scale, 1), pool.submit(plain, 1), pool.submit(other, 1), inside(1_000, pool)];
  outcomes.push(pool.submit([impostor(1_000)][0], 1));
  print((await Promise.all(outcomes.map(outcome))));
}`,
    ) as [unknown[]];
    assertEquals(values.slice(0, 2), [1, 2]);
    for (const value of values.slice(2)) assertMatch(String(value), /^(TaskNotFoundError|ReferenceError): .*taskRef/);
  });

  test(`${name}: a module with top-level await that makes a pool leaves functions of other modules alone`, async () => {
    assertEquals(
      await run(
        kind,
        `
import pool, * as all from "./pool.ts";
import { cube, run } from "./pool.ts";
const square = (n: number) => n * n;
const factor = 2;
const twice = (n: number) => n * factor;
const nested = () => {
  const cube = (n: number) => n * n * n;
  return pool.submit(cube, 3);
};
print([await nested(), await pool.submit(function cube(n: number) { return n; }, 3), await run(square, 4), cube(1)]);
print([await pool.submit(square, 3), all.ready, String(await outcome(pool.submit(twice, 3))).slice(0, 30)]);
pool.shutdownSync();`,
        {
          "pool.ts": prelude(kind) + `const pool = make();\nexport const ready = await pool.submit(() => true);\n` +
            `export const cube = (n: number) => -n;\nexport const square = (n: number) => -n;\n` +
            `export const run = (f: (n: number) => number, n: number) => pool.submit(f, n);\n` +
            `export default pool;\n`,
        },
      ),
      [[27, 3, 16, -1], [9, true, "ReferenceError: factor is not "]],
    );
  });

  test(`${name}: functions of packages run by reference`, async () => {
    assertEquals(
      await run(
        kind,
        `
import { parse as read, stringify } from "npm:devalue";
import * as devalue from "npm:devalue";
import { double } from "./common.cjs";
import * as common from "./common.cjs";
using pool = make();
print([await pool.submit(stringify, [1]), await pool.submit(read, "[[1],2]")]);
print(await pool.submit(devalue.uneval, [3]));
print([await pool.submit(double, 3), await pool.submit(common.triple, 3)]);`,
        {
          "common.cjs": `
const by = 2;
exports.double = (n) => n * by;
exports.triple = function triple(n) { return n * (by + 1); };
`,
        },
      ),
      [["[[1],1]", [2]], "[3]", [6, 9]],
    );
  });

  test(`${name}: a module that is imported with a query submits functions of that very module`, async () => {
    const values = await run(
      kind,
      `
import { run as acme } from "./lib.ts?tenant=acme";
import { run as other } from "./lib.ts?tenant=a%20b#c";
import { run as none } from "./lib.ts";
using pool = make();
print(await Promise.all([acme, other, none].map((run) => run(pool))));
print([acme(pool).result(10_000), other(pool).result(10_000), none(pool).result(10_000)]);`,
      {
        "lib.ts": `
const { search, hash } = new URL(import.meta.url);
export const tenant = (): string => search + hash;
// deno-lint-ignore no-explicit-any
export const run = (pool: any) => pool.submit(tenant);
`,
      },
    );
    const expected = ["?tenant=acme", "?tenant=a%20b#c", ""];
    assertEquals(values, [expected, expected]);
  });

  test(`${name}: import() in a function that is sent as text resolves from the module that submits`, async () => {
    assertEquals(
      await run(
        kind,
        `
import { fromThere } from "./folder/lib.ts";
using pool = make();
print(await pool.submit(async () => (await import("./tasks.ts")).where));
print(await pool.submit(async (name: string) => (await import(name)).where, "./folder/tasks.ts"));
print(await fromThere(pool));
print(await pool.submit(async () => typeof (await import("node:path")).basename));
print(await pool.submit(() => ["import('./x')", \`import("./y")\`].length));
print(String(await outcome(pool.submit(async () => await import("./missing.ts")))).includes("missing.ts"));`,
        {
          "tasks.ts": `export const where = "main";\n`,
          "folder/tasks.ts": `export const where = "folder";\n`,
          "folder/lib.ts": `// deno-lint-ignore no-explicit-any
export const fromThere = (pool: any) => pool.submit(async () => (await import("./tasks.ts")).where);\n`,
        },
      ),
      ["main", "folder", "folder", "function", 2, true],
    );
  });

  test(`${name}: functions that scripts declare, or programs put on globalThis, are sent as text`, async () => {
    assertEquals(
      await run(
        kind,
        `
(0, eval)("function square(n) { return n * n; }");
const all = globalThis as unknown as { [name: string]: (n: number) => number };
all.triple = function triple(n) { return n * 3; };
all.holder = Object.assign(() => 0, { quadruple(n: number) { return n * 4; } });
using pool = make();
print([await pool.submit(all.square, 3), await pool.submit(all.triple, 3)]);`,
      ),
      [[9, 9]],
    );
    const child = new Deno.Command(Deno.execPath(), {
      args: ["repl", "-A", "--quiet"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(
      `const k = 2;\nfunction sq(n) { return n * n; }\n` +
        `function twice(n) { return n * k; }\nconst { ${name} } = await import(${JSON.stringify(`${ROOT}mod.ts`)});\n` +
        `const pool = new ${name}(1);\n"answer " + await pool.submit(sq, 7);\n` +
        `"told " + pool.submit(twice, 7).exception(10_000).message;\npool.shutdownSync();\n`,
    ));
    await writer.close();
    const { stdout, stderr } = await child.output();
    const text = new TextDecoder().decode(stdout);
    assertStringIncludes(text, "answer 49", new TextDecoder().decode(stderr));
    assertStringIncludes(text, "told k is not defined: the function twice was sent");
  });

  test(`${name}: a main module of another host runs once where it does not export the function`, async () => {
    const ledger = new Ledger();
    await using server = serve({
      "/main.ts": `${prelude(kind, "/library/")}
import { imported } from "./tasks.ts";
Deno.writeTextFileSync(${JSON.stringify(ledger.path)}, "evaluated\\n", { append: true });
using pool = make();
const square = (n: number) => n * n;
const factor = 2;
const twice = (n: number) => n * factor;
print([await pool.submit(square, 3), pool.submit(square, 4).result(10_000)]);
print([await pool.submit((n: number) => n + 1, 3), await pool.submit(imported, 4)]);
print(String(await outcome(pool.submit(twice, 3))).slice(0, 30));
`,
      "/tasks.ts": `const by = 10;\nexport function imported(n: number): number { return n * by; }\n`,
      "/guarded.ts": `${prelude(kind, "/library/")}
const by = 10;
export const exported = (n: number): number => n * by;
if (import.meta.main) {
  using pool = make();
  print([await pool.submit(exported, 3), pool.submit(exported, 4).result(10_000)]);
}
`,
    });
    const { origin } = server;
    // An earlier server may have had the same port, and its modules are in the cache.
    const reloaded = (what: string) => ["-A", `--reload=${what}`];
    assertEquals(await printed(`${origin}/main.ts`, reloaded(origin)), [
      [9, 16],
      [4, 40],
      "ReferenceError: factor is not ",
    ]);
    assertEquals(ledger.lines(), ["evaluated"]);
    assertEquals(await printed(`${origin}/guarded.ts`, reloaded(`${origin}/guarded.ts`)), [[30, 40]]);
  });

  test(`taskRef(): a missing module fails the future of ${name} with TaskNotFoundError and a cause`, async () => {
    const folder = write({
      "imports_missing.ts": `import "./gone.ts";\nexport const task = () => 1;\n`,
      "imports_later.ts": `await import("./gone.ts");\nexport const task = () => 1;\n`,
      "throws.ts": `throw new RangeError("its own");\n`,
      "main.ts": prelude(kind) + `
using pool = make();
for (const file of ["gone", "imports_missing", "imports_later", "throws"]) {
  print(await outcome(pool.submit(taskRef(import.meta.resolve("./" + file + ".ts"), "task"))));
}
print(await outcome(pool.submit(taskRef("node:nothing", "task"))));
try {
  pool.submit(taskRef(import.meta.resolve("./gone.ts"), "task")).result(10_000);
} catch (error) {
  print((error as { modules: string[] }).modules);
}
print(await pool.submit((n: number) => n, 1));`,
    });
    const [gone, importsGone, importsLater, throws, node, modules, after] = await printed(`${folder}main.ts`);
    const notFound = `Module not found "${folder}gone.ts".`;
    const why = `TypeError: ${notFound}`;
    assertEquals(
      gone,
      `TaskNotFoundError: Cannot import the module of a task, ${folder}gone.ts: ${notFound} <- ${why}`,
    );
    const start = `TaskNotFoundError: Cannot import the module of a task, ${folder}imports_missing.ts: ${notFound}`;
    assertEquals(String(importsGone).slice(0, start.length), start);
    assertEquals(importsLater, why, "it is there, and has failed itself");
    assertEquals(throws, "RangeError: its own");
    assertStringIncludes(String(node), "TaskNotFoundError: Cannot import the module of a task, node:nothing: ");
    assertEquals([modules, after], [[`${folder}gone.ts`], 1]);
  });

  test(`taskRef(): a module of another host that is in no cache runs in ${name}, blocked and awaited`, async () => {
    await using server = serve({
      "/tasks.ts": `import { by } from "./by.ts";\nexport const times = (n: number): number => n * by;\n`,
      "/by.ts": `export const by = 7;\n`,
    });
    const { origin } = server;
    const main = `${
      write({
        "main.ts": prelude(kind) + `
using pool = make();
const submit = (way: string) => pool.submit(taskRef<(n: number) => number>("${origin}/tasks.ts?" + way, "times"), 6);
print(submit("blocked").result(10_000));
print(await outcome(submit("awaited")));
print(pool.submit(taskRef("${origin}/missing.ts?blocked", "times")).exception(10_000)!.message);
print(await outcome(pool.submit(taskRef("${origin}/missing.ts", "times"))));`,
      })
    }main.ts`;
    const [blocked, awaited, ...missing] = await printed(main, ["-A", `--reload=${origin}`]);
    assertEquals([blocked, awaited, missing.length], [42, 42, 2]);
    for (const text of missing) {
      assertMatch(String(text), /Cannot import the module of a task, http:\S+\/missing\.ts(\?\w+)?: Module not found/);
    }
  });

  test(`${name}: an exported function that may not be read tells to grant that`, async () => {
    const folder = write({
      "main.ts": prelude(kind) + `
const by = 2;
export const scale = (n: number): number => n * by;
if (import.meta.main) {
  using pool = make();
  print(await outcome(pool.submit(scale, 1)));
}`,
    });
    // What a pool itself takes.
    const flags = [`--allow-read=${ROOT.pathname}`, "--allow-run"];
    const [message] = await printed(`${folder}main.ts`, flags);
    assertMatch(
      String(message),
      /^ReferenceError: by is not defined: .*To fix it, grant --allow-read .* program may not read: .*main\.ts$/,
    );
    assert(!String(message).includes("export the function"));
  });

  test(`${name}: a function that a program without a file imports tells to use taskRef()`, async () => {
    const folder = project({ "tasks.ts": "const by = 2;\nexport const scale = (n: number): number => n * by;\n" });
    const program = prelude(kind) + `
import { scale } from "./tasks.ts";
using pool = make();
print(await outcome(pool.submit(scale, 4)));
print(await pool.submit(taskRef<typeof scale>(import.meta.resolve("./tasks.ts"), "scale"), 4));`;
    const { stdout, stderr } = await start(Deno.execPath(), ["eval", "--quiet", program], { cwd: folder });
    const [, message, value] = /^printed (.*)\nprinted (.*)\n$/.exec(stdout) ?? [stdout, stderr];
    assertMatch(
      message,
      /by is not defined: .* To fix it, use taskRef\(\), .* through a module that is not a file: file:.*"$/,
    );
    assertEquals(value, "8");
  });

  test(`${name}: a function whose import only its own package can resolve says so`, async () => {
    const member = (name: string, imports = {}) => JSON.stringify({ name, version: "0.1.0", exports: {}, imports });
    const folder = project({
      "deno.json": JSON.stringify({ workspace: ["./a", "./b"] }),
      "a/deno.json": member("@x/a", { "#tasks": "./tasks.ts" }),
      "b/deno.json": member("@x/b"),
      "a/tasks.ts": "const by = 2;\nexport const scale = (n: number): number => n * by;\n",
      "a/main.ts": prelude(kind) + `
import { scale } from "#tasks";
if (import.meta.main) {
  using pool = make();
  print(await outcome(pool.submit(scale, 4)));
  print(await pool.submit(taskRef<typeof scale>(import.meta.resolve("#tasks"), "scale"), 4));
}`,
    });
    const [message, value] = await printed(`file://${folder}/a/main.ts`);
    assertMatch(
      String(message),
      /by is not defined: .* To fix it, use taskRef\(import\.meta\.resolve\("#tasks"\), "scale"\), .*"#tasks"$/,
    );
    assertEquals(value, 8);
  });
}
