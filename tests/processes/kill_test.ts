/** {@linkcode ProcessPoolExecutor}: how its processes are ended, and the signals that they do not hear. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokenProcessPool, CancelledError, ProcessPoolExecutor, ShutdownError, wait } from "@concurrent/futures";
import {
  Border,
  bothCancelled,
  bothFail,
  BOUND,
  childProcesses,
  Gate,
  Ledger,
  outputOf,
  pause,
  runProgram,
  temporaryPath,
  test,
  thrownBy,
  until,
  untilSync,
  within,
} from "../_helpers.ts";
import { isAlive, Running } from "../_start.ts";
import {
  endByTerm,
  ignoreTerm,
  loopForEver,
  pauseForEver,
  pid,
  pidAtGate,
  waitForEver,
} from "../fixtures/process_tasks.ts";
import { failToStart, passGate, square } from "../fixtures/tasks.ts";

const WAYS = [
  { way: "terminateWorkers", signal: "SIGTERM" },
  { way: "killWorkers", signal: "SIGKILL" },
] as const;

// deno-lint-ignore no-explicit-any
function assertKilled(error: any, signal: string, pid: number): void {
  assertInstanceOf(error, BrokenProcessPool);
  assertEquals([error.signal, error.pid], [signal, pid]);
  assertStringIncludes(error.message, `${pid}`);
  assertStringIncludes(error.message, signal);
}

type Recording<R> = (ledger: string) => R;

/** A pool with a process for each of these tasks, which all run: each has written in the ledger which process it is. */
async function poolThatRuns<R>(...tasks: Recording<R>[]) {
  const ledger = new Ledger();
  const pool = new ProcessPoolExecutor(tasks.length);
  const futures = tasks.map((task) => pool.submit(task, ledger.path));
  await until(() => ledger.lines().length === tasks.length, "tasks that run");
  return { pool, ledger, futures, pids: ledger.lines().map(Number) };
}

