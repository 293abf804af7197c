/** Python's test_shutdown.py. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import { ProcessPoolExecutor, ShutdownError, ThreadPoolExecutor } from "@concurrent/futures";
import {
  both,
  bothCancelled,
  bothFail,
  BOUND,
  childProcesses,
  Gate,
  Ledger,
  liveWorkers,
  runProgram,
  startedWorkers,
  thrownBy,
  until,
  within,
} from "../_helpers.ts";
import { collect } from "../behaviour/map.ts";
import type { Kind } from "../behaviour/kind.ts";
import { throwValue } from "../fixtures/errors.ts";
import { echo, passGate, recordSlowly, square } from "../fixtures/tasks.ts";
import { threadName } from "../fixtures/thread_tasks.ts";
import { row } from "./_rows.ts";

export function shutdownRows(kind: Kind): void {
  const { name, make, module } = kind;

  /** Runs a program that ends in some way, within a bound, and gives what it printed. */
  async function printedBy(way: string): Promise<string> {
    const { code, stdout, stderr } = await runProgram("../../cpython/programs/ends.ts", [module, way]);
    assertEquals([code, stderr], [0, ""]);
    return stdout;
  }

  row(name, "test_run_after_shutdown: submit() after shutdown throws ShutdownError", async () => {
    for (const blocking of [true, false]) {
      const pool = make();
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown());
      assertInstanceOf(thrownBy(() => pool.submit(square, 2)), ShutdownError);
    }
  });

  row(name, "test_interpreter_shutdown: a program that ends right after submit() still runs the task", async () => {
    assertEquals(await printedBy("submit"), "apple\n");
  });

  row(name, "test_submit_after_interpreter_shutdown: submit() at the program's end throws and says so", async () => {
    assertMatch(await printedBy("unload"), /^apple\n\w*Error: Cannot schedule new futures after/);
  });

  row(name, "test_hang_issue12364: 50 short tasks, then shutdown: all have results", async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 2 });
      const futures = Array.from({ length: 50 }, (_, i) => pool.submit(echo<number>, i));
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown(), "shutdown()");
      for (const [i, future] of futures.entries()) await both(future, (value) => assertEquals(value, i));
    }
  });

  row(
    name,
    "test_cancel_futures: of 50 tasks those that have not started are cancelled, and none is left",
    async () => {
      for (const blocking of [true, false]) {
        const ledger = new Ledger();
        using gate = new Gate();
        const pool = make({ maxWorkers: 2 });
        const running = [1, 2].map((n) => pool.submit(passGate<number>, gate.path, n));
        const queued = Array.from({ length: 48 }, (_, i) => pool.submit(recordSlowly<number>, ledger.path, i, 1));
        await gate.arrived(2);
        gate.open();
        if (blocking) pool.shutdownSync({ cancelFutures: true });
        else await within(pool.shutdown({ cancelFutures: true }), "shutdown()");
        const cancelled = queued.filter((future) => future.cancelled());
        assert(cancelled.length > 20, `${cancelled.length} of 48 were cancelled`);
        for (const future of cancelled) await bothCancelled(future);
        for (const [i, future] of running.entries()) await both(future, (value) => assertEquals(value, i + 1));
        const rest = queued.filter((future) => !future.cancelled()).map((future) => future.result(0));
        assertEquals(ledger.numbers(), rest.sort((a, b) => a - b), "what was cancelled did not run, all else did");
      }
    },
  );

  row(name, "test_hang_gh83386: shutdown({ wait: false }) at the program's end loses no running task", async () => {
    assertEquals(await printedBy("wait-false"), "apple\n");
    assertEquals(await printedBy("wait-false-blocking"), "apple\n");
  });

  row(name, "test_hang_gh94440: submit, cancel at once, shutdown: it returns", async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 1 });
      await within(pool.submit(square, 2));
      for (let i = 0; i < 5; i++) {
        const future = pool.submit(square, i);
        if (future.cancel()) await bothCancelled(future);
        else await both(future, (value) => assertEquals(value, i * i));
      }
      pool.submit(square, 3).cancel();
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown(), "shutdown()", 5_000);
    }
  });
}

