/**
 * {@linkcode ProcessPoolExecutor}: what its processes are started with, and what they find.
 *
 * Over 400 lines: the projects that it makes are written out in it.
 */
import { ProcessPoolExecutor } from "@concurrent/futures";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { temporaryPath, test, within } from "../_helpers.ts";
import { ENTRY, project, run, runFile } from "../_projects.ts";

const DENO = Deno.execPath();
/** What needs links, shell scripts or `/proc`. */
const testOnUnix: typeof test = Deno.build.os === "windows" ? () => {} : test;
const testOnLinux: typeof test = Deno.build.os === "linux" ? test : () => {};
const FEW = ["--allow-run", "--allow-read"];

/**
 * A program that runs `task` of `./task.ts` in a process and prints its result, or why there is none: for all options
 * that it is given.
 */
function mainOf(...options: object[]): string {
  return `import { ProcessPoolExecutor } from "${ENTRY}";
    import { task } from "./task.ts";
    for (const options of ${JSON.stringify(options)}) {
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, ...options });
      try { console.log(await pool.submit(task)); } catch (error) { console.log(error.message); }
    }`;
}

// ---- the option deno ----------------------------------------------------------------------------------------------

testOnLinux("ProcessPoolExecutor deno: names the executable of the processes, by a path, a URL or a name", async () => {
  const executable = temporaryPath("deno with ä and #");
  Deno.symlinkSync(DENO, executable);
  const url = new URL("file:///");
  url.pathname = executable;
  const relative = `${"../".repeat(Deno.cwd().split("/").length)}${executable}`;
  for (const deno of [executable, url, relative]) {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno, cwd: "/" });
    // By the link, not by what it leads to: so it was this that was started.
    const argument = await within(pool.submit(() => {
      return Deno.readTextFileSync("/proc/self/cmdline").split("\0")[0];
    }));
    assertEquals(argument, executable);
  }
});

testOnUnix("ProcessPoolExecutor deno: a name is looked for in PATH", async () => {
  const folder = project({ "bin/note": "", "task.ts": "export const task = () => 42;" });
  const script = `#!/bin/sh\necho by name >&2\nexec '${DENO}' "$@"\n`;
  Deno.writeTextFileSync(`${folder}/bin/my-deno`, script, { mode: 0o755 });
  Deno.writeTextFileSync(`${folder}/main.ts`, mainOf({ deno: "my-deno" }));
  const { stdout, stderr } = await runFile(`${folder}/main.ts`, ["-A"], { env: { PATH: `${folder}/bin` } });
  assertEquals([stdout, stderr], ["42\n", "by name\n"]);
});

test("new ProcessPoolExecutor() refuses a deno that is no path", () => {
  for (const deno of ["", "a\0b", 1, null, {}, ["deno"], new URL("https://a.com/deno")]) {
    assertThrows(
      () => new ProcessPoolExecutor({ deno: deno as string }),
      TypeError,
      "The option deno must be a path or a file: URL: ",
    );
  }
});

testOnUnix("ProcessPoolExecutor deno: one that is not there breaks the pool, which names it", async () => {
  const folder = temporaryPath("folder");
  Deno.mkdirSync(folder);
  for (const deno of ["/nowhere/deno", folder, "no-such-deno"]) {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno });
    const error = pool.submit(() => 1).exception(10_000) as Error;
    assertEquals(error.name, "BrokenProcessPool");
    assertStringIncludes(error.message, deno);
    if (deno !== "no-such-deno") assertInstanceOf(error.cause, Deno.errors.NotFound);
  }
});

testOnUnix("ProcessPoolExecutor deno: one that is another program breaks the pool, which says so", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno: "true" });
  const error = pool.submit(() => 1).exception(10_000) as Error;
  assertEquals(error.name, "BrokenProcessPool");
  assertStringIncludes(error.message, "exit code 0 while it was starting");
  assertStringIncludes(error.message, "the option deno names another program");
});

