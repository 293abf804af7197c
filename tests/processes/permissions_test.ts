/**
 * {@linkcode ProcessPoolExecutor}: what its tasks may do.
 *
 * Over 400 lines: most of them are a table of permissions, and one of refusals.
 */
import { ProcessPoolExecutor } from "@concurrent/futures";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { outputOf, temporaryPath, test } from "../_helpers.ts";
import { ENTRY, project, runFile } from "../_projects.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const DENO = Deno.execPath();
/** The least that a program with such a pool needs. */
const FEW = ["--allow-run", "--allow-read"];

/** A file that a task shall not read. */
function secret(): string {
  const path = temporaryPath("secret.ts");
  Deno.writeTextFileSync(path, "export default 1;");
  return path;
}

// ---- permissions: "none" ------------------------------------------------------------------------------------------

const WAYS: { [flags: string]: string[] } = {
  [FEW.join(" ")]: ["runs", "refused", "source", "imports", "packages", "initializer"],
  "-A": ["refused", "source"],
};
/** How long a program may take that does what several tests ask for: each of them could be the first. */
const ALL_MS = 80_000;
const sandboxes = new Map<string, Promise<{ [way: string]: { [what: string]: unknown } }>>();

/** What became of tasks without permissions, in one way: a program tries all that tests ask of its flags. */
async function sandboxed(flags: string[], way: string): Promise<{ [what: string]: unknown }> {
  const key = flags.join(" ");
  const program = sandboxes.get(key) ??
    outputOf("sandbox.ts", [secret(), ...WAYS[key] ?? [way]], { flags, bound: ALL_MS });
  sandboxes.set(key, program);
  return (await program)[way];
}

test('ProcessPoolExecutor permissions: "none" runs tasks in a program with --allow-run and --allow-read', async () => {
  const expected = { function: 2, reference: 4, source: 6, mapped: [8, 10], named: 42 };
  assertEquals(await sandboxed(FEW, "runs"), expected);
  const less = [`--allow-run=${DENO}`, `--allow-read=${ROOT}`];
  assertEquals(await sandboxed(less, "runs"), expected);
}, { bound: ALL_MS });

for (const flags of [FEW, ["-A"]]) {
  test(`ProcessPoolExecutor permissions: "none" refuses all that needs one, with ${flags.join(" ")}`, async () => {
    for (const [what, outcome] of Object.entries(await sandboxed(flags, "refused"))) {
      assertEquals(outcome, "NotCapable", what);
    }
    for (const [what, outcome] of Object.entries(await sandboxed(flags, "source"))) {
      assertEquals(outcome, "NotCapable", `${what} in source text`);
    }
  }, { bound: ALL_MS });
}

test('ProcessPoolExecutor permissions: "none" holds for the top level of all modules that a task loads', async () => {
  const expected = { topLevel: "NotCapable", static: "NotCapable", dynamic: "NotCapable", after: 2 };
  assertEquals(await sandboxed(FEW, "imports"), expected);
}, { bound: ALL_MS });

test('ProcessPoolExecutor permissions: "none" loads packages by the names of the project\'s import map', async () => {
  assertEquals<unknown>(await sandboxed(FEW, "packages"), ["<svg", "NotCapable"]);
}, { bound: ALL_MS });

test("ProcessPoolExecutor: processes write no lock file where the program was told to use none", async () => {
  const folder = temporaryPath("project");
  Deno.mkdirSync(folder);
  Deno.writeTextFileSync(`${folder}/deno.json`, '{ "imports": { "flags/": "npm:/country-flag-icons@^1.6.20/" } }');
  Deno.writeTextFileSync(
    `${folder}/task.ts`,
    'import { FR } from "flags/string/3x2"; export function task(): string { return FR.slice(0, 4); }',
  );
  Deno.writeTextFileSync(
    `${folder}/main.ts`,
    `import { ProcessPoolExecutor } from ${JSON.stringify(ENTRY)};
     import { task } from "./task.ts";
     using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: "none" });
     console.log(await pool.submit(task));`,
  );
  const { code, stdout, stderr } = await runFile(`${folder}/main.ts`, ["--no-lock", ...FEW]);
  assertEquals([code, stdout, stderr], [0, "<svg\n", ""]);
  assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name).sort(), ["deno.json", "main.ts", "task.ts"]);
});

