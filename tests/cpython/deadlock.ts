/**
 * `ExecutorDeadlockTest` of Python's test_deadlock.py: faults at each step of a task, none of which may hang. Of
 * Python's pool nearly all of them break the whole; here only the end of a process does, and all else fails one future.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import {
  BrokenProcessPool,
  type Executor,
  type Future,
  ProcessPoolExecutor,
  registerError,
  SerializationError,
  TaskExitError,
  taskRef,
} from "@concurrent/futures";
import { both, bothFail, BOUND, Gate, runProgram, thrownBy, until, within } from "../_helpers.ts";
import { borrow } from "../behaviour/borrow.ts";
import type { Kind } from "../behaviour/kind.ts";
import { echo, exitWith, lengthOf, square } from "../fixtures/tasks.ts";
import { failByName, killSelf, killSelfAt, makeOdd, makeTrap, processNumber, throwTrapped } from "./_tasks.ts";
import { row } from "./_rows.ts";

/** Shuts a pool down in one of the two ways, within a bound. */
async function shutDown(pool: Executor, blocking: boolean): Promise<void> {
  if (blocking) pool.shutdownSync();
  else await within(pool.shutdown(), "shutdown()");
}

async function assertUsable(pool: Executor): Promise<void> {
  await both(() => pool.submit(square, 5), (value) => assertEquals(value, 25));
}

function named(file: string, directory = "../fixtures"): () => number {
  return taskRef<() => number>(import.meta.resolve(`${directory}/${file}.ts`), "never");
}

/** Checks that a pool is broken by the end of a process, and can be shut down. */
async function assertBroken(submit: (pool: Executor) => Future<unknown>, check: (error: BrokenProcessPool) => void) {
  for (const blocking of [true, false]) {
    const pool = new ProcessPoolExecutor(1);
    const future = submit(pool);
    const behind = pool.submit(square, 2);
    if (!blocking) await within(Promise.allSettled([future]), "the future");
    for (const each of [future, behind]) {
      await bothFail(each, (error) => {
        assertInstanceOf(error, BrokenProcessPool);
        check(error);
      });
    }
    assertInstanceOf(thrownBy(() => pool.submit(square, 3)), BrokenProcessPool);
    await shutDown(pool, blocking);
  }
}

export function deadlockRows(kind: Kind): void {
  const { name, make } = kind;

  row(name, "test_error_at_task_pickle: an argument that cannot be sent fails its future only", async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 1 });
      const bad: [string, () => unknown][] = [
        ["args[0].toJSON", () => makeOdd("toJSON")],
        ["args[0].trap", () => makeTrap("throw")],
        ["args[0]", () => square],
      ];
      for (const [path, argument] of bad) {
        await bothFail(() => pool.submit(echo<unknown>, argument()), (error) => {
          assertInstanceOf(error, SerializationError);
          assertEquals(error.path, path);
        });
      }
      // What JSON refuses, and this takes.
      await both(() => pool.submit(echo<unknown>, makeOdd("bigint")), (v) => assertEquals(v, { big: 10n ** 30n }));
      await both(() => pool.submit(echo<unknown>, makeOdd("cycle")), (value) => {
        assert((value as { self: unknown }).self === value);
      });
      await assertUsable(pool);
      await shutDown(pool, blocking);
    }
  });

  row(
    name,
    "test_exit_at_task_unpickle: a task's module that exits as it is imported fails its future only",
    async () => {
      using pool = borrow(kind, 1);
      const task = named("exits_on_import");
      await bothFail(() => pool.submit(task), (error) => assertInstanceOf(error, TaskExitError));
      await assertUsable(pool);
    },
  );

  row(
    name,
    "test_error_at_task_unpickle: a task's module that throws as it is imported fails its future only",
    async () => {
      using pool = borrow(kind, 1);
      const task = named("throws_on_import");
      await bothFail(() => pool.submit(task), (error) => assertInstanceOf(error, Error));
      await assertUsable(pool);
    },
  );

  row(
    name,
    "test_exit_during_func_exec_on_worker: Deno.exit() ends the task, the pool shuts down cleanly",
    async () => {
      for (const blocking of [true, false]) {
        const pool = make({ maxWorkers: 1 });
        await bothFail(() => pool.submit(exitWith, 1), (error) => {
          assertInstanceOf(error, TaskExitError);
          assertEquals(error.exitCode, 1);
        });
        await assertUsable(pool);
        await shutDown(pool, blocking);
      }
    },
  );

  row(name, "test_error_during_func_exec_on_worker: an ordinary error is delivered", async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(failByName, "the test"), (error) => {
      assertInstanceOf(error, TypeError);
      assertEquals(error.message, "failed for the test");
    });
    await assertUsable(pool);
  });

  row(
    name,
    "test_exit_during_result_pickle_on_worker: a result that exits when it is read ends the task only",
    async () => {
      using pool = borrow(kind, 1);
      await bothFail(() => pool.submit(makeTrap, "exit"), (error) => {
        assertInstanceOf(error, TaskExitError);
        assertEquals(error.exitCode, 5);
      });
      await assertUsable(pool);
    },
  );

  row(
    name,
    "test_error_during_result_pickle_on_worker: a result that cannot be sent fails its future only",
    async () => {
      using pool = borrow(kind, 1);
      await bothFail(() => pool.submit(makeTrap, "throw"), (error) => {
        assertInstanceOf(error, SerializationError);
        assertEquals(error.path, "result.trap");
        assertStringIncludes(error.message, "thrown by the result");
      });
      await bothFail(() => pool.submit(makeOdd, "toJSON"), (error) => assertInstanceOf(error, SerializationError));
      await both(() => pool.submit(makeOdd, "bigint"), (value) => assertEquals(value, { big: 10n ** 30n }));
      await both(() => pool.submit(makeOdd, "cycle"), (value) => assert((value as { self: unknown }).self === value));
      await assertUsable(pool);
    },
  );

  row(
    name,
    "test_error_during_result_unpickle_in_result_handler: what cannot be decoded fails its future only",
    async () => {
      // Its prototype is used to put the error together.
      class TrappedResult extends Error {
        override get name(): string {
          throw new EvalError("thrown while decoding");
        }
      }
      registerError(TrappedResult);
      using pool = borrow(kind, 1);
      await bothFail(() => pool.submit(throwTrapped), (error) => {
        assertInstanceOf(error, SerializationError);
        assertInstanceOf(error.cause, EvalError);
        assertEquals(error.cause.message, "thrown while decoding");
      });
      await assertUsable(pool);
    },
  );

  row(
    name,
    "test_shutdown_deadlock_pickle: an argument that cannot be sent, then shutdown({ wait: false })",
    async () => {
      for (const blocking of [true, false]) {
        const pool = make({ maxWorkers: 2 });
        const good = pool.submit(square, 3);
        const bad = pool.submit(echo<unknown>, makeOdd("toJSON"));
        if (blocking) pool.shutdownSync({ wait: false });
        else await within(pool.shutdown({ wait: false }), "shutdown()");
        await bothFail(bad, (error) => assertInstanceOf(error, SerializationError));
        await both(good, (value) => assertEquals(value, 9));
        await shutDown(pool, blocking);
      }
    },
  );

  row(
    name,
    "test_gh105829_should_not_deadlock_if_wakeup_pipe_full: 10,000 submits in one burst do not block",
    async () => {
      for (const blocking of [true, false]) {
        using pool = borrow(kind, 1);
        const futures = Array.from({ length: 10_000 }, (_, i) => pool.submit(square, i));
        for (const [i, future] of futures.entries()) {
          const value = blocking ? future.result(BOUND) : await within(future, `future ${i}`);
          if (value !== i * i) assertEquals(value, i * i);
        }
      }
    },
  );
}

