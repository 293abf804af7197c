/**
 * {@linkcode ProcessPoolExecutor}: deaths at the end: of the program, of a pool that is shut down, of a process that is
 * starting.
 */
import { assert, assertEquals, assertInstanceOf, assertLess, assertMatch, fail } from "@std/assert";
import { BrokenProcessPool, CancelledError, type Future, ProcessPoolExecutor } from "@concurrent/futures";
import {
  both,
  bothCancelled,
  bothFail,
  BOUND,
  childProcesses,
  elapsed,
  Gate,
  runProgram,
  sleep,
  temporaryPath,
  test,
  until,
  within,
} from "../_helpers.ts";
import { commandOf, isAlive } from "../_start.ts";
import { killAtGate, killSelf, killSelfAfter, ownPid } from "../fixtures/crash_tasks.ts";
import { echo, lengthOf, passGate, square } from "../fixtures/tasks.ts";
import { isBlocking, MODES } from "./_death.ts";
import { keepReplaced, lendReplacing } from "./_replacing.ts";

const name = "ProcessPoolExecutor";
const replacing = lendReplacing();

/** Moments of the start of a process, in milliseconds after its pool has got a task. */
const START_MS = [0, 5, 15, 25, 40];

/** How long a shutdown may take that has nothing to wait for, in milliseconds. */
const SOON = 5_000;

function pidsIn(file: string): number[] {
  try {
    return Deno.readTextFileSync(file).split("\n").slice(0, -1).map(Number);
  } catch {
    return [];
  }
}

/** Waits until none of the processes is left, and ends them when they do not go. */
async function allGone(pids: number[], ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    if (!pids.some(isAlive)) return;
    await sleep(5);
  }
  const left = pids.filter(isAlive);
  for (const pid of left) Deno.kill(pid, "SIGKILL");
  fail(`${left.length} of ${pids.length} processes were alive after ${ms} ms`);
}

function assertKilled(error: unknown, pid?: number): void {
  assertInstanceOf(error, BrokenProcessPool, Deno.inspect(error));
  assertEquals([error.exitCode, error.signal], [137, "SIGKILL"], error.message);
  if (pid !== undefined) assertEquals(error.pid, pid, error.message);
}

/** Shuts down in every way, and fails where that takes long. */
async function end(pool: ProcessPoolExecutor, blocking: boolean, ms = SOON): Promise<void> {
  const start = performance.now();
  if (blocking) pool.shutdownSync();
  else await within(pool.shutdown(), "shutdown()", ms);
  const took = performance.now() - start;
  assert(took < ms, `shutdown took ${took} ms`);
  assertEquals(childProcesses() ?? [], [], "processes outlive shutdown()");
}

function assertOwnErrors(futures: Future<unknown>[]): void {
  assertEquals(new Set(futures.map((future) => future.exception(0))).size, futures.length, "each has its own error");
}

// ---- the program is killed ----------------------------------------------------------------------------------------

for (
  const [way, what, ms] of [
    ["idle", "are idle", 900],
    ["await", "await", 900],
    ["compute", "compute", 5_000],
    ["blocked", "compute, await and are idle, with the main thread blocked", 5_000],
  ] as const
) {
  test(`${name}: the program is killed while 4 processes ${what}: none is alive ${ms / 1_000} s later`, async () => {
    const file = temporaryPath("pids");
    const program = commandOf("crash_parent.ts", [way, file], { stdout: "inherit", stderr: "inherit" }).spawn();
    try {
      await until(() => new Set(pidsIn(file)).size === 4, "four processes");
      assert(pidsIn(file).every(isAlive));
    } finally {
      program.kill("SIGKILL");
      await program.status;
    }
    await allGone(pidsIn(file), ms);
  }, { linuxOnly: true });
}

