/** `ProcessPoolExecutorTest` of Python's test_process_pool.py: the life and death of processes. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import {
  BrokenExecutor,
  BrokenProcessPool,
  CancelledError,
  type Executor,
  type Future,
  ProcessPoolExecutor,
  ShutdownError,
  ThreadPoolExecutor,
} from "@concurrent/futures";
import {
  both,
  bothFail,
  BOUND,
  childProcesses,
  Gate,
  Ledger,
  outputOf,
  temporaryPath,
  thrownBy,
  until,
  within,
} from "../_helpers.ts";
import { bothMap, range } from "../behaviour/map.ts";
import { kind as processes } from "../fixtures/kinds/process_pool.ts";
import { throwValue } from "../fixtures/errors.ts";
import { echo, passGate, record, square } from "../fixtures/tasks.ts";
import {
  endAbruptly,
  failByName,
  holdAt,
  isFreed,
  killSelf,
  loopForEver,
  multiply,
  processNumber,
  remember,
} from "./_tasks.ts";
import { row } from "./_rows.ts";

const NAME = "ProcessPoolExecutor";

/** The two ways to end all processes. */
const FORCES = [["terminateWorkers", "SIGTERM"], ["killWorkers", "SIGKILL"]] as const;

function rows(title: string, fn: () => void | Promise<void>): void {
  row(NAME, title, fn);
}

/** Shuts a pool down in one of the two ways, within a bound. */
async function shutDown(pool: Executor, blocking: boolean): Promise<void> {
  if (blocking) pool.shutdownSync();
  else await within(pool.shutdown(), "shutdown()");
}

/** Waits until a pool refuses work because it is broken. */
async function untilBroken(pool: Executor): Promise<BrokenExecutor> {
  let error: unknown;
  await until(() => {
    try {
      pool.submit(square, 2);
      return false;
    } catch (thrown) {
      error = thrown;
      return true;
    }
  }, "the pool is broken");
  return error as BrokenExecutor;
}