test('ProcessPoolExecutor permissions: "none" runs initializers of its module, of another and of none', async () => {
  assertEquals(await sandboxed(FEW, "initializer"), {
    same: ["a", "b"],
    other: 2,
    afterOther: ["a", "b"],
    source: "ab",
  });
}, { bound: ALL_MS });

function manyModules(count: number): string {
  const folder = temporaryPath("modules with ä, 'q' and \"");
  Deno.mkdirSync(folder);
  for (let i = 0; i < count; i++) {
    Deno.writeTextFileSync(
      `${folder}/${i}.ts`,
      `let calls: number = 0;
       export function task(n: number, ms: number): number[] {
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
         return [${i}, n, ++calls];
       }`,
    );
  }
  const url = new URL("file:///");
  url.pathname = folder.replaceAll("%", "%25");
  return url.href;
}

const WORKERS = [1, 2, 4];
const TASKS_PER_MODULE = { "awaited": 3, "blocking": 3, "at once": 3, "mixed": 4 };
let manyDone: Promise<{ [what: string]: unknown }> | undefined;

/** What became of all of them: one program runs them, in a pool for each number of processes. */
function runMany(): Promise<{ [what: string]: unknown }> {
  const foldersOf = (workers: number) => Object.keys(TASKS_PER_MODULE).map((way) => [way, manyModules(workers + 1)]);
  const args = WORKERS.map((workers) => JSON.stringify([workers, Object.fromEntries(foldersOf(workers))]));
  return manyDone ??= outputOf("many_modules.ts", args, { flags: FEW, bound: ALL_MS });
}

for (const [way, count] of Object.entries(TASKS_PER_MODULE)) {
  for (const workers of WORKERS) {
    test(`ProcessPoolExecutor permissions: "none" loses no task of many modules: ${way}, by ${workers}`, async () => {
      assertEquals((await runMany())[`${way}, by ${workers}`], { done: count * (workers + 1), failed: [] });
    }, { bound: ALL_MS });
  }
}

// ---- what is granted ----------------------------------------------------------------------------------------------

type Case = [what: string, flags: string[], permissions: unknown, granted: string[], refused: string[]];

const ALL = ["read", "write", "net", "env", "sys", "run", "ffi", "import"];
const without = (...names: string[]) => ALL.filter((name) => !names.includes(name));