testOnUnix("ProcessPoolExecutor deno: needs --allow-run for that executable, and no more", async () => {
  const folder = project({ "task.ts": "export const task = () => 42;" });
  const other = `${folder}/other-deno`;
  Deno.symlinkSync(DENO, other);
  Deno.writeTextFileSync(`${folder}/main.ts`, mainOf({ deno: other }));
  const [allowed, refused] = await Promise.all(
    [other, DENO].map((path) => runFile(`${folder}/main.ts`, [`--allow-run=${path}`, "--allow-read"])),
  );
  assertEquals([allowed.stdout, allowed.stderr], ["42\n", ""]);
  assertEquals(
    refused.stdout,
    `A worker did not start: Cannot start a process without permission to run ${other}. ` +
      `To fix it, run again with --allow-run=${other}\n`,
  );
});

// ---- compiled programs --------------------------------------------------------------------------------------------
// What Deno says of a compiled program is said by the program itself here, as that needs a download.

const STANDALONE = `Object.defineProperty(Deno, "build", { value: { ...Deno.build, standalone: true } });`;

test("new ProcessPoolExecutor() refuses to start a compiled program as its own process, without deno", async () => {
  const folder = project({
    "main.ts": `import { ProcessPoolExecutor } from "${ENTRY}";
      ${STANDALONE}
      try { new ProcessPoolExecutor(1); } catch (error) { console.log(error.name, error.message); }
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno: ${JSON.stringify(DENO)} });
      console.log(await pool.submit(() => Deno.build.standalone));`,
  });
  const { stdout, stderr } = await runFile(`${folder}/main.ts`);
  assertEquals([stdout, stderr], [
    "NotSupported Cannot start processes from a compiled program, " +
    "because its executable is the program and not Deno. " +
    `To fix it, name Deno's executable with the option deno, as in { deno: "/usr/bin/deno" }\nfalse\n`,
    "",
  ]);
});

testOnUnix("ProcessPoolExecutor starts a program that takes Deno's place once, and that one starts none", async () => {
  const folder = project({
    "starts": "",
    "main.ts": `import { ProcessPoolExecutor } from "${ENTRY}";
      const folder = new URL(".", import.meta.url).pathname;
      Deno.writeTextFileSync(folder + "starts", "x", { append: true });
      if (Deno.readTextFileSync(folder + "starts").length > 5) Deno.exit(3);
      using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno: folder + "program" });
      console.log(pool.submit(() => 1).exception().message);`,
  });
  Deno.writeTextFileSync(
    `${folder}/program`,
    `#!/bin/sh\nexec '${DENO}' run -A --quiet --no-check '${folder}/main.ts' "$@"\n`,
    { mode: 0o755 },
  );
  const { code, stdout } = await run(`${folder}/program`, []);
  assertEquals([code, Deno.readTextFileSync(`${folder}/starts`)], [0, "xx"]);
  assertStringIncludes(
    stdout,
    "Cannot start processes, because a pool started this program in place of Deno. To fix it, ",
  );
});

test("ThreadPoolExecutor asks for no permission in a compiled program, which brings its modules along", async () => {
  const program = (standalone: string) =>
    `import { ThreadPoolExecutor } from "${ENTRY}";
    ${standalone}
    const request = Deno.permissions.requestSync;
    Deno.permissions.requestSync = (descriptor) => {
      console.log("asked for", descriptor.name);
      return request.call(Deno.permissions, descriptor);
    };
    using pool = new ThreadPoolExecutor(1);
    console.log(await pool.submit((n) => 2 * n, 21));`;
  const folder = project({ "compiled.ts": program(STANDALONE), "plain.ts": program("") });
  assertEquals((await runFile(`${folder}/compiled.ts`)).stdout, "42\n");
  assertEquals((await runFile(`${folder}/plain.ts`)).stdout, "asked for read\n42\n");
});

test("the modules that workers begin with are in the graph of the package, so deno compile embeds them", async () => {
  const { stdout } = await run(DENO, ["info", "--json", "--no-lock", ENTRY]);
  const { modules } = JSON.parse(stdout) as { modules: { specifier: string }[] };
  for (const path of ["threads/_thread_worker.ts", "processes/_process_broker.ts", "processes/child/main.ts"]) {
    assert(modules.some(({ specifier }) => specifier.endsWith(`/executors/${path}`)), path);
  }
});

// ---- a Deno that was replaced -------------------------------------------------------------------------------------