for (const { way, signal } of WAYS) {
  const name = `ProcessPoolExecutor.${way}()`;

  test(`${name} fails what runs, cancels what is queued, and refuses what comes later`, async () => {
    const ledger = new Ledger();
    const pool = new ProcessPoolExecutor(2);
    const done = pool.submit(square, 3);
    assertEquals(await within(done), 9);
    const running = [pool.submit(pauseForEver, ledger.path), pool.submit(waitForEver, ledger.path)];
    await until(() => ledger.lines().length === 2, "two tasks that run");
    const queued = Array.from({ length: 20 }, (_, i) => pool.submit(square, i));
    pool[way]();
    for (const future of queued) await bothCancelled(future);
    const pids = ledger.numbers();
    for (const future of running) {
      await bothFail(future, (error) => {
        assert(pids.includes(error.pid));
        assertKilled(error, signal, error.pid);
        assertStringIncludes(error.message, way);
      });
    }
    assertThrows(() => pool.submit(square, 1), ShutdownError);
    assertThrows(() => pool.map(square, [1]), ShutdownError);
    assertEquals(done.result(0), 9);
    await within(pool.shutdown());
    assertEquals(childProcesses() ?? [], []);
  });

  test(`${name} ends idle processes, and waits for none of them`, async () => {
    const pool = new ProcessPoolExecutor(2);
    const gate = new Gate();
    const futures = [1, 2].map(() => pool.submit(pidAtGate, gate.path));
    await gate.arrived(2);
    gate.open();
    await within(wait(futures));
    pool[way]();
    assertThrows(() => pool.submit(square, 1), ShutdownError);
    await until(() => (childProcesses() ?? []).length === 0, "no more processes");
    pool.shutdownSync();
  });

  test(`${name} may be called on any pool, and again`, async () => {
    const unstarted = new ProcessPoolExecutor(1);
    unstarted[way]();
    unstarted[way]();
    assertThrows(() => unstarted.submit(square, 1), ShutdownError);
    unstarted.shutdownSync();
    unstarted[way]();

    const shut = new ProcessPoolExecutor(1);
    assertEquals(shut.submit(square, 2).result(BOUND), 4);
    await within(shut.shutdown());
    shut[way]();
    shut[way]();
    await within(shut.shutdown());

    const broken = new ProcessPoolExecutor({ maxWorkers: 1, initializer: failToStart, initargs: ["no"] });
    await bothFail(broken.submit(square, 1), (error) => assertInstanceOf(error, BrokenProcessPool));
    broken[way]();
    assertThrows(() => broken.submit(square, 1), BrokenProcessPool);
    broken[way]();
    await within(broken.shutdown());

    const { way: other } = WAYS.find((one) => one.way !== way)!;
    const { pool: used, futures } = await poolThatRuns(waitForEver);
    used[way]();
    used[other]();
    used[way]();
    await bothFail(futures[0], (error) => assertInstanceOf(error, BrokenProcessPool));
    await within(used.shutdown());
  });

  test(`${name} during the start of processes leaves no future and no process behind`, async () => {
    for (const [i, ms] of [0, 1, 10, 25, 50, 80].entries()) {
      for (const [j, maxTasksPerChild] of [undefined, 1].entries()) {
        // Each moment with each number of tasks, by one of the two ways; before there is a process, by both.
        if (ms > 0 && (i + j) % 2 === WAYS.findIndex((one) => one.way === way)) continue;
        const pool = new ProcessPoolExecutor({ maxWorkers: 1 + i % 2, maxTasksPerChild });
        const futures = Array.from({ length: 6 }, (_, i) => pool.submit(square, i));
        if (ms > 0) pause(ms);
        pool[way]();
        await within(wait(futures), `six futures, ${ms} ms after submit()`);
        for (const [i, future] of futures.entries()) {
          if (future.cancelled()) continue;
          const error = future.exception(0);
          if (error === null) assertEquals(future.result(0), i * i);
          else assertInstanceOf(error, BrokenProcessPool);
        }
        if (ms === 0) assert(futures.every((future) => future.cancelled()), "none has begun");
        await within(pool.shutdown(), "shutdown");
        assertEquals(childProcesses() ?? [], []);
      }
    }
  }, { bound: 60_000 });

  test(`${name} works while the main thread blocks, from before to after`, () => {
    const ledger = new Ledger();
    const pool = new ProcessPoolExecutor(1);
    const future = pool.submit(loopForEver, ledger.path);
    const behind = pool.submit(square, 1);
    untilSync(() => ledger.lines().length === 1, "a task that runs");
    pool[way]();
    assertInstanceOf(thrownBy(() => behind.result(BOUND)), CancelledError);
    assertKilled(thrownBy(() => future.result(BOUND)), signal, ledger.numbers()[0]);
    pool.shutdownSync();
    assertEquals(childProcesses() ?? [], []);
  });

  test(`${name} in a callback of a future fails the others, and later callbacks still come`, async () => {
    const ledger = new Ledger();
    using gate = new Gate();
    const pool = new ProcessPoolExecutor(2);
    const first = pool.submit(passGate, gate.path);
    const running = pool.submit(pauseForEver, ledger.path);
    // The process that gets free takes up this one, unless the callback comes before: the others stay queued.
    const next = pool.submit(waitForEver, ledger.path);
    const queued = [1, 2, 3].map((n) => pool.submit(square, n));
    const heard: string[] = [];
    first.addDoneCallback(() => pool[way]());
    first.addDoneCallback(() => heard.push("first"));
    running.addDoneCallback((future) => heard.push((future.exception() as Error).name));
    for (const future of queued) future.addDoneCallback(() => heard.push(future.cancelled() ? "cancelled" : "ran"));
    await until(() => ledger.lines().length === 1 && gate.arrivals() === 1, "two tasks that run");
    gate.open();
    await within(wait([first, running, next, ...queued]));
    await within(pool.shutdown());
    await until(() => heard.length === 5, "all callbacks");
    assertEquals(heard.sort(), ["BrokenProcessPool", "cancelled", "cancelled", "cancelled", "first"]);
    assert(next.cancelled() || next.exception(0) instanceof BrokenProcessPool, `${next}`);
  });

  test(`${name} kills also where a callback of a queued future waits for one that runs`, async () => {
    const { pool, futures, pids } = await poolThatRuns(pauseForEver);
    const queued = pool.submit(square, 3);
    let error: unknown;
    queued.addDoneCallback(() => error = futures[0].exception(BOUND));
    pool[way]();
    assertKilled(error, signal, pids[0]);
    await within(pool.shutdown(), "shutdown");
  });

  test(`${name} ends a map() that is being read`, async () => {
    for (const blocking of [true, false]) {
      const ledger = new Ledger();
      const pool = new ProcessPoolExecutor(1);
      const results = pool.map(pauseForEver, Array(5).fill(ledger.path), { chunksize: 1 });
      await until(() => ledger.lines().length === 1, "a task that runs");
      pool[way]();
      const error = blocking ? thrownBy(() => [...results]) : await within(
        Array.fromAsync(results).then(() => undefined, (error) => error),
      );
      assertInstanceOf(error, BrokenProcessPool);
      await within(pool.shutdown());
    }
  });

  test(`${name} lets a program end that does nothing else`, async () => {
    const { code, stdout, stderr } = await runProgram("kills.ts", [way], { bound: 10_000 });
    assertEquals([code, stdout, stderr], [0, "BrokenProcessPool\ncancelled\n", ""]);
  });
}

test("ProcessPoolExecutor.terminateWorkers() lets a task end well that listens for SIGTERM", async () => {
  const { pool, futures } = await poolThatRuns(endByTerm);
  pool.terminateWorkers();
  assertEquals(await within(futures[0]), "ended well");
  await within(pool.shutdown());
});

test("ProcessPoolExecutor.killWorkers() ends a process that terminateWorkers() did not", async () => {
  const { pool, ledger, futures: [future], pids } = await poolThatRuns(ignoreTerm);
  pool.terminateWorkers();
  await until(() => ledger.lines().length === 2, "the signal");
  assertEquals(future.running(), true);
  pool.killWorkers();
  await bothFail(future, (error) => assertKilled(error, "SIGKILL", pids[0]));
  await within(pool.shutdown());
});