for (const way of ["compute, with more input than they take", "compute, with more output than is read"]) {
  test(`${name}: the program is killed while processes ${way}: none is alive 5 s later`, async () => {
    const file = temporaryPath("pids");
    const program = commandOf("crash_parent.ts", [way, file]).spawn();
    try {
      const count = way.endsWith("read") ? 1 : 3;
      await until(() => pidsIn(file).length === count, "the process");
      // Until the pipe is full, which nobody can see.
      await sleep(300);
      assert(isAlive(pidsIn(file)[0]));
    } finally {
      program.kill("SIGKILL");
      await program.status;
      await Promise.all([program.stdout.cancel(), program.stderr.cancel()]);
    }
    await allGone(pidsIn(file).filter((pid) => pid > 0), 5_000);
  }, { linuxOnly: true });
}

for (const way of ["crash at the end", "crash at the end, replace"]) {
  test(`${name}: a program whose last tasks ${way} after shutdown({ wait: false }) ends by itself`, async () => {
    const file = temporaryPath("pids");
    const { code, stderr } = await runProgram("crash_parent.ts", [way, file], { bound: 10_000 });
    assertEquals([code, stderr], [0, ""]);
    // Perhaps not both had started when the first one died.
    assert(pidsIn(file).length > 0);
    await allGone(pidsIn(file), 1_000);
  }, { linuxOnly: true });
}

test(`${name}: a program ends, and its processes with it, although they react to nothing`, async () => {
  const file = temporaryPath("pids");
  const { code, stderr } = await runProgram("crash_parent.ts", ["stopped", file], { bound: 10_000 });
  assertEquals([code, stderr], [0, ""]);
  assertEquals(pidsIn(file).length, 2);
  await allGone(pidsIn(file), 2_000);
}, { linuxOnly: true });

// ---- shutdown -----------------------------------------------------------------------------------------------------