testOnLinux(
  "ProcessPoolExecutor starts the Deno that has taken the place of its own, as after deno upgrade",
  async () => {
    const folder = project({
      "task.ts": "export const task = () => 42;",
    });
    Deno.copyFileSync(DENO, `${folder}/deno`);
    Deno.writeTextFileSync(
      `${folder}/main.ts`,
      `Deno.copyFileSync("${folder}/deno", "${folder}/new");
     Deno.renameSync("${folder}/new", "${folder}/deno");
     console.log(Deno.execPath() === "${folder}/deno (deleted)");
     await import("./then.ts");`,
    );
    Deno.writeTextFileSync(`${folder}/then.ts`, mainOf({}));
    const { stdout, stderr } = await run(`${folder}/deno`, ["run", "-A", "--no-check", "--quiet", `${folder}/main.ts`]);
    assertEquals([stdout, stderr], ["true\n42\n", ""]);
  },
);

testOnLinux("ProcessPoolExecutor says which Deno is not there any more", async () => {
  const folder = project({ "task.ts": "export const task = () => 42;" });
  Deno.copyFileSync(DENO, `${folder}/deno`);
  Deno.writeTextFileSync(`${folder}/main.ts`, `Deno.removeSync("${folder}/deno"); await import("./then.ts");`);
  Deno.writeTextFileSync(`${folder}/then.ts`, mainOf({}));
  const { stdout } = await run(`${folder}/deno`, ["run", "-A", "--no-check", "--quiet", `${folder}/main.ts`]);
  assertEquals(
    stdout,
    `A worker did not start: Cannot find the executable of Deno: "${folder}/deno". ` +
      "To fix it, name it with the option deno\n",
  );
});

// ---- the project of the program -----------------------------------------------------------------------------------

/** A package that is in no registry. */
const FOO = {
  "node_modules/foo/package.json": `{ "name": "foo", "version": "1.0.0", "type": "module", "main": "index.js" }`,
  "node_modules/foo/index.js": `export const foo = "foo of node_modules";`,
};

const FOO_TASK = `import { foo } from "foo"; export const task = (): string => foo;`;

const TWO = ["inherit", "none"];
let found: Promise<string[][]> | undefined;

/** What programs with all and with few permissions print, in a project of a package.json alone: a line for each. */
async function findPackages(): Promise<string[][]> {
  const folder = project({
    ...FOO,
    "package.json": `{ "dependencies": { "foo": "1.0.0" }, "imports": { "#words": "./words.ts" } }`,
    "words.ts": `export const word = "word";`,
    "task.ts": FOO_TASK,
    "src/app/task.ts": `import { task as foo } from "../../task.ts";
      import { word } from "#words";
      export const task = () => [foo(), word];`,
    "src/app/main.ts": mainOf(...TWO.map((permissions) => ({ permissions }))),
  });
  const printed = [];
  for (const flags of [["-A"], FEW]) {
    const { stdout, stderr } = await runFile(`${folder}/src/app/main.ts`, flags);
    printed.push([...stdout.split("\n"), stderr]);
  }
  return printed;
}

for (const [i, permissions] of TWO.entries()) {
  testOnUnix(
    `ProcessPoolExecutor permissions: "${permissions}" finds node_modules of a package.json alone`,
    async () => {
      for (const lines of await (found ??= findPackages())) {
        assertEquals([lines.length, lines[i], lines[3]], [4, `[ "foo of node_modules", "word" ]`, ""]);
      }
    },
  );
}

testOnUnix("ProcessPoolExecutor: a package.json comes before a deno.json further up, as for the program", async () => {
  const files = { ...FOO, "package.json": `{ "dependencies": { "foo": "1.0.0" } }`, "task.ts": FOO_TASK };
  const folder = project({
    "deno.json": `{ "imports": { "foo": "./other.ts" } }`,
    "other.ts": `export const foo = "other";`,
    ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`app/${path}`, text])),
    "app/main.ts": mainOf({}),
  });
  const { stdout, stderr } = await runFile(`${folder}/app/main.ts`);
  assertEquals([stdout, stderr], ["foo of node_modules\n", ""]);
});

testOnUnix(
  "ProcessPoolExecutor: a package of an npm workspace has the packages of its root, as for the program",
  async () => {
    const folder = project({
      ...FOO,
      "package.json": `{ "workspaces": ["app"], "dependencies": {} }`,
      "app/package.json": `{ "name": "app", "version": "1.0.0", "dependencies": { "foo": "1.0.0" } }`,
      "app/task.ts": FOO_TASK,
      "app/main.ts": mainOf({}),
    });
    const { stdout, stderr } = await runFile(`${folder}/app/main.ts`);
    assertEquals([stdout, stderr], ["foo of node_modules\n", ""]);
  },
);