// A name, or a name and a part of it.
const CASES: Case[] = [
  ["all that the program has with -A", ["-A"], "inherit", ALL, []],
  ["nothing with -A", ["-A"], "none", [], ALL],
  ["what the program has with few flags", FEW, "inherit", ["read", "run"], without("read", "run")],
  ["no part of what it has", [...FEW, "--allow-env=HOME", "--allow-net=a.com"], "inherit", ["read"], [
    "env",
    "env HOME",
    "net",
    "net a.com",
  ]],
  ["no read of a folder", ["--allow-run", `--allow-read=${ROOT}`], "inherit", ["run"], ["read", `read ${ROOT}`]],
  ["no read of .", ["--allow-run", "--allow-read=."], "inherit", ["run"], ["read", `read ${ROOT}`]],
  ["no run of Deno alone", [`--allow-run=${DENO}`, "--allow-read"], "inherit", ["read"], ["run", `run ${DENO}`]],
  ["nothing with exceptions", [...FEW, "--deny-read=/etc", "--allow-env"], "inherit", ["env", "run"], [
    "read",
    "read /etc",
    `read ${ROOT}`,
  ]],
  ["all of -A but what is denied", ["-A", "--deny-env", "--deny-net=a.com"], "inherit", without("env", "net"), [
    "env",
    "net",
    "net a.com",
    "net b.com",
  ]],
  ["nothing by an empty object", ["-A"], {}, [], ALL],
  ["nothing by false and undefined", ["-A"], { read: false, net: false }, [], ALL],
  ["what is true", FEW, { read: true }, ["read"], without("read")],
  ["what is inherited, where it is there", FEW, { read: "inherit", write: "inherit" }, ["read"], without("read")],
  ["what is inherited, unless in part", ["-A", "--deny-env=HOME"], { env: "inherit", sys: "inherit" }, ["sys"], [
    "env",
  ]],
  [
    "paths",
    ["-A"],
    { read: ["/etc", "/usr/lib"], write: ["/tmp/x"] },
    ["read /etc/x", "read /usr/lib", "write /tmp/x"],
    [
      "read",
      "read /usr",
      "write /tmp",
      "write /etc",
    ],
  ],
  ["a relative path", [...FEW], { read: ["tests/fixtures"] }, [`read ${ROOT}tests/fixtures/x`], [
    "read",
    `read ${ROOT}`,
  ]],
  ["an empty list", ["-A"], { read: [], env: [] }, [], ALL],
  [
    "names, hosts, kinds and commands",
    ["-A"],
    {
      env: ["HOME", "CF_*"],
      net: ["127.0.0.1:80", "a.com"],
      sys: ["hostname"],
      run: ["echo"],
      import: ["jsr.io"],
    },
    ["env HOME", "env CF_A", "net 127.0.0.1:80", "net a.com", "sys hostname", "run echo", "import jsr.io"],
    [
      "env PATH",
      "net 127.0.0.1:81",
      "net b.com",
      "sys uid",
      "run cat",
      "import a.com",
    ],
  ],
  [
    "what is free of exceptions, beside some",
    ["-A", "--deny-net=127.0.0.1:8877,10.0.0.5", "--deny-env=SECRET"],
    {
      net: ["127.0.0.1:8878", "localhost:8878", "10.0.0.6", "unix:/tmp/x"],
      env: ["SECRETS"],
    },
    ["net 127.0.0.1:8878", "net localhost:8878", "net 10.0.0.6:1", "net unix:/tmp/x", "env SECRETS"],
    [
      "net 127.0.0.1:8877",
      "net 10.0.0.5",
      "net unix:/tmp/y",
      "env SECRET",
    ],
  ],
  ["whole hosts that the program has", [...FEW, "--allow-net=127.0.0.1,a.com"], { net: ["127.0.0.1", "a.com"] }, [
    "net 127.0.0.1:1",
    "net a.com:65535",
  ], ["net", "net b.com"]],
  ["the hosts of imports that Deno allows everybody", FEW, "none", ["import jsr.io:443"], ["import a.com:443"]],
  ["no hosts of imports that the program has not", [...FEW, "--allow-import=a.com"], "inherit", ["read", "run"], [
    "import jsr.io:443",
    "import a.com:443",
  ]],
  ["only the hosts of imports that the program has", [...FEW, "--allow-import=a.com,jsr.io:443"], "none", [
    "import jsr.io:443",
  ], ["import deno.land:443", "import a.com:443"]],
  ["no hosts of imports that the program is denied", ["-A", "--deny-import=jsr.io"], "none", [
    "import deno.land:443",
  ], ["import jsr.io:443", "import a.com:443"]],
  ["a part of what the program has", [...FEW, "--allow-env=HOME,PATH"], { env: ["PATH"] }, ["env PATH"], [
    "env HOME",
    "env",
    "read",
  ]],
];

const DETAIL: { [name: string]: string } = {
  read: "path",
  write: "path",
  env: "variable",
  sys: "kind",
  run: "command",
  ffi: "path",
};

function descriptorOf(text: string): unknown {
  const [name, ...rest] = text.split(" ");
  return rest.length === 0 ? { name } : { name, [DETAIL[name] ?? "host"]: rest.join(" ") };
}

interface Granted {
  states?: string[];
  loaded?: number;
  error?: string;
  message?: string;
}

/** What programs with these flags are asked: one program answers all that the tests ask of the same flags. */
const questions = new Map<string, { asked: unknown[][]; answers?: Promise<Granted[]> }>();

/** What became of a pool with these permissions in a program with these flags, when the tests run. */
function outcomeOf(flags: string[], permissions: unknown, descriptors: unknown[]): () => Promise<Granted> {
  const key = flags.join(" ");
  const program = questions.get(key) ?? { asked: [] };
  questions.set(key, program);
  const at = program.asked.push([permissions, descriptors]) - 1;
  return async () => {
    program.answers ??= outputOf("granted.ts", program.asked.map((one) => JSON.stringify(one)), { flags });
    return (await program.answers)[at];
  };
}

for (const [what, flags, permissions, granted, refused] of CASES) {
  const shown = JSON.stringify(permissions).slice(0, 40);
  const asked = [...granted, ...refused];
  const outcome = outcomeOf(flags, permissions, asked.map(descriptorOf));
  test(`ProcessPoolExecutor permissions: ${shown} grants ${what}, and a task's module loads`, async () => {
    const { states, loaded, message } = await outcome();
    assertEquals([message, loaded], [undefined, 42]);
    const seen = asked.filter((_, i) => states?.[i] === "granted");
    assertEquals(seen, granted);
  });
}

// ---- what cannot be granted ---------------------------------------------------------------------------------------

