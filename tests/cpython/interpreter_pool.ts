/**
 * Python's test_interpreter_pool.py: its workers share nothing with the program, as Web Workers. What they can be asked
 * of processes too is asked of both.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import {
  BrokenThreadPool,
  type Future,
  registerError,
  SerializationError,
  TaskNotFoundError,
  ThreadPoolExecutor,
  type ThreadPoolExecutorOptions,
  wait,
} from "@concurrent/futures";
import {
  both,
  bothCancelled,
  bothFail,
  BOUND,
  Gate,
  outputOf,
  rejectionOf,
  sleep,
  startedWorkers,
  thrownBy,
  until,
  within,
} from "../_helpers.ts";
import { borrow } from "../behaviour/borrow.ts";
import type { Kind } from "../behaviour/kind.ts";
import { echo, failToStart, passGate, square, whoAmI } from "../fixtures/tasks.ts";
import { awaitWord, threadName } from "../fixtures/thread_tasks.ts";
import { countIn, failByName, moduleName, readWord, registerTrap } from "./_tasks.ts";
import { row } from "./_rows.ts";

const NAME = "ThreadPoolExecutor";

/** Two shared words: tasks wait on the first and count themselves in the second. */
function gateWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

function openWords(words: Int32Array): void {
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
}

/** What is true of a pool whose initializer cannot be sent, or throws. */
async function assertBroken(
  initializer: ThreadPoolExecutorOptions["initializer"],
  checkCause: (cause: Error) => void,
): Promise<void> {
  const pool = new ThreadPoolExecutor({ maxWorkers: 1, initializer });
  const check = (error: BrokenThreadPool) => {
    assertInstanceOf(error, BrokenThreadPool);
    assertInstanceOf(error.cause, Error);
    checkCause(error.cause);
  };
  let future: Future<number> | undefined;
  try {
    future = pool.submit(square, 2);
  } catch (error) {
    check(error as BrokenThreadPool); // known before there is a worker
  }
  if (future !== undefined) await bothFail(future, check);
  check(thrownBy(() => pool.submit(square, 2)));
  await within(pool.shutdown(), "shutdown()");
}

class Local {
  factor = 3;
  times(n: number): number {
    return n * this.factor;
  }
}

/** Rows for every kind of executor. */
export function interpreterRows(kind: Kind): void {
  const { name, make } = kind;

  row(
    name,
    "test_init_with___main___global: an initializer changes the worker's module, not the program's",
    async () => {
      assertEquals(await outputOf("../../cpython/programs/main_state.ts", [kind.module]), {
        workers: ["set by the initializer", "set by the initializer"],
        program: "untouched",
      });
    },
  );

  row(name, "test_submit_closure: a closure fails its future, never submit()", async () => {
    using pool = borrow(kind, 1);
    const hidden = 5;
    await bothFail(() => pool.submit(() => hidden), (error) => {
      assertInstanceOf(error, ReferenceError);
      assertStringIncludes(error.message, "hidden");
    });
    await both(() => pool.submit((value: number) => value, hidden), (value) => assertEquals(value, 5));
  });

  row(name, "test_submit_local_instance: an instance and its class fail the future, never submit()", async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(echo<unknown>, new Local()), (error) => {
      assertInstanceOf(error, SerializationError);
      assertEquals(error.path, "args[0]");
    });
    const callable = Local as unknown as () => unknown;
    await bothFail(() => pool.submit(callable), (error) => assertInstanceOf(error, Error));
    await both(() => pool.submit(square, 3), (value) => assertEquals(value, 9));
  });

  row(name, "test_submit_instance_method: a method of an instance fails its future, never submit()", async () => {
    using pool = borrow(kind, 1);
    const local = new Local();
    await bothFail(() => pool.submit(local.times, 2), (error) => assertInstanceOf(error, TaskNotFoundError));
    await bothFail(() => pool.submit(local.times.bind(local), 2), (error) => {
      assertInstanceOf(error, TaskNotFoundError);
    });
    await both(() => pool.submit(square, 3), (value) => assertEquals(value, 9));
  });

  row(name, "test_submit_func_globals: a function runs with its own module's globals", async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(moduleName), (url) => assertEquals(url, import.meta.resolve("./_tasks.ts")));
  });

  row(name, "test_submit_exception_in_func: class, message and cause survive, the stack is the worker's", async () => {
    using pool = borrow(kind, 1);
    await bothFail(() => pool.submit(failByName, "the worker"), (error) => {
      assertInstanceOf(error, TypeError);
      assertEquals(error.message, "failed for the worker");
      assertInstanceOf(error.cause, RangeError);
      assertEquals(error.cause.message, "the cause of it");
      assertMatch(error.stack!, /at failByName .*cpython\/_tasks\.ts/);
    });
  });

  row(name, "test_idle_thread_reuse: three tasks one after the other use one worker", async () => {
    using pool = make({ maxWorkers: 8 });
    const workers = [await within(pool.submit(whoAmI)), pool.submit(whoAmI).result(BOUND)];
    workers.push(await within(pool.submit(whoAmI)));
    assertEquals(new Set(workers).size, 1);
  });

  row(
    name,
    "test_pickle_errors_propagate: an argument that the worker cannot decode fails its future only",
    async () => {
      class TrappedArgument extends Error {}
      using pool = make({ maxWorkers: 1 });
      assertEquals(await within(pool.submit(registerTrap)), "registered");
      registerError(TrappedArgument); // here it can be decoded
      await bothFail(() => pool.submit(echo<unknown>, { deep: [new TrappedArgument("x")] }), (error) => {
        assertInstanceOf(error, Error);
        assertStringIncludes(`${error.message}${error.cause}`, "thrown while decoding");
      });
      await both(() => pool.submit(square, 3), (value) => assertEquals(value, 9));
    },
  );

  row(name, "test_run_in_executor: the event loop goes on while a task is awaited", async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const awaited = within(pool.submit(passGate<string>, gate.path, "from the worker"));
    await gate.arrived();
    let turns = 0;
    while (turns < 3) {
      await sleep(1);
      turns++;
    }
    gate.open();
    assertEquals(await awaited, "from the worker");
  });

  row(name, "test_run_in_executor_cancel: who aborts his wait is called back no more", async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const running = pool.submit(passGate<number>, gate.path, 1);
    const queued = pool.submit(square, 2);
    await gate.arrived();
    const { signal, abort } = abortable();
    let late = 0;
    const aborted = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const waits = [running, queued].map((future) =>
      Promise.race([future.then((value) => signal.aborted ? late++ : value), aborted])
    );
    abort(new EvalError("no longer wanted"));
    assertEquals(queued.cancel(), true);
    for (const waiting of waits) assertInstanceOf(await rejectionOf(waiting), EvalError);
    await bothCancelled(queued);
    assertEquals(late, 0);
    gate.open();
    await both(running, (value) => assertEquals(value, 1));
    await until(() => late === 1, "the running task's own listener");
  });
}