test("ProcessPoolExecutor: a package.json in a workspace has the imports of its root, as for the program", async () => {
  const folder = project({
    // With comments, and a comma too much.
    "deno.jsonc": `{ /* the "workspace" */ "workspace": ["./app"], // of one
      "imports": { "word": "./word.ts" }, }`,
    "word.ts": `export const word = "of the root // of the workspace";`,
    "app/package.json": `{ "name": "app", "version": "1.0.0" }`,
    "app/task.ts": `import { word } from "word"; export const task = () => word;`,
    "app/main.ts": mainOf({}),
  });
  const { stdout, stderr } = await runFile(`${folder}/app/main.ts`);
  assertEquals([stdout, stderr], ["of the root // of the workspace\n", ""]);
});

/** Serves modules by their paths, on two ports. */
function serveModules(modules: { [path: string]: string }): { hosts: string[] } & AsyncDisposable {
  const servers = [0, 0].map((port) =>
    Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, ({ url }) => {
      const text = modules[new URL(url).pathname.slice(1)];
      const headers = { "content-type": "application/typescript" };
      return text === undefined ? new Response("", { status: 404 }) : new Response(text, { headers });
    })
  );
  return {
    hosts: servers.map(({ addr }) => `127.0.0.1:${addr.port}`),
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server.shutdown();
    },
  };
}

for (
  const [what, files, name] of [
    ["beside the configuration", { "a/deno.json": "{}" }, "a/deno.lock"],
    ["at the root of a workspace", { "deno.json": `{ "workspace": ["./a"] }`, "a/deno.json": "{}" }, "deno.lock"],
    ["that the configuration names", { "a/deno.json": `{ "lock": "../some.lock" }` }, "some.lock"],
    ["whose path the configuration names", { "a/deno.json": `{ "lock": { "path": "l/l.json" } }` }, "a/l/l.json"],
    ["beside a package.json", { "a/package.json": "{}" }, "a/deno.lock"],
  ] as [string, { [path: string]: string }, string][]
) {
  testOnUnix(`ProcessPoolExecutor: the lock file ${what} holds for processes, too`, async () => {
    await using server = serveModules({ "word.ts": `export const word = "word";` });
    const [host] = server.hosts;
    const folder = project({
      ...files,
      "a/task.ts": `import { word } from "http://${host}/word.ts"; export const task = () => word;`,
      // Not loaded by the program: only processes can tell. The second one finds the lock file.
      "a/main.ts": `import { ProcessPoolExecutor, taskRef } from "${ENTRY}";
        const task = taskRef(import.meta.resolve("./task.ts"), "task");
        for (const lock of [undefined, Deno.args[1]]) {
          if (lock !== undefined) Deno.writeTextFileSync(Deno.args[0], lock);
          using pool = new ProcessPoolExecutor(1);
          console.log(await pool.submit(task).then((word) => word, (error) => error.message));
        }`,
    });
    const lock = { version: "5", remote: { [`http://${host}/word.ts`]: "0".repeat(64) } };
    Deno.mkdirSync(`${folder}/${name}`.replace(/[^/]+$/, ""), { recursive: true });
    const args = [`${folder}/${name}`, JSON.stringify(lock)];
    const [before, ...after] = (await runFile(`${folder}/a/main.ts`, ["-A"], { args })).stdout.split("\n");
    assertEquals(before, "word");
    assertStringIncludes(after.join("\n"), "Integrity check failed");
  });
}

// ---- modules of other hosts ---------------------------------------------------------------------------------------

const IMPORTING = ["inherit", "none", { read: "inherit" }, { import: ["a.com"] }];
let imported: Promise<{ allowed: string[]; less: string[]; stderr: string; refused: string }> | undefined;

/**
 * What programs print that may import from both hosts, or from one: they run tasks under all those permissions, so the
 * first test that asks takes as long as all of them.
 */