for (
  const [flags, permissions, lacking] of [
    [FEW, { write: true }, "--allow-write"],
    [FEW, { env: ["HOME"] }, "--allow-env=HOME"],
    [FEW, { net: ["a.com:80"] }, "--allow-net=a.com:80"],
    [FEW, { read: true, ffi: true }, "--allow-ffi"],
    [["--allow-run", `--allow-read=${ROOT}`], { read: true }, "--allow-read"],
    [["--allow-run", `--allow-read=${ROOT}`], { read: ["/etc"] }, "--allow-read=/etc"],
    [[`--allow-run=${DENO}`, "--allow-read"], { run: true }, "--allow-run"],
    [[...FEW, "--deny-read=/etc/passwd"], { read: ["/etc"] }, "--allow-read=/etc"],
    [[...FEW, "--deny-read=/etc/passwd"], { read: true }, "--allow-read"],
    [["-A", "--deny-env=HOME"], { env: true }, "--allow-env"],
    [[...FEW, "--allow-env=HOME"], { env: ["HOME", "PATH"] }, "--allow-env=PATH"],
    // Each of these is granted but for a part, which only a query for that part tells.
    [["-A", "--deny-net=127.0.0.1:8877"], { net: ["127.0.0.1"] }, "name each address with its port"],
    [[...FEW, "--allow-net=127.0.0.1", "--deny-net=127.0.0.1:8877"], { net: ["127.0.0.1"] }, "without --deny-net"],
    [[...FEW, "--allow-net=[::1]", "--deny-net=[::1]:8877"], { net: ["[::1]"] }, "without --deny-net"],
    [["-A", "--deny-net=10.0.0.5"], { net: ["10.0.0.0/8"] }, "without --deny-net"],
    [["-A", "--deny-net=a.b.com"], { net: ["*.b.com"] }, "--allow-net=*.b.com"],
    [[...FEW, "--allow-net=*.b.com", "--deny-net=a.b.com"], { net: ["*.b.com"] }, "--allow-net=*.b.com"],
    [["-A", "--deny-env=SECRET"], { env: ["SECRE*"] }, "name each variable"],
    [["-A", "--ignore-env=SECRET"], { env: ["SECRE*"] }, "name each variable"],
    [["-A", "--ignore-env=SECRET"], { env: ["SECRET"] }, "--allow-env=SECRET"],
    [["-A", "--ignore-env=SECRET"], { env: true }, "--allow-env"],
    [[...FEW, "--allow-env=SECRE*", "--deny-env=SECRET"], { env: ["SECRE*"] }, "without --deny-env"],
    [["-A", "--ignore-read=/etc/passwd"], { read: ["/etc"] }, "--allow-read=/etc"],
    [["-A", "--deny-write=/etc/passwd"], { write: ["/etc"] }, "--allow-write=/etc"],
    [["-A", "--deny-ffi=/usr/lib/x.so"], { ffi: ["/usr/lib"] }, "--allow-ffi=/usr/lib"],
    [["-A", "--deny-sys=uid"], { sys: ["hostname", "uid"] }, "--allow-sys=uid"],
    [["-A", "--deny-run=echo"], { run: ["echo"] }, "--allow-run=echo"],
    [["-A", "--deny-import=a.com:443"], { import: ["a.com"] }, "name each host with its port"],
    // Deno refuses to connect to a denied address, by whatever name.
    [["-A", "--deny-net=127.0.0.1:8877"], { net: ["localhost:8877"] }, "--allow-net=localhost:8877"],
    [[...FEW, "--allow-net=localhost", "--deny-net=127.0.0.1:8877"], { net: ["localhost"] }, "without --deny-net"],
    [["-A", "--deny-net=10.0.0.5"], { net: ["a.com:80"] }, "name each address with its port"],
    // Systems take these for addresses, and Deno for names.
    [["-A", "--deny-net=127.0.0.1:8877"], { net: ["127.1"] }, "name each address with its port"],
    [["-A", "--deny-net=127.0.0.1:8877"], { net: ["2130706433:8877"] }, "name each address with its port"],
    [[...FEW, "--allow-net=127.1", "--deny-net=127.0.0.1:8877"], { net: ["127.1"] }, "name each address"],
    [[...FEW, "--allow-net=0177.0.0.1"], { net: ["0177.0.0.1:8877"] }, "name each address with its port"],
  ] as [string[], Deno.PermissionOptionsObject, string][]
) {
  const shown = flags.map((flag) => flag.replace(ROOT, "ROOT").replace(DENO, "DENO")).join(" ");
  const outcome = outcomeOf(flags, permissions, []);
  test(`new ProcessPoolExecutor() refuses ${JSON.stringify(permissions)} with ${shown}`, async () => {
    const { error, message, states } = await outcome();
    assertEquals([error, states], ["NotCapable", undefined]);
    assertStringIncludes(`${message}`, lacking);
  });
}