for (const onWorkerCrash of MODES) {
  const replaces = onWorkerCrash === "replace";

  test(`${name} {${onWorkerCrash}}: a task kills its process 100 ms after shutdown() has begun`, async () => {
    for (const blocking of [true, false]) {
      const pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash });
      const pid = pool.submit(ownPid).result(BOUND);
      const doomed = pool.submit(killSelfAfter, 100);
      const behind = [1, 2, 3].map((n) => pool.submit(square, n));
      await end(pool, blocking);
      assert([doomed, ...behind].every((future) => future.done()), "shutdown() came back too soon");
      await bothFail(doomed, (error) => assertKilled(error, pid));
      for (const [i, future] of behind.entries()) {
        if (replaces) await both(future, (value) => assertEquals(value, (i + 1) ** 2));
        else await bothFail(future, (error) => assertKilled(error, pid));
      }
      if (!replaces) assertOwnErrors([doomed, ...behind]);
    }
  });

  for (const [i, way] of (["cancel() each", "cancelFutures", "killWorkers()"] as const).entries()) {
    test(`${name} {${onWorkerCrash}}: futures cancelled by ${way} stay cancelled when the process dies`, async () => {
      for (const blocking of [isBlocking(i, onWorkerCrash)]) {
        const pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash });
        using gate = new Gate();
        using doom = new Gate();
        const beside = pool.submit(passGate<number>, gate.path, 7);
        const doomed = pool.submit(killAtGate, doom.path);
        await gate.arrived();
        await doom.arrived();
        const behind = Array.from({ length: 20 }, (_, i) => pool.submit(square, i));
        if (way === "cancel() each") { for (const future of [doomed, beside, ...behind]) future.cancel(); }
        if (way === "cancelFutures") await pool.shutdown({ cancelFutures: true, wait: false });
        if (way === "killWorkers()") pool.killWorkers();
        assertEquals(behind.every((future) => future.cancelled()), true);
        assertEquals([doomed.cancelled(), beside.cancelled()], [false, false]);
        doom.open();
        await bothFail(doomed, (error) => assertKilled(error));
        if (replaces && way !== "killWorkers()") {
          gate.open();
          await both(beside, (value) => assertEquals(value, 7));
        } else {
          await bothFail(beside, (error) => assertKilled(error));
          assertOwnErrors([doomed, beside]);
        }
        for (const future of behind) await bothCancelled(future);
        await end(pool, blocking);
        for (const future of behind) assertInstanceOf(await future.then(() => {}, (error) => error), CancelledError);
      }
    });
  }

  test(`${name} {${onWorkerCrash}}: shutdown() at each moment of a start settles everything`, async () => {
    for (const [i, ms] of START_MS.entries()) {
      for (const blocking of [true, false]) {
        // Each moment in each way, in one of the two modes: a start is the same in both.
        if (ms > 0 && blocking !== isBlocking(i, onWorkerCrash)) continue;
        const pool = new ProcessPoolExecutor({ maxWorkers: 1 + i % 2, onWorkerCrash });
        const futures = [1, 2, 3].map((n) => pool.submit(square, n));
        if (ms > 0) await sleep(ms);
        await end(pool, blocking);
        for (const [i, future] of futures.entries()) await both(future, (value) => assertEquals(value, (i + 1) ** 2));
      }
    }
  });

  for (const way of ["cancelFutures", "killWorkers", "terminateWorkers"] as const) {
    test(`${name} {${onWorkerCrash}}: ${way} at each moment of the start settles everything`, async () => {
      // A start is the same in both modes.
      for (const [i, ms] of START_MS.filter((ms, i) => ms === 0 || isBlocking(i, onWorkerCrash)).entries()) {
        const pool = new ProcessPoolExecutor({ maxWorkers: 1 + i % 2, onWorkerCrash });
        const futures = [1, 2, 3].map((n) => pool.submit(square, n));
        if (ms > 0) await sleep(ms);
        if (way === "cancelFutures") await pool.shutdown({ cancelFutures: true, wait: false });
        else pool[way]();
        await end(pool, ms % 2 === 0);
        for (const [i, future] of futures.entries()) {
          assert(future.done(), `${way} after ${ms} ms: ${future}`);
          if (future.cancelled()) continue;
          const error = future.exception(0);
          if (error === null) assertEquals(future.result(0), (i + 1) ** 2);
          else assert(way !== "cancelFutures" && error instanceof BrokenProcessPool, Deno.inspect(error));
        }
      }
    });
  }

  test(`${name} {${onWorkerCrash}}: a process dies while 16 MiB of arguments are being written to it`, async () => {
    const big = new Uint8Array(16 << 20).fill(1);
    for (const blocking of [true, false]) {
      for (const isShutDown of [false, true]) {
        // Each of the four in one of the two modes.
        if (blocking !== isBlocking(Number(isShutDown), onWorkerCrash)) continue;
        const pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash });
        // A process gets its second task when it has started a thread, and the third one at once.
        const [pid] = [1, 2].map(() => pool.submit(ownPid).result(BOUND));
        Deno.kill(pid, "SIGSTOP"); // so that it reads nothing
        const doomed = pool.submit(lengthOf, big);
        const behind = pool.submit(lengthOf, big.subarray(0, 1 << 20));
        await until(() => doomed.running(), "the task is being sent");
        const shutdown = isShutDown ? pool.shutdown() : undefined;
        Deno.kill(pid, "SIGKILL");
        if (!blocking) await within(doomed.then(() => {}, () => {}), "the task", SOON);
        await bothFail(doomed, (error) => assertKilled(error, pid));
        if (replaces) await both(behind, (value) => assertEquals(value, 1 << 20));
        else await bothFail(behind, (error) => assertKilled(error, pid));
        await end(pool, blocking);
        await shutdown;
      }
    }
  }, { linuxOnly: true, bound: 60_000 });

  test(
    `${name} {${onWorkerCrash}}: shutdown() ends an idle process that reacts to nothing, within seconds`,
    async () => {
      // One that is shut down while this thread blocks for the other one, and is awaited then.
      const pools = [1, 2].map(() => new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash }));
      for (const pool of pools) Deno.kill(pool.submit(ownPid).result(BOUND), "SIGSTOP");
      const shutdown = pools[0].shutdown();
      assertLess(elapsed(() => pools[1].shutdownSync()), SOON);
      await end(pools[0], false);
      await within(shutdown);
    },
    { linuxOnly: true },
  );

  test(`${name} {${onWorkerCrash}}: all processes die at once while shutdown() waits`, async () => {
    for (const blocking of [isBlocking(0, onWorkerCrash)]) {
      const pool = new ProcessPoolExecutor({ maxWorkers: 3, onWorkerCrash });
      using doom = new Gate();
      const doomed = [1, 2, 3].map(() => pool.submit(killAtGate, doom.path));
      await doom.arrived(3);
      const behind = [1, 2, 3].map((n) => pool.submit(square, n));
      const shutdown = pool.shutdown();
      doom.open();
      await end(pool, blocking);
      await within(shutdown);
      for (const future of doomed) await bothFail(future, (error) => assertKilled(error));
      for (const future of behind) {
        if (replaces) assertEquals(future.exception(0), null);
        else await bothFail(future, (error) => assertKilled(error));
      }
      assertOwnErrors(replaces ? doomed : [...doomed, ...behind]);
    }
  });
}