export function processDeadlockRows(): void {
  const name = "ProcessPoolExecutor";

  row(name, "test_exit_at_task_unpickle: a task's module that ends its process breaks the pool", async () => {
    const task = named("ends_on_import", "./programs");
    await assertBroken((pool) => pool.submit(task), (error) => assertEquals([error.exitCode, error.signal], [7, null]));
  });

  row(name, "test_crash_at_task_unpickle: a task's module that kills its process breaks the pool", async () => {
    const task = named("kills_on_import", "./programs");
    await assertBroken((pool) => pool.submit(task), (error) => assertEquals(error.signal, "SIGKILL"));
  });

  row(name, "test_crash_during_func_exec_on_worker: a task that kills its process breaks the pool", async () => {
    for (const signal of ["SIGKILL", "SIGSEGV"] as const) {
      await assertBroken((pool) => pool.submit(killSelf, signal), (error) => {
        assertEquals(error.signal, signal);
        assertMatch(error.message, new RegExp(`^Process ${error.pid} was killed by signal ${signal}`));
      });
    }
  });

  row(name, "test_crash_during_result_pickle_on_worker: a result that kills its process breaks the pool", async () => {
    await assertBroken((pool) => pool.submit(makeTrap, "kill"), (error) => assertEquals(error.signal, "SIGKILL"));
  });

  row(
    name,
    "test_error_during_result_unpickle_in_result_handler: output that looks like a result is output",
    async () => {
      const { code, stdout, stderr } = await runProgram("../../cpython/programs/forged.ts", []);
      assertEquals(code, 0, stderr);
      const { results, texts } = JSON.parse(stderr);
      assertEquals(results, [0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [n, n * n]));
      assertEquals(stdout, texts, "byte for byte");
    },
  );

  row(name, "test_shutdown_deadlock: a process that dies after shutdown() was called: it returns", async () => {
    for (const blocking of [true, false]) {
      const pool = new ProcessPoolExecutor(2);
      using gate = new Gate();
      const future = pool.submit(killSelfAt, gate.path);
      await gate.arrived();
      if (blocking) {
        // The task is let go while this thread blocks, by another process.
        const opener = new ProcessPoolExecutor(1);
        opener.submit(openLater, gate.path, 100);
        pool.shutdownSync();
        opener.shutdownSync();
      } else {
        const ended = pool.shutdown();
        gate.open();
        await within(ended, "shutdown()");
      }
      await bothFail(future, (error) => assertInstanceOf(error, BrokenProcessPool));
    }
  });

  row(
    name,
    "test_crash_big_data: a process that dies while 8 MiB are being written to it breaks the pool",
    async () => {
      const data = "a".repeat(8 << 20);
      for (const blocking of [true, false]) {
        const pool = new ProcessPoolExecutor(1);
        const pid = await within(pool.submit(processNumber));
        assertEquals(pool.submit(lengthOf, data).result(BOUND), 8 << 20);
        Deno.kill(pid, "SIGSTOP"); // it reads no more
        const futures = Array.from({ length: 10 }, () => pool.submit(lengthOf, data));
        await until(() => futures[0].running(), "the first is being written");
        Deno.kill(pid, "SIGKILL");
        if (!blocking) await within(Promise.allSettled(futures), "all futures");
        for (const future of futures) await bothFail(future, (error) => assertInstanceOf(error, BrokenProcessPool));
        await shutDown(pool, blocking);
      }
    },
  );
}

/** Opens a gate after a while. */
export function openLater(gate: string, ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  Deno.writeTextFileSync(`${gate}.open`, "");
}