test("ProcessPoolExecutor permissions: a relative path means the program's folder, also with another cwd", async () => {
  const folder = temporaryPath("other");
  Deno.mkdirSync(`${folder}/tests`, { recursive: true });
  const asked = [`read ${folder}/tests`, `read ${ROOT}tests`].map(descriptorOf);
  const args = [JSON.stringify([{ read: ["tests"] }, asked, folder])];
  const [{ states }] = await outputOf("granted.ts", args, { flags: ["--allow-run", `--allow-read=${ROOT}`] });
  assertEquals(states, ["prompt", "granted"]);
});

test("new ProcessPoolExecutor() refuses permissions that no command line can express", () => {
  for (const item of ["", "a,b"]) {
    assertThrows(
      () => new ProcessPoolExecutor({ permissions: { read: undefined, write: [item] } }),
      TypeError,
      "The option permissions.write must have only values that are not empty and have no comma: ",
    );
  }
});

test("new ProcessPoolExecutor() refuses a program's name that another PATH in env gives another meaning", async () => {
  const options = { permissions: { run: ["echo"] }, env: { Path: "/elsewhere" } };
  const folder = project({
    "main.ts": `import { ProcessPoolExecutor } from "${ENTRY}";
      new ProcessPoolExecutor({ ...${JSON.stringify(options)}, permissions: { run: ["/bin/echo"] } });
      new ProcessPoolExecutor(${JSON.stringify(options)});`,
  });
  const flags = ["--allow-read", `--allow-run=${DENO},echo,/bin/echo`];
  const { stderr } = await runFile(`${folder}/main.ts`, flags);
  assertStringIncludes(
    stderr,
    'NotCapable: Cannot permit a process to run a program by its name when env has another PATH: "echo"',
  );
  assertStringIncludes(stderr, "main.ts:3");
  assertEquals(await runFile(`${folder}/main.ts`, ["-A"]), { code: 0, stdout: "", stderr: "" });
});

test("ProcessPoolExecutor permissions: processes get nothing that the program has given up", async () => {
  const folder = project({
    "main.ts": `import { ProcessPoolExecutor } from "${ENTRY}";
      using all = new ProcessPoolExecutor({ maxWorkers: 1 });
      using some = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { sys: ["hostname"] } });
      Deno.permissions.revokeSync({ name: "sys" });
      console.log(await all.submit(() => Deno.permissions.querySync({ name: "sys" }).state));
      console.log(some.submit(() => Deno.hostname()).exception().message);`,
  });
  const { stdout, stderr } = await runFile(`${folder}/main.ts`);
  const refused = "Cannot permit a process what this program itself may not do in full. " +
    "To fix it, run again with --allow-sys=hostname";
  assertEquals([stdout, stderr], [`prompt\nA worker did not start: ${refused}\n`, ""]);
});

test("ProcessPoolExecutor permissions: a task cannot connect where the program is denied it", async () => {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("reached"));
  const { port } = server.addr;
  const folder = project({
    "main.ts": `import { ProcessPoolExecutor } from "${ENTRY}";
      const attempt = async (port) => {
        try { return await (await fetch("http://127.0.0.1:" + port)).text(); } catch (error) { return error.name; }
      };
      for (const net of [["127.0.0.1:${port}"], ["127.0.0.1"], true, "inherit"]) {
        try {
          using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { net } });
          console.log(await pool.submit(attempt, ${port}));
        } catch (error) { console.log("refused", error.name); }
      }`,
  });
  const outcomes = async (...flags: string[]) => (await runFile(`${folder}/main.ts`, [...FEW, ...flags])).stdout.trim();
  assertEquals(await outcomes("--allow-net"), "reached\nreached\nreached\nreached");
  const refused = "refused NotCapable\nrefused NotCapable\nrefused NotCapable\nNotCapable";
  assertEquals(await outcomes("--allow-net", `--deny-net=127.0.0.1:${port}`), refused);
  assertEquals(await outcomes("--allow-net=127.0.0.1", `--deny-net=127.0.0.1:${port}`), refused);
});
