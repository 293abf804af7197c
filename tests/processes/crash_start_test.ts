/** {@linkcode ProcessPoolExecutor}: processes that die while they start, or cannot be started. */
import { assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import { BrokenProcessPool, ProcessPoolExecutor, type ProcessPoolExecutorOptions } from "@concurrent/futures";
import {
  both,
  bothFail,
  childProcesses,
  Gate,
  sleep,
  spin,
  temporaryPath,
  test,
  thrownBy,
  untilSync,
  within,
} from "../_helpers.ts";
import { killSelf, killSelfLater, killSelfTwiceOfThree } from "../fixtures/crash_tasks.ts";
import { passGate, square } from "../fixtures/tasks.ts";
import { assertDeath, type End } from "./_death.ts";

const name = "ProcessPoolExecutor";
const MODES = ["break", "replace"] as const;

const STARTS: [string, ProcessPoolExecutorOptions, End][] = [
  ["a flag that V8 does not know", { env: { DENO_V8_FLAGS: "--no-such-flag" } }, {
    exitCode: 1,
    signal: null,
    says: /while it was starting.*no-such-flag/s,
  }],
  ["an initializer that kills it", { initializer: killSelf, initargs: ["SIGKILL"] }, {
    exitCode: 137,
    signal: "SIGKILL",
    says: /while it was starting/,
  }],
  ["an initializer that awaits and kills it", { initializer: killSelfLater, initargs: ["SIGTERM"] }, {
    exitCode: 143,
    signal: "SIGTERM",
    says: /while it was starting/,
  }],
];

for (const mode of MODES) {
  for (const [what, options, end] of STARTS) {
    const when = mode === "break" ? "" : ", after a few more";
    test(`${name} {${mode}}: ${what} at its start breaks the pool${when}`, async () => {
      for (const [maxWorkers, blocking] of [[1, true], [2, false]] as const) {
        using pool = new ProcessPoolExecutor({ maxWorkers, onWorkerCrash: mode, ...options });
        const futures = [1, 2, 3, 4, 5].map((n) => pool.submit(square, n));
        if (!blocking) await within(Promise.allSettled(futures), "all of them");
        for (const future of futures) await bothFail(future, (error) => assertDeath(error, end));
        assertEquals(new Set(futures.map((future) => future.exception(0))).size, 5, "each has an error of its own");
        if (mode === "replace") assertMatch((futures[0].exception(0) as Error).message, /\blast 3 processes died/);
        assertDeath(thrownBy(() => pool.submit(square, 1)), end);
      }
    });
  }

  test(`${name} {${mode}}: a folder that does not exist breaks the pool, and the error says which`, async () => {
    for (const blocking of [true, false]) {
      using pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash: mode, cwd: "/no/such/folder" });
      const futures = [1, 2, 3].map((n) => pool.submit(square, n));
      if (!blocking) await within(Promise.allSettled(futures), "all of them");
      for (const future of futures) {
        await bothFail(future, (error) => {
          assertInstanceOf(error, BrokenProcessPool);
          assertStringIncludes(error.message, "/no/such/folder");
          assertEquals([error.pid, error.exitCode, error.signal], [undefined, undefined, undefined]);
        });
      }
      assertEquals(new Set(futures.map((future) => future.exception(0))).size, 3);
    }
  });
}

for (const mode of MODES) {
  test(`${name} {${mode}}: a process that cannot be started for a moment is started later, nothing fails`, async () => {
    const cwd = temporaryPath("folder");
    Deno.mkdirSync(cwd);
    using pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash: mode, cwd });
    using gate = new Gate();
    const beside = pool.submit(passGate<string>, gate.path, "beside");
    await gate.arrived();
    Deno.renameSync(cwd, `${cwd}.away`);
    const futures = [1, 2, 3].map((n) => pool.submit(square, n));
    // Nobody can see the vain start, and three of them break the pool.
    await sleep(50);
    Deno.renameSync(`${cwd}.away`, cwd);
    for (const [i, future] of futures.entries()) await both(future, (value) => assertEquals(value, (i + 1) ** 2));
    assertEquals([beside.done(), beside.running()], [false, true]);
    gate.open();
    await both(beside, (value) => assertEquals(value, "beside"));
  });
}

test(`${name} {replace}: two of three that die while they start are replaced, and each task runs`, async () => {
  using pool = new ProcessPoolExecutor({
    maxWorkers: 1,
    maxTasksPerChild: 1,
    onWorkerCrash: "replace",
    initializer: killSelfTwiceOfThree,
    initargs: [temporaryPath("starts")],
  });
  // One at a time: nothing but the death itself starts the next process.
  await both(() => pool.submit(square, 3), (value) => assertEquals(value, 9));
});

test(`${name}: an initializer's long error is read, though all has ended when the program looks`, async () => {
  const path = temporaryPath("begun");
  const fail = (path: string) => {
    Deno.writeTextFileSync(path, "");
    throw new Error("x".repeat(20_000));
  };
  const pool = new ProcessPoolExecutor({ maxWorkers: 1, initializer: fail, initargs: [path] });
  const futures = [1, 2, 3].map((n) => pool.submit(square, n));
  untilSync(() => fileExists(path), "the initializer");
  untilSync(() => childProcesses()!.length === 0, "the end of the process");
  // What the broker says after that comes within milliseconds, and nothing tells that it has come.
  spin(100);
  for (const future of futures) await bothFail(future, (error) => assertInstanceOf(error, BrokenProcessPool));
  await within(pool.shutdown(), "shutdown()");
}, { linuxOnly: true });

function fileExists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