function abortable(): { signal: AbortSignal; abort(reason: unknown): void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}

/** Rows that need shared memory, or look at threads. */
export function threadInterpreterRows(): void {
  row(NAME, "test_init_func: the initializer has run in the worker before its first task", async () => {
    const words = gateWords();
    using pool = new ThreadPoolExecutor({ maxWorkers: 1, initializer: countIn, initargs: [words] });
    assertEquals(words[0], 0, "not before there is work");
    await both(() => pool.submit(readWord, words), (value) => assertEquals(value, 1));
  });

  row(NAME, "test_init_closure: a closure as initializer breaks the pool, whose error says what it lacks", async () => {
    const hidden = 5;
    await assertBroken(() => hidden, (cause) => {
      assertInstanceOf(cause, ReferenceError);
      assertStringIncludes(cause.message, "hidden");
    });
  });

  row(NAME, "test_init_instance_method: a method as initializer breaks the pool", async () => {
    const local = new Local();
    await assertBroken(local.times, (cause) => assertInstanceOf(cause, TaskNotFoundError));
    await assertBroken(local.times.bind(local), (cause) => {
      assertInstanceOf(cause, TaskNotFoundError);
    });
  });

  row(
    NAME,
    "test_init_exception_in_func: an initializer that throws breaks the pool, its error is the cause",
    async () => {
      await assertBroken(failToStart, (cause) => {
        assertInstanceOf(cause, RangeError);
        assertInstanceOf(cause.cause, TypeError);
      });
    },
  );

  row(NAME, "test_blocking: ten tasks that block in ten workers all end as they are let go", async () => {
    await assertAllEnd(10, 10);
  });

  row(
    NAME,
    "test_blocking_with_limited_workers: ten tasks that block in four workers all end as they are let go",
    async () => {
      await assertAllEnd(10, 4);
    },
  );

  row(NAME, "test_thread_name_prefix: the default prefix names the kind of the pool", async () => {
    using pool = new ThreadPoolExecutor(1);
    await both(() => pool.submit(threadName), (name) => assertMatch(name, /^ThreadPoolExecutor-\d+_0$/));
  });

  row(NAME, "test_thread_name_prefix_with_thread_get_name: the worker's own name has the prefix", async () => {
    using pool = new ThreadPoolExecutor({ maxWorkers: 1, threadNamePrefix: "loader" });
    await both(() => pool.submit(threadName), (name) => assertEquals(name, "loader_0"));
  });
}

/** Runs tasks that each block on a word of their own, and lets one go after the other. */
async function assertAllEnd(tasks: number, maxWorkers: number): Promise<void> {
  const before = startedWorkers();
  using pool = new ThreadPoolExecutor(maxWorkers);
  const gates = Array.from({ length: tasks }, gateWords);
  try {
    const futures = gates.map((words, i) => pool.submit(awaitWord<number>, words, i));
    for (const [i, words] of gates.entries()) {
      await until(() => Atomics.load(words, 1) === 1, `task ${i} blocks`);
      assert(futures[i].running(), `${futures[i]}`);
      openWords(words);
      if (i % 2 === 0) assertEquals(futures[i].result(BOUND), i);
      else assertEquals(await within(futures[i]), i);
    }
    assertEquals((await within(wait(futures))).notDone.size, 0);
    assertEquals(startedWorkers() - before, maxWorkers);
  } finally {
    for (const words of gates) openWords(words);
  }
}