test("ProcessPoolExecutor.shutdown() after terminateWorkers() waits until the processes are gone", async () => {
  for (const blocking of [true, false]) {
    const { pool, futures } = await poolThatRuns(pauseForEver, pauseForEver);
    pool.terminateWorkers();
    if (blocking) pool.shutdownSync();
    else await within(pool.shutdown());
    assertEquals(childProcesses() ?? [], []);
    assert(futures.every((future) => future.done()));
  }
});

for (const what of ["that is stopped", "that ignores SIGTERM"] as const) {
  test(`ProcessPoolExecutor.terminateWorkers() kills a process ${what} when it has not ended by itself`, async () => {
    // One pool for each way to shut down, at the same time: SIGKILL comes two seconds later.
    const isStopped = what === "that is stopped";
    const pools = await Promise.all([1, 2].map(() => poolThatRuns<unknown>(isStopped ? pauseForEver : ignoreTerm)));
    for (const { pool, pids } of pools) {
      if (isStopped) Deno.kill(pids[0], "SIGSTOP");
      pool.terminateWorkers();
    }
    for (const { futures, pids } of pools) {
      await bothFail(futures[0], (error) => {
        assertKilled(error, "SIGKILL", pids[0]);
        assertStringIncludes(
          error.message,
          "terminateWorkers() sent SIGTERM, and SIGKILL because the process did not end",
        );
      });
    }
    pools[0].pool.shutdownSync();
    await within(pools[1].pool.shutdown());
    assertEquals(childProcesses() ?? [], []);
  }, { linuxOnly: true });
}

// ---- signals ------------------------------------------------------------------------------------------------------

test(
  "ProcessPoolExecutor: processes survive a Ctrl-C that the program handles, idle, computing and waiting",
  async () => {
    const expected = { heard: 2, others: 2, same: true };
    assertEquals(await outputOf("interrupted.ts", [temporaryPath("gate")]), expected);
  },
  { linuxOnly: true },
);

for (const onWorkerCrash of ["break", "replace"] as const) {
  test(
    `ProcessPoolExecutor {${onWorkerCrash}}: a Ctrl-C that reaches processes that start loses no task`,
    async () => {
      // Moments of the start, which is the same in both modes.
      for (const ms of onWorkerCrash === "break" ? [0, 15] : [5, 40]) {
        // More than failed starts end a pool, which are fewer where it breaks.
        const most = onWorkerCrash === "break" ? 2 : 4;
        await using pool = new ProcessPoolExecutor({ maxWorkers: most, onWorkerCrash });
        const futures = Array.from({ length: most }, () => pool.submit(pid));
        await until(() => childProcesses()!.length === most || futures.some((future) => future.done()), "processes");
        if (ms > 0) pause(ms);
        for (const child of childProcesses()!) Deno.kill(Number(child), "SIGINT");
        for (const future of futures) assert(await within(future) > 0);
      }
    },
    { linuxOnly: true },
  );

  test(
    `ProcessPoolExecutor {${onWorkerCrash}}: a Ctrl-C between tasks that have processes of their own loses none`,
    async () => {
      await using pool = new ProcessPoolExecutor({ maxWorkers: 2, maxTasksPerChild: 1, onWorkerCrash });
      for (let i = 0; i < 2; i++) {
        const futures = Array.from({ length: 3 }, () => pool.submit(pid));
        for (const ms of [0, 5, 20]) {
          pause(ms);
          for (const child of childProcesses()!) {
            try {
              Deno.kill(Number(child), "SIGINT");
            } catch { /* it has just ended */ }
          }
        }
        for (const future of futures) assert(await within(future) > 0);
      }
    },
    { linuxOnly: true },
  );
}

for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  for (const blocked of [false, true]) {
    const state = blocked ? "blocked" : "waiting";
    test(`ProcessPoolExecutor: ${signal} to a program that is ${state} leaves none of its processes`, async () => {
      await using program = new Running("lives_on.ts", [temporaryPath("gate"), state]);
      const pids: number[] = JSON.parse(await within(program.line()) ?? "[]");
      assertEquals([pids.length, pids.every(isAlive)], [3, true]);
      program.child.kill(signal);
      await within(program.child.status);
      await until(() => !pids.some(isAlive), "the end of its processes");
    }, { linuxOnly: true });
  }
}

test(`ProcessPoolExecutor {replace}: a task behind one aborted just as it ends is not aborted with it`, async () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash: "replace" });
  const compute = (ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
  };
  const counts = { aborted: 0, ended: 0 };
  const border = new Border(4);
  for (let i = 0; i < 20; i++) {
    const aborted = pool.submit(compute, border.ms);
    const behind = [1, 2, 3].map((n) => pool.submit(square, n));
    untilSync(() => aborted.running() || aborted.done(), "its begin");
    compute(2 + border.later);
    const isAborted = aborted.abort();
    counts[isAborted ? "aborted" : "ended"]++;
    border.note(isAborted);
    await within(Promise.allSettled([aborted]), "the aborted task");
    assertEquals(await within(Promise.all(behind), "those behind it"), [1, 4, 9]);
  }
  assert(counts.aborted > 0 && counts.ended > 0, JSON.stringify(counts));
});