async function importTasks() {
  await using server = serveModules({
    "task.ts": `import { word } from "./word.ts"; export const task = (n: number): string => word + n;`,
    "word.ts": `export const word: string = "word";`,
  });
  const folder = project({
    "main.ts": `import { ProcessPoolExecutor, taskRef } from "${ENTRY}";
      for (const permissions of ${JSON.stringify(IMPORTING)}) {
        using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions });
        console.log(await pool.submit((n) => "text" + n, 0));
        // The process that there is was not started for these hosts.
        for (const [i, host] of Deno.args.entries()) {
          const task = taskRef("http://" + host + "/task.ts", "task");
          console.log(await pool.submit(task, i).then((word) => word, (error) => error.message));
        }
        console.log([...pool.map(taskRef("http://" + Deno.args[0] + "/task.ts", "task"), [3, 4])].join() + "\\n\\n");
      }`,
  });
  const [allowed, refused] = server.hosts;
  const run = (hosts: string[]) =>
    runFile(`${folder}/main.ts`, [...FEW, `--allow-import=${hosts},a.com`], { args: server.hosts });
  const all = await run(server.hosts);
  const less = await run([allowed]);
  return { allowed: all.stdout.split("\n\n\n"), less: less.stdout.split("\n\n\n"), stderr: all.stderr, refused };
}

for (const [i, permissions] of IMPORTING.entries()) {
  const shown = JSON.stringify(permissions);
  test(`ProcessPoolExecutor permissions: ${shown} loads tasks of hosts in --allow-import`, async () => {
    const { allowed, less, stderr, refused } = await (imported ??= importTasks());
    assertEquals([allowed[i], stderr], ["text0\nword0\nword1\nword3,word4", ""]);
    assertStringIncludes(less[i], `text0\nword0\nRequires import access to "${refused}"`);
  }, { bound: 90_000 });
}

test("ProcessPoolExecutor runs with this package from another host, under all permissions", async () => {
  const root = new URL("../../", import.meta.url);
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    try {
      const text = await Deno.readTextFile(new URL(`.${new URL(url).pathname}`, root));
      return new Response(text, { headers: { "content-type": "application/typescript" } });
    } catch {
      return new Response("", { status: 404 });
    }
  });
  const host = `127.0.0.1:${server.addr.port}`;
  const folder = project({ "task.ts": "export const task = () => 42;" });
  const main = mainOf(...TWO.map((permissions) => ({ permissions })));
  Deno.writeTextFileSync(`${folder}/main.ts`, main.replace(ENTRY, `http://${host}/mod.ts`));
  for (const flags of [["-A"], [...FEW, `--allow-import=${host}`]]) {
    const { stdout, stderr } = await runFile(`${folder}/main.ts`, flags);
    assertEquals([stdout, stderr], ["42\n42\n", ""]);
  }
});

// ---- many modules -------------------------------------------------------------------------------------------------

test(
  'ProcessPoolExecutor permissions: "none" runs tasks of more modules than a command line takes',
  async () => {
    // Long names: about twenty of them are as many as it takes.
    const folder = temporaryPath(
      `modules-${"x".repeat(80)}?#&%"${`/${"y".repeat(240)}`.repeat(11)}/${"z".repeat(200)}`,
    );
    Deno.mkdirSync(folder, { recursive: true });
    for (let i = 0; i < 45; i++) Deno.writeTextFileSync(`${folder}/${i}.ts`, `export const task = () => ${i};`);
    const url = new URL("file:///");
    url.pathname = folder.replaceAll("%", "%25");
    const { href } = url;
    const main = project({
      "main.ts": `import { ProcessPoolExecutor, taskRef } from "${ENTRY}";
      using pool = new ProcessPoolExecutor({ maxWorkers: 2, permissions: "none" });
      const tasks = Array.from({ length: 45 }, (_, i) => taskRef(Deno.args[0] + "/" + i + ".ts", "task"));
      const results = await Promise.all(tasks.map((task) => pool.submit(task)));
      console.log(results.every((result, i) => result === i), results.length);
      console.log(await pool.submit(tasks[0]), await pool.submit(tasks[44]), await pool.submit(tasks[22]));`,
    });
    const { stdout, stderr } = await runFile(`${main}/main.ts`, FEW, { args: [href] });
    assertEquals([stdout, stderr], ["true 45\n0 44 22\n", ""]);
  },
  { bound: 60_000 },
);