test(`${name} {break}: the death of one process ends the others at once, and says so to nobody else`, async () => {
  const pool = new ProcessPoolExecutor({ maxWorkers: 3 });
  using gate = new Gate();
  const beside = [1, 2].map(() => pool.submit(passGate, gate.path));
  await gate.arrived(2);
  const doomed = pool.submit(killSelf, "SIGKILL");
  await bothFail(doomed, (error) => assertKilled(error));
  const { pid } = doomed.exception(0) as BrokenProcessPool;
  for (const future of beside) await bothFail(future, (error) => assertKilled(error, pid));
  // Not yet shut down.
  await until(() => (childProcesses() ?? []).length === 0, "the others are gone", SOON);
  await end(pool, false);
  assertOwnErrors([doomed, ...beside]);
});

test(`${name} {replace}: a pool whose processes die between tasks, again and again, loses nothing else`, async () => {
  const pool = replacing();
  for (let i = 0; i < 4; i++) {
    const pid = pool.submit(ownPid).result(BOUND);
    Deno.kill(pid, "SIGKILL");
    // It may be given a task while it dies: then that one fails, and says of what.
    const futures = [1, 2, 3, 4].map((n) => pool.submit(echo<number>, n));
    for (const [j, future] of futures.entries()) {
      const outcome = await within(future.then((value) => value, (error) => error));
      if (outcome instanceof Error) assertKilled(outcome, pid);
      else assertEquals(outcome, j + 1);
    }
    assertMatch(String(await within(pool.submit(square, i))), RegExp(`^${i * i}$`));
  }
  await keepReplaced();
});

test(`${name} {break}: a death fails 17,000 futures that wait with an error each, and no cancelled one`, async () => {
  // More than there is room for in shared memory; and fewer, which are awaited.
  for (const [count, blocking] of [[17_000, true], [1_000, false]] as const) {
    const pool = new ProcessPoolExecutor(1);
    using doom = new Gate();
    const doomed = pool.submit(killAtGate, doom.path);
    await doom.arrived();
    const behind = Array.from({ length: count }, (_, i) => pool.submit(square, i));
    const cancelled = new Set(behind.filter((_, i) => i % 7 === 0));
    for (const future of cancelled) future.cancel();
    doom.open();
    if (blocking) doomed.exception(BOUND);
    else await within(Promise.allSettled([doomed, ...behind]), "all of them");
    const failed = [doomed, ...behind].filter((future) => !cancelled.has(future as Future<number>));
    const errors = failed.map((future) => future.exception(BOUND) as BrokenProcessPool);
    assertKilled(errors[0]);
    const { pid, message } = errors[0];
    // As assertKilled(), which takes a while for so many.
    const others = errors.filter((error) => {
      return !(error instanceof BrokenProcessPool && error.exitCode === 137 && error.signal === "SIGKILL" &&
        error.pid === pid && error.message === message);
    });
    assertEquals(others, []);
    assertOwnErrors(failed);
    assert([...cancelled].every((future) => future.cancelled()));
    await end(pool, blocking);
  }
});