export function threadShutdownRows(): void {
  const name = "ThreadPoolExecutor";

  row(name, "test_threads_terminate: three blocked tasks start three threads, which end at shutdown", async () => {
    for (const blocking of [true, false]) {
      const before = startedWorkers();
      using gate = new Gate();
      const pool = new ThreadPoolExecutor(8);
      const futures = [1, 2, 3].map((n) => pool.submit(passGate<number>, gate.path, n));
      await gate.arrived(3);
      assertEquals([startedWorkers() - before, liveWorkers()], [3, 3]);
      gate.open();
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown(), "shutdown()");
      assertEquals(liveWorkers(), 0);
      assertEquals(futures.map((future) => future.result(0)), [1, 2, 3]);
    }
  });

  row(name, "test_context_manager_shutdown: the end of the block waits for the threads", async () => {
    {
      using pool = new ThreadPoolExecutor(5);
      assertEquals([...pool.map(absolute, [-5, -4, 3])], [5, 4, 3]);
    }
    assertEquals(liveWorkers(), 0);
    {
      await using pool = new ThreadPoolExecutor(5);
      assertEquals(await within(collect(pool.map(absolute, [-5, -4, 3]))), [5, 4, 3]);
    }
    assertEquals(liveWorkers(), 0);
  });

  row(name, "test_shutdown_no_wait: with wait: false the results are there, and the threads end", async () => {
    for (const blocking of [true, false]) {
      const pool = new ThreadPoolExecutor(5);
      const results = pool.map(absolute, [-5, -4, 3]);
      if (blocking) pool.shutdownSync({ wait: false });
      else await within(pool.shutdown({ wait: false }));
      assertEquals(blocking ? [...results] : await within(collect(results)), [5, 4, 3]);
      await until(() => liveWorkers() === 0, "the threads end");
    }
  });

  row(name, "test_thread_names_assigned: a thread's name is the prefix and a number", async () => {
    using pool = new ThreadPoolExecutor({ maxWorkers: 5, threadNamePrefix: "SpecialPool" });
    const names = await within(Promise.all(Array.from({ length: 20 }, () => pool.submit(threadName))));
    for (const text of names) assertMatch(text, /^SpecialPool_[0-4]$/);
  });

  row(name, "test_thread_names_default: default names differ from pool to pool", async () => {
    using one = new ThreadPoolExecutor(2);
    using two = new ThreadPoolExecutor(2);
    const [a, b] = await within(Promise.all([one.submit(threadName), two.submit(threadName)]));
    for (const text of [a, b]) assertMatch(text, /^ThreadPoolExecutor-\d+_[01]$/);
    assert(a.split("_")[0] !== b.split("_")[0], `${a} and ${b}`);
  });

  row(
    name,
    "test_cancel_futures_wait_false: cancelling without waiting at the program's end is a clean end",
    async () => {
      const { code, stdout, stderr } = await runProgram("../../cpython/programs/ends.ts", [
        import.meta.resolve("../fixtures/kinds/thread_pool.ts"),
        "cancelled",
      ]);
      assertEquals([code, stderr], [0, ""]);
      const lines = stdout.trim().split("\n");
      const states: string[] = JSON.parse(lines.pop()!);
      assertEquals(states.map((state) => state === "CANCELLED" || state === "FINISHED"), [true, true, true]);
      assertEquals(lines, states.flatMap((state, i) => state === "FINISHED" ? [`task ${i + 1}`] : []));
    },
  );
}

export function processShutdownRows(): void {
  const name = "ProcessPoolExecutor";

  /** Only where the system tells. */
  function assertProcesses(count: number): void {
    const children = childProcesses();
    if (children !== undefined) assertEquals(children.length, count);
  }

  row(name, "test_processes_terminate: processes start on demand, and end at shutdown", async () => {
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const pool = new ProcessPoolExecutor(5);
      assertProcesses(0);
      const futures = [1, 2, 3].map((n) => pool.submit(passGate<number>, gate.path, n));
      await gate.arrived(3);
      assertProcesses(3);
      gate.open();
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown(), "shutdown()");
      assertProcesses(0);
      assertEquals(futures.map((future) => future.result(0)), [1, 2, 3]);
    }
  });

  row(name, "test_context_manager_shutdown: the end of the block waits for the processes", async () => {
    {
      using pool = new ProcessPoolExecutor(2);
      assertEquals([...pool.map(absolute, [-5, -4, 3])], [5, 4, 3]);
    }
    assertProcesses(0);
    {
      await using pool = new ProcessPoolExecutor(2);
      assertEquals(await within(collect(pool.map(absolute, [-5, -4, 3]))), [5, 4, 3]);
    }
    assertProcesses(0);
  });

  row(name, "test_shutdown_no_wait: with wait: false the results are there, and the processes end", async () => {
    for (const blocking of [true, false]) {
      const pool = new ProcessPoolExecutor(2);
      const results = pool.map(absolute, [-5, -4, 3]);
      if (blocking) pool.shutdownSync({ wait: false });
      else await within(pool.shutdown({ wait: false }));
      assertEquals(blocking ? [...results] : await within(collect(results)), [5, 4, 3]);
      await until(() => liveWorkers() === 0 && (childProcesses() ?? []).length === 0, "the processes end");
    }
  });

  for (const [test, maxWorkers] of [["case_1", 2], ["case_2", 4]] as const) {
    row(
      name,
      `test_shutdown_gh_132969_${test}: limit 1, a task that fails, shutdown({ wait: false }), ${maxWorkers} workers`,
      async () => {
        const pool = new ProcessPoolExecutor({ maxWorkers, maxTasksPerChild: 1 });
        const futures = [
          pool.submit(throwValue, new RangeError("failed")),
          pool.submit(throwValue, new RangeError("failed")),
          pool.submit(square, 3),
        ];
        if (maxWorkers === 2) await within(pool.shutdown({ wait: false }));
        else pool.shutdownSync({ wait: false });
        for (const future of futures.slice(0, 2)) {
          await bothFail(future, (error) => {
            assertInstanceOf(error, RangeError);
            assertStringIncludes(error.message, "failed");
          });
        }
        assertEquals(futures[2].result(BOUND), 9);
        await within(pool.shutdown(), "shutdown()");
      },
    );
  }
}

/** As the task of Python's tests, which is built in there. */
export function absolute(n: number): number {
  return Math.abs(n);
}
