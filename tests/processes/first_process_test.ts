/**
 * {@linkcode ProcessPoolExecutor}: the first process, which starts before the broker is loaded. Where the executable is
 * a script, it does in a fraction of the time what the test wants, and what the owner says comes sooner, too.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { ProcessPoolExecutor, TaskNotFoundError } from "@concurrent/futures";
import { Keeper } from "../../executors/processes/_keeper.ts";
import { BOUND, childProcesses, runProgram, temporaryPath, test, until, within } from "../_helpers.ts";
import { commandOf } from "../_start.ts";
import { ownPid } from "../fixtures/crash_tasks.ts";
import { replacePartsOfDeno } from "../fixtures/process_tasks.ts";
import { echo, square } from "../fixtures/tasks.ts";
import { assertDeath } from "./_death.ts";

/** An executable for processes that runs some lines of the shell. */
function shellScript(...lines: string[]): string {
  const path = temporaryPath("deno");
  Deno.writeTextFileSync(path, `#!/bin/sh\n${lines.join("\n")}\n`, { mode: 0o755 });
  return path;
}

test(
  `ProcessPoolExecutor: what the first process has said before the broker takes it over is read, as is its death`,
  async () => {
    const deno = shellScript("echo said early >&2", "exit 3");
    const end = { exitCode: 3, signal: null, says: /while it was starting.*said early/s };
    for (const replaces of [false, true]) {
      await using pool = new ProcessPoolExecutor({
        maxWorkers: 1,
        deno,
        onWorkerCrash: replaces ? "replace" : "break",
      });
      assertDeath(await within(pool.submit(square, 1).then(() => undefined, (error) => error)), end);
    }
  },
  { linuxOnly: true },
);

test(
  `ProcessPoolExecutor: the first process starts once, also where a large task comes before the broker is loaded`,
  async () => {
    const starts = temporaryPath("starts");
    Deno.writeTextFileSync(starts, "");
    const deno = shellScript(`echo $$ >> '${starts}'`, `exec '${Deno.execPath()}' "$@"`);
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, deno });
    const text = "x".repeat(2 ** 20);
    assertEquals(await within(pool.submit(echo<string>, text)), text);
    assertEquals(Deno.readTextFileSync(starts).trim().split("\n"), [String(await within(pool.submit(ownPid)))]);
  },
  { linuxOnly: true },
);

test(`ProcessPoolExecutor: a pool that ends before its broker is loaded ends its first process`, async () => {
  for (const way of ["terminateWorkers", "killWorkers", "shutdown"] as const) {
    const pool = new ProcessPoolExecutor(2);
    const futures = [1, 2, 3].map((n) => pool.submit(square, n));
    if (way === "shutdown") void pool.shutdown({ wait: false, cancelFutures: true });
    else pool[way]();
    assertEquals(futures.map((future) => future.cancelled()), [true, true, true]);
    await within(pool.shutdown(), "shutdown");
    assertEquals(childProcesses() ?? [], []);
  }
});

test(
  `Keeper.left resolves when the shell that looks after processes is no child of this program any more`,
  async () => {
    const process = new Deno.Command("sleep", { args: ["60"] }).spawn();
    const keeper = new Keeper();
    assert(keeper.keep(process.pid));
    assertEquals(childProcesses()?.length, 2);
    await within(keeper.left);
    assertEquals(childProcesses(), [`${process.pid}`]);
    keeper.forget(process.pid);
    process.kill("SIGKILL");
    await process.status;
  },
  { linuxOnly: true },
);

test(`ProcessPoolExecutor: what cannot be sent leaves a process to the next task, or the end of its pool`, async () => {
  for (const hasTask of [true, false]) {
    const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    assertInstanceOf(pool.submit(square.bind(null, 1)).exception(BOUND), TaskNotFoundError);
    await until(() => pool.stats().idle === 1, "a process");
    if (hasTask) {
      const [child] = childProcesses() ?? [];
      const own = String(await within(pool.submit(ownPid)));
      assertEquals(child ?? own, own);
    }
    await within(pool.shutdown(), "shutdown");
    assertEquals(childProcesses() ?? [], []);
  }
});

test(`ProcessPoolExecutor: a broker that cannot be loaded breaks the pool, and its first process ends`, async () => {
  const folder = copyOfLibrary();
  Deno.writeTextFileSync(`${folder}/executors/processes/_process_broker.ts`, 'throw new Error("no broker");');
  Deno.writeTextFileSync(
    `${folder}/main.ts`,
    `import { ProcessPoolExecutor } from "./mod.ts";
     const pool = new ProcessPoolExecutor(1);
     try { await pool.submit(() => 1); } catch (error) { console.log(error.message); }
     await pool.shutdown();`,
  );
  const start = ["run", "-A", "--no-check", "--no-config", "--quiet", `${folder}/main.ts`, folder];
  const { stdout, code } = await new Deno.Command(Deno.execPath(), { args: start, stderr: "null" }).output();
  assertMatch(new TextDecoder().decode(stdout), /^A worker failed: .*Error: no broker\n$/);
  assertEquals(code, 0);
  await until(() => processesNaming(folder).length === 0, "the end of the process");
}, { linuxOnly: true });

test(`ProcessPoolExecutor: a program ends where the first process cannot be told how it is started`, async () => {
  const { stdout, code } = await runProgram("env_changed.ts", []);
  assertMatch(stdout, /^BrokenProcessPool: A worker did not start: .* could not be cloned\.\n$/);
  assertEquals(code, 0);
});

test(`ProcessPoolExecutor: what a task puts in the place of a part of Deno stays there`, async () => {
  await using pool = new ProcessPoolExecutor(1);
  assertEquals(await within(pool.submit(replacePartsOfDeno)), [undefined, "own", undefined, "own"]);
});

for (const ms of [10, 30, 60]) {
  test(
    `ProcessPoolExecutor: a program is killed ${ms} ms after it has its first process start: nothing is left`,
    async () => {
      const mark = temporaryPath("mark");
      const program = commandOf("killed_at_start.ts", [String(ms), mark]).spawn();
      await within(program.status);
      await Promise.all([program.stdout.cancel(), program.stderr.cancel()]);
      await until(() => processesNaming(mark).length === 0, "the end of the process");
    },
    { linuxOnly: true },
  );
}

/** The processes that have a text among their arguments. */
function processesNaming(text: string): number[] {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).map(({ name }) => Number(name))
    .filter((pid) => {
      try {
        return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(text);
      } catch {
        return false;
      }
    });
}

/** The modules of this library in a folder of their own. */
function copyOfLibrary(): string {
  const root = new URL("../../", import.meta.url);
  const folder = temporaryPath("library");
  const copy = (path: string) => {
    const from = new URL(path, root);
    if (Deno.statSync(from).isDirectory) {
      Deno.mkdirSync(`${folder}/${path}`, { recursive: true });
      for (const { name } of Deno.readDirSync(from)) copy(`${path}/${name}`);
    } else if (path.endsWith(".ts")) Deno.copyFileSync(from, `${folder}/${path}`);
  };
  for (const path of ["futures", "executors", "mod.ts"]) copy(path);
  return folder;
}