export function processPoolRows(): void {
  rows("test_killed_child: a process that is killed breaks its future and later submits, also while idle", async () => {
    for (const idle of [false, true]) {
      const pool = new ProcessPoolExecutor(1);
      using gate = new Gate();
      const pid = await within(pool.submit(processNumber));
      const future = idle ? undefined : pool.submit(passGate, gate.path);
      if (!idle) await gate.arrived();
      Deno.kill(pid, "SIGTERM");
      if (future !== undefined) {
        await bothFail(future, (error) => {
          assertInstanceOf(error, BrokenProcessPool);
          assertEquals([error.pid, error.signal], [pid, "SIGTERM"]);
        });
      }
      const error = await untilBroken(pool);
      assertInstanceOf(error, BrokenProcessPool);
      assertEquals(error.pid, pid);
      await shutDown(pool, idle);
    }
  });

  rows("test_broken_process_pool_traceback: each future has a BrokenProcessPool of its own", async () => {
    const pool = new ProcessPoolExecutor(1);
    const futures = [pool.submit(killSelf, "SIGKILL"), ...range(4).map((n) => pool.submit(square, n))];
    for (const future of futures) await bothFail(future, (error) => assertInstanceOf(error, BrokenProcessPool));
    assertEquals(new Set(futures.map((future) => future.exception())).size, 5);
    await within(pool.shutdown());
  });

  rows("test_map_chunksize: chunks of 6, 40 and 50 give the plain result, -1 is refused", async () => {
    using pool = new ProcessPoolExecutor(2);
    const expected = range(40).map((n) => n * n);
    for (const chunksize of [6, 40, 50]) {
      await bothMap(() => pool.map(square, range(40), { chunksize }), expected, `chunksize ${chunksize}`);
    }
    assertThrows(() => pool.map(square, range(40), { chunksize: -1 }), RangeError, "chunksize");
  });

  rows("test_traceback: class and fields survive, the stack names the child's source line", async () => {
    using pool = new ProcessPoolExecutor(1);
    await bothFail(() => pool.submit(failByName, "the child"), (error) => {
      assertInstanceOf(error, TypeError);
      assertEquals(error.message, "failed for the child");
      assertInstanceOf(error.cause, RangeError);
      assertEquals(error.cause.message, "the cause of it");
      assertMatch(error.stack!, /at failByName .*cpython\/_tasks\.ts:\d+:\d+/);
    });
  });

  rows("test_traceback_when_child_process_terminates_abruptly: the error tells the exit code", async () => {
    for (const blocking of [true, false]) {
      const pool = new ProcessPoolExecutor(1);
      await bothFail(pool.submit(endAbruptly, 99), (error) => {
        assertInstanceOf(error, BrokenProcessPool);
        assertEquals([error.exitCode, error.signal], [99, null]);
        assertStringIncludes(error.message, `Process ${error.pid} terminated abruptly with exit code 99`);
      });
      await shutDown(pool, blocking);
    }
  });

  rows("test_ressources_gced_in_workers: the process frees an argument after its task", async () => {
    using pool = new ProcessPoolExecutor({ maxWorkers: 1, env: { DENO_V8_FLAGS: "--expose-gc" } });
    await within(pool.submit(remember, { list: Array(100).fill(1) }));
    await both(() => pool.submit(isFreed), (freed) => assertEquals(freed, true));
  });

  rows("test_saturation: 75 blocked tasks start as many processes as there may be, and no more", async () => {
    using pool = new ProcessPoolExecutor(3);
    using gate = new Gate();
    const futures = Array.from({ length: 75 }, (_, i) => pool.submit(passGate<number>, gate.path, i));
    await gate.arrived(3);
    const children = childProcesses();
    if (children !== undefined) assertEquals(children.length, 3);
    assertEquals(futures.filter((future) => future.running()).length, 3);
    assertEquals(futures.filter((future) => future.state === "PENDING").length, 72, "none is called running too soon");
    gate.open();
    assertEquals(await within(Promise.all(futures)), range(75));
    assertEquals(gate.arrivals(), 75);
  });

  rows("test_idle_process_reuse_one: three tasks one after the other use one process", async () => {
    using pool = new ProcessPoolExecutor(4);
    for (const [a, b] of [[21, 2], [6, 7], [3, 14]]) {
      await both(() => pool.submit(multiply, a, b), (value) => assertEquals(value, 42));
    }
    const pids = [pool.submit(processNumber).result(BOUND), await within(pool.submit(processNumber))];
    assertEquals(pids[0], pids[1]);
    const children = childProcesses();
    if (children !== undefined) assertEquals(children, [String(pids[0])]);
  });

  rows("test_idle_process_reuse_multiple: tasks waited for and not use three processes at the most", async () => {
    using pool = new ProcessPoolExecutor(4);
    const futures: Future<number>[] = [];
    const pids: number[] = [];
    for (const waits of [true, false, true, false, true, false]) {
      futures.push(pool.submit(processNumber));
      if (waits) pids.push(futures.length % 4 === 1 ? futures.at(-1)!.result(BOUND) : await within(futures.at(-1)!));
    }
    pids.push(...await within(Promise.all(futures)));
    assert(new Set(pids).size <= 3, `${new Set(pids).size} processes`);
    const children = childProcesses();
    if (children !== undefined) assert(children.length <= 3, `${children.length} processes`);
  });

  rows("test_max_tasks_per_child: a process runs three tasks, then another one takes its place", async () => {
    using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 3 });
    const first = await within(pool.submit(processNumber));
    await bothFail(pool.submit(throwValue, 0), (error) => assertEquals(error, 0)); // it counts too
    assertEquals(pool.submit(processNumber).result(BOUND), first);
    const second = pool.submit(processNumber).result(BOUND);
    assert(second !== first);
    assertEquals(await within(pool.submit(processNumber)), second);
  });

  rows("test_max_tasks_per_child_pending_tasks_gh115634: a backlog longer than the limits drains", async () => {
    for (const [maxWorkers, maxTasksPerChild, tasks] of [[1, 2, 6], [2, 2, 8]]) {
      using pool = new ProcessPoolExecutor({ maxWorkers, maxTasksPerChild });
      const futures = range(tasks).map((n) => pool.submit(square, n));
      for (const [i, future] of futures.entries()) await both(future, (value) => assertEquals(value, i * i));
    }
  });

  rows(
    "test_shutdown_no_wait_max_tasks_gh119592: the backlog runs although nobody waits, or keeps the pool",
    async () => {
      for (const blocking of [true, false]) {
        const pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 1 });
        const futures = range(3).map((n) => pool.submit(square, n));
        if (blocking) pool.shutdownSync({ wait: false });
        else await within(pool.shutdown({ wait: false }));
        for (const [i, future] of futures.entries()) await both(future, (value) => assertEquals(value, i * i));
        await shutDown(pool, blocking);
      }
      assertEquals(await dropped("dropped-after-shutdown"), { results: [0, 1, 4, 9] });
    },
  );

  rows("test_gc_during_max_tasks_worker_exit_gh152967: the backlog of a pool that was collected runs", async () => {
    assertEquals(await dropped("dropped"), { results: [0, 1, 4, 9] });
  });

  rows(
    "test_force_shutdown_during_max_tasks_worker_exit: no process takes the place of one that has ended",
    async () => {
      for (const [force] of FORCES) {
        const ledger = new Ledger();
        const pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 1 });
        const futures = range(4).map((n) => pool.submit(record<number>, ledger.path, n));
        futures[0].result(BOUND); // its process is on its way out
        pool[force]();
        const outcomes = await within(Promise.allSettled(futures), "all futures");
        for (const [i, outcome] of outcomes.entries()) {
          if (outcome.status === "fulfilled") assertEquals(outcome.value, i);
          else {
            const { reason } = outcome;
            assert(reason instanceof BrokenProcessPool || reason instanceof CancelledError, `${i}: ${reason}`);
            if (reason instanceof CancelledError) assert(!ledger.numbers().includes(i), `${i} was cancelled and ran`);
          }
        }
        assert(outcomes.slice(2).every(({ status }) => status === "rejected"), "those behind it ran");
        await within(pool.shutdown(), "shutdown()");
        assertEquals(childProcesses() ?? [], []);
      }
    },
  );

  rows("test_failed_worker_replacement_breaks_pool: where no process can be started the pool is broken", async () => {
    for (const blocking of [true, false]) {
      const cwd = temporaryPath("folder");
      Deno.mkdirSync(cwd);
      const pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 1, cwd });
      using gate = new Gate();
      const first = pool.submit(passGate<number>, gate.path, 1);
      const stranded = range(3).map((n) => pool.submit(square, n));
      await gate.arrived();
      Deno.removeSync(cwd); // no process can be started there any more
      gate.open();
      await both(first, (value) => assertEquals(value, 1));
      for (const future of stranded) {
        await bothFail(future, (error) => {
          assertInstanceOf(error, BrokenProcessPool);
          assertStringIncludes(error.message, "Cannot start a process: ");
        });
      }
      assertInstanceOf(thrownBy(() => pool.submit(square, 1)), BrokenProcessPool);
      await shutDown(pool, blocking);
    }
  });

  rows("test_max_tasks_early_shutdown: limit 1, six tasks, shutdown at once: all six have results", async () => {
    for (const blocking of [true, false]) {
      const pool = new ProcessPoolExecutor({ maxWorkers: 3, maxTasksPerChild: 1 });
      const futures = range(6).map((n) => pool.submit(square, n));
      await shutDown(pool, blocking);
      for (const [i, future] of futures.entries()) await both(future, (value) => assertEquals(value, i * i));
    }
  });

  rows(
    "test_python_finalization_error: where no thread can be started the pool is broken, and does not hang",
    async () => {
      const { Worker } = globalThis;
      for (const make of [() => new ProcessPoolExecutor(1), () => new ThreadPoolExecutor(1)]) {
        const pool = make();
        let future: Future<number>;
        globalThis.Worker = class {
          constructor() {
            throw new EvalError("no thread can be started");
          }
        } as unknown as typeof Worker;
        try {
          future = pool.submit(square, 2);
        } finally {
          globalThis.Worker = Worker;
        }
        await bothFail(future, (error) => {
          assertInstanceOf(error, BrokenExecutor);
          assertInstanceOf(error.cause, EvalError);
        });
        assertInstanceOf(thrownBy(() => pool.submit(square, 2)), BrokenExecutor);
        await within(pool.shutdown(), "shutdown()");
        pool.shutdownSync();
      }
    },
  );

  for (
    const [test, [force, signal]] of [["test_terminate_workers", FORCES[0]], ["test_kill_workers", FORCES[1]]] as const
  ) {
    rows(`${test}: ${force}() sends ${signal}, and what is queued is cancelled`, async () => {
      const pool = new ProcessPoolExecutor(1);
      using gate = new Gate();
      const running = pool.submit(holdAt, gate.path);
      const queued = pool.submit(square, 2);
      await gate.arrived();
      assertEquals(pool[force](), undefined);
      assertEquals(queued.cancelled(), true);
      await bothFail(running, (error) => {
        assertInstanceOf(error, BrokenProcessPool);
        assertEquals(error.signal, signal);
        assertStringIncludes(error.message, `${force}() sent ${signal}`);
      });
      await within(pool.shutdown(), "shutdown()");
    });
  }

  rows("test_force_shutdown_workers: a task that never ends is ended by the right signal", async () => {
    for (const [force, signal] of FORCES) {
      const pool = new ProcessPoolExecutor(1);
      using gate = new Gate();
      const future = pool.submit(loopForEver, gate.path);
      await gate.arrived();
      assertEquals(future.running(), true);
      pool[force]();
      await bothFail(future, (error) => {
        assertInstanceOf(error, BrokenProcessPool);
        assertEquals(error.signal, signal);
      });
      await within(pool.shutdown(), "shutdown()");
    }
  });

  rows("test_force_shutdown_workers_dead_workers: on a pool that is broken it throws nothing", async () => {
    for (const [force] of FORCES) {
      const pool = new ProcessPoolExecutor(1);
      await bothFail(pool.submit(killSelf, "SIGKILL"), (error) => assertInstanceOf(error, BrokenProcessPool));
      for (let i = 0; i < 2; i++) assertEquals(pool[force](), undefined);
      await within(pool.shutdown(), "shutdown()");
      assertEquals(pool[force](), undefined);
    }
  });

  rows("test_force_shutdown_workers_not_started_yet: before there is a process it does nothing", async () => {
    for (const [force] of FORCES) {
      const pool = new ProcessPoolExecutor(1);
      for (let i = 0; i < 2; i++) assertEquals(pool[force](), undefined);
      assertEquals(childProcesses() ?? [], []);
      await within(pool.shutdown(), "shutdown()");
    }
  });

  rows("test_force_shutdown_workers_stops_pool: the process ends, and submit() throws from then on", async () => {
    for (const [force] of FORCES) {
      const pool = new ProcessPoolExecutor(1);
      await both(() => pool.submit(echo<number>, 1), (value) => assertEquals(value, 1));
      const pid = pool.submit(processNumber).result(BOUND);
      pool[force]();
      const error = thrownBy(() => pool.submit(square, 1));
      assert(error instanceof ShutdownError || error instanceof BrokenProcessPool, `${error}`);
      await until(() => !(childProcesses() ?? []).includes(String(pid)), "the process has ended");
      await within(pool.shutdown(), "shutdown()");
    }
  });
}

/** Runs the program that loses its pool while there is work in it. */
async function dropped(way: string): Promise<unknown> {
  const flags = ["-A", "--v8-flags=--expose-gc"];
  return await outputOf("../../cpython/programs/references.ts", [processes.module, way], { flags });
}
