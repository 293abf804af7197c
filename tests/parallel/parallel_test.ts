/**
 * `parallel`, `parallelize`, `invokeAll` and `invokeAny`: the default pool, other executors, and what goes wrong.
 *
 * Over 400 lines, because the four share their rules, and so the tasks and executors that try these.
 */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import {
  CancelledError,
  Executor,
  Future,
  InvalidStateError,
  ProcessPoolExecutor,
  ShutdownError,
  ThreadPoolExecutor,
  TimeoutError,
  waitSync,
} from "@concurrent/futures";
import { invokeAll, invokeAny, parallel, parallelize } from "@concurrent/futures/parallel";
import { describeSources } from "../../futures/wakeup.ts";
import { library } from "../fixtures/parallel_library.ts";
import { childProcesses, spin, test, until, untilSync } from "../_helpers.ts";

const add = (a: number, b: number) => a + b;
const rest = (ms: number) => new Promise<number>((resolve) => setTimeout(() => resolve(ms), ms));
const fail = (text: string) => {
  throw new RangeError(text);
};

/** Ends at once when its signal is aborted, and counts that. */
const restUntilAborted = async (counts: Int32Array<SharedArrayBuffer>) => {
  const { currentTask } = await import("@concurrent/futures");
  const { signal } = currentTask()!;
  Atomics.add(counts, 0, 1);
  await new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      Atomics.add(counts, 1, 1);
      reject(signal.reason);
    });
  });
};

const counters = () => new Int32Array(new SharedArrayBuffer(8));

/** Completes futures when it is told to: nobody does while this thread blocks. */
class Manual extends Executor {
  readonly futures: Future<unknown>[] = [];

  override submit<A extends unknown[], R>(_fn: (...args: A) => R, ..._args: A): Future<Awaited<R>> {
    const future = new Future<Awaited<R>>();
    this.futures.push(future);
    return future;
  }
}

test("parallel() makes a function that returns a future, which blocks and is awaited", async () => {
  using pool = new ThreadPoolExecutor(2);
  const plus = parallel(add, { executor: pool });
  assertEquals(plus.name, "add");
  assertEquals(plus(1, 2).result(), 3);
  assertEquals(await plus(3, 4), 7);
});

test("parallel() finds an exported function where it was called itself, whoever calls what it made", async () => {
  for (const Pool of [ThreadPoolExecutor, ProcessPoolExecutor]) {
    await using pool = new Pool(1);
    const scale = library.makeScale(pool);
    assertEquals(await scale(4), 40);
  }
});

test("parallel() uses one pool for all, whose threads end by themselves", async () => {
  const name = parallel(() => self.name);
  const [first, second] = [name().result(), await invokeAll([() => self.name])];
  assertStringIncludes(first, "parallel_");
  assertStringIncludes(second[0], "parallel_");
  // The test waits for the threads to end, as it leaves no worker behind.
}, { bound: 10_000 });

test("parallelize() yields results in order, blocked and awaited, and stops at the first error", async () => {
  using pool = new ThreadPoolExecutor(2);
  const options = { executor: pool };
  const double = (n: number) => 2 * n;
  assertEquals([...parallelize([1, 2, 3], double, options)], [2, 4, 6]);
  assertEquals(await Array.fromAsync(parallelize(new Set([1, 2, 3]), double, options)), [2, 4, 6]);
  async function* later() {
    yield* [4, 5];
  }
  assertEquals(await Array.fromAsync(parallelize(later(), double, options)), [8, 10]);
  assertEquals([...parallelize([], double, options)], []);
  // An object without a class is an input, and no options.
  const plain = {
    *[Symbol.iterator]() {
      yield 7;
    },
  };
  assertEquals([...parallelize(plain, double, options)], [14]);
  assertThrows(() => [...parallelize(["a"], fail, options)], RangeError, "a");
});

test("invokeAll() gives results in the order of the tasks, blocked and awaited, and calls callbacks", async () => {
  using executor = new ThreadPoolExecutor(2);
  const future = invokeAll([[rest, 30], () => "b", [add, 1, 2]], { executor });
  assertEquals([future.state, future.cancel()], ["RUNNING", false]);
  const called: string[] = [];
  future.addDoneCallback((future) => called.push(String(future)));
  assertEquals(future.result(), [30, "b", 3]);
  assertEquals(called.length, 1);
  assertStringIncludes(called[0], "state=finished returned Array");
  assertEquals(await invokeAll(new Set([() => 1]), { executor }), [1]);
  assertEquals(invokeAll([], { executor }).result(), []);
  assertEquals(waitSync([invokeAll([() => 1], { executor })]).notDone.size, 0);
});

test("invokeAll() fails with the first error by place, when all tasks are done", () => {
  const executor = new Manual();
  const future = invokeAll([() => 1, () => 2, () => 3], { executor });
  const [first, second, third] = executor.futures;
  third.setException(new RangeError("third"));
  first.setException(new RangeError("first"));
  assertEquals(future.done(), false);
  second.setResult(2);
  assertThrows(() => future.result(), RangeError, "first");
});

test("invokeAll() aborts what is left when its time runs out, blocked and awaited", async () => {
  using executor = new ThreadPoolExecutor(1);
  // So that the tasks begin at once.
  executor.submit(async () => void await import("@concurrent/futures")).result();
  for (const isBlocking of [true, false]) {
    const counts = counters();
    const tasks = [() => 1, [restUntilAborted, counts], [restUntilAborted, counts]] as const;
    const future = invokeAll(tasks, { executor, timeout: 1_000 });
    const error = isBlocking ? future.exception() as Error : await future.then(() => {}, (error) => error);
    assertInstanceOf(error, TimeoutError);
    assertStringIncludes(error.message, "within 1000 ms: 1 (of 3)");
    await until(() => Atomics.load(counts, 1) === 1, "the abort of the task that runs");
    // The other one was cancelled.
    assertEquals(await executor.submit(() => 2), 2);
    assertEquals(counts[0], 1);
  }
  assertEquals(describeSources().filter((text) => text.includes("invoke")), [], "nobody looks at the clock any more");
});

test("invokeAll() and invokeAny() give what came in time to a program that looks only after that", async () => {
  using executor = new ThreadPoolExecutor(1);
  executor.submit(() => 0).result();
  for (const invoke of [invokeAll, invokeAny]) {
    for (const isBlocking of [true, false]) {
      const counts = counters();
      const count = (counts: Int32Array<SharedArrayBuffer>) => Atomics.add(counts, 0, 1);
      const future = invoke([[count, counts]], { executor, timeout: 300 }) as Future<unknown>;
      untilSync(() => Atomics.load(counts, 0) === 1, "the task");
      // Computes on, without a look at anything, until the time has run out.
      spin(400);
      assertEquals(isBlocking ? future.exception() : await future.then(() => null, (error) => error), null);
    }
  }
});

test("invokeAny() ends the tasks that run in processes, and the pool goes on", async () => {
  await using executor = new ProcessPoolExecutor(2);
  const started = Deno.makeTempFileSync();
  try {
    const loop = (path: string) => {
      Deno.writeTextFileSync(path, "started");
      for (;;);
    };
    const win = async (path: string) => {
      while (Deno.readTextFileSync(path) === "") await new Promise((resolve) => setTimeout(resolve, 1));
      return Deno.pid;
    };
    const winner = await invokeAny([[loop, started], [win, started]], { executor });
    assert(winner !== Deno.pid);
    await until(() => executor.stats().running === 0, "the end of the loop");
    await until(() => (childProcesses() ?? []).length <= 1, "the end of its process");
    assertEquals(await invokeAll([() => 1, () => 2], { executor }), [1, 2]);
    const { done, failed } = executor.stats();
    assertEquals([done, failed], [3, 1]);
  } finally {
    Deno.removeSync(started);
  }
});

test("invokeAny() never starts tasks that wait when its time runs out or it is aborted", async () => {
  using executor = new ThreadPoolExecutor(1);
  for (const isAborted of [true, false]) {
    const counts = counters();
    const count = (counts: Int32Array<SharedArrayBuffer>) => Atomics.add(counts, 1, 100);
    const tasks = [[restUntilAborted, counts], [count, counts], [count, counts]] as const;
    const future = invokeAny(tasks, { executor, timeout: isAborted ? undefined : 500 });
    if (isAborted) {
      await until(() => Atomics.load(counts, 0) === 1, "the first task");
      future.abort();
    }
    assertEquals((future.exception() as Error).name, isAborted ? "AbortError" : "TimeoutError");
    await executor.submit(() => 0);
    assert(Atomics.load(counts, 1) < 100, "one of them has started");
  }
});

test("Future.done() of invokeAll() and invokeAny() tells a program that only asks, and never yields", () => {
  using executor = new ThreadPoolExecutor(1);
  const isDone = (future: Future<unknown>) => untilSync(() => future.done(), "the tasks");
  const all = invokeAll(Array.from({ length: 3_000 }, (_, i) => [add, i, 1] as const), { executor });
  isDone(all);
  assertEquals(all.result().at(-1), 3_000);
  const any = invokeAny([[fail, "out"], [add, 1, 1]], { executor });
  isDone(any);
  assertEquals(any.result(), 2);
  // The first in time, not by place.
  using two = new ThreadPoolExecutor(2);
  const counts = counters();
  const second = (counts: Int32Array<SharedArrayBuffer>) => {
    Atomics.wait(counts, 0, 0);
    Atomics.store(counts, 1, 1);
    return "second";
  };
  const race = invokeAny([[second, counts], () => "first"], { executor: two });
  untilSync(() => two.stats().done === 1, "the first");
  Atomics.store(counts, 0, 1);
  Atomics.notify(counts, 0);
  untilSync(() => two.stats().done === 2, "the second");
  assertEquals([race.done(), race.result()], [true, "first"]);
  const late = invokeAll([[rest, 5_000]], { executor, timeout: 50 });
  isDone(late);
  assertEquals([late.state, (late.exception() as Error).name], ["FINISHED", "TimeoutError"]);
});

test("invokeAll() with a timeout of 0 or less does not wait", () => {
  using executor = new ThreadPoolExecutor(1);
  for (const timeout of [0, -1]) {
    const future = invokeAll([[rest, 5]], { executor, timeout });
    assertEquals([future.done(), (future.exception() as Error).name], [true, "TimeoutError"]);
  }
});

test("Future.abort() of invokeAll() and invokeAny() aborts all tasks, and fails with the reason", async () => {
  using executor = new ThreadPoolExecutor(1);
  for (const invoke of [invokeAll, invokeAny]) {
    const counts = counters();
    const future = invoke([[restUntilAborted, counts], [restUntilAborted, counts]], { executor }) as Future<unknown>;
    await until(() => Atomics.load(counts, 0) === 1, "the first task");
    const reason = new Error("enough");
    assertEquals([future.abort(reason), future.abort()], [true, false]);
    assertEquals(future.exception(), reason);
    await until(() => Atomics.load(counts, 1) === 1, "the abort");
    executor.submit(() => 0).result();
    assertEquals(counts[0], 1);
  }
});

test("invokeAny() gives the first success, and aborts the tasks that run and those that wait", async () => {
  using executor = new ThreadPoolExecutor(2);
  const counts = counters();
  const waiting = [restUntilAborted, counts] as const;
  const later = async (counts: Int32Array<SharedArrayBuffer>) => {
    while (Atomics.load(counts, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    return "won";
  };
  const future = invokeAny([waiting, [later, counts], waiting], { executor });
  assertEquals(future.result(), "won");
  await until(() => executor.stats().running === 0, "the end of the losers");
  assertEquals(Atomics.load(counts, 0), Atomics.load(counts, 1));
  assertEquals(invokeAny([[fail, "out"], () => 5], { executor }).result(), 5);
});

test("invokeAny() fails with an AggregateError in the order of the tasks when none succeeds", () => {
  const executor = new Manual();
  const future = invokeAny([() => 1, () => 2], { executor });
  const [first, second] = executor.futures;
  second.setException(new RangeError("second"));
  assertEquals(future.done(), false);
  first.setException(new RangeError("first"));
  const error = assertThrows(() => future.result(), AggregateError, "2 have failed");
  assertEquals(error.errors.map(({ message }) => message), ["first", "second"]);
  assertThrows(() => invokeAny([], { executor }), TypeError, "at least one task");
});

test("invokeAny() names in its TimeoutError what has failed before", () => {
  using executor = new ThreadPoolExecutor(2);
  const late = invokeAny([[fail, "early"], [rest, 10_000]], { executor, timeout: 1_500 }).exception() as Error;
  assertInstanceOf(late, TimeoutError);
  assertEquals((late.cause as AggregateError).errors.map(({ message }) => message), ["early"]);
});

test("invokeAny() is done before the callbacks of those that it aborts are called", () => {
  const executor = new Manual();
  const future = invokeAny([() => 1, () => 2], { executor });
  const [first, second] = executor.futures;
  const results: unknown[] = [];
  second.addDoneCallback(() => results.push(second.state, future.result()));
  first.setResult(5);
  assertEquals(results, ["CANCELLED", 5]);
});

test("invokeAll(), invokeAny(), parallel(): an executor that was shut down throws", () => {
  const executor = new ThreadPoolExecutor(1);
  executor.shutdownSync();
  for (const invoke of [invokeAll, invokeAny]) assertThrows(() => invoke([() => 1], { executor }), ShutdownError);
  assertThrows(() => parallel(add, { executor })(1, 2), ShutdownError);
  assertThrows(() => parallelize([1], (n) => n, { executor }), ShutdownError);
});

test("invokeAll() cancels what it has submitted when a later submit throws", () => {
  class Full extends Manual {
    override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
      if (this.futures.length === 2) throw new RangeError("full");
      return super.submit(fn, ...args);
    }
  }
  const executor = new Full();
  assertThrows(() => invokeAll([() => 1, () => 2, () => 3], { executor }), RangeError, "full");
  assert(executor.futures.every((future) => future.cancelled()));
});

test("invokeAll(): a shutdown that cancels tasks fails it with CancelledError", () => {
  const executor = new ThreadPoolExecutor(1);
  const future = invokeAll([[rest, 20], [rest, 20]], { executor });
  executor.shutdown({ cancelFutures: true });
  assertThrows(() => future.result(), CancelledError);
});

test("invokeAll() and invokeAny() take an executor that gives the same future for several tasks", () => {
  class Remembering extends Executor {
    readonly future = new Future<unknown>();

    override submit<A extends unknown[], R>(_fn: (...args: A) => R, ..._args: A): Future<Awaited<R>> {
      return this.future as Future<Awaited<R>>;
    }
  }
  const executor = new Remembering();
  const tasks = [() => 1, () => 2];
  const pending = invokeAll(tasks, { executor });
  executor.future.setResult(5);
  assertEquals(pending.done() && pending.result(), [5, 5]);
  const done = invokeAll(tasks, { executor });
  assertEquals(done.done() && done.result(), [5, 5]);
  assertEquals(invokeAny(tasks, { executor }).result(), 5);
  const failing = new Remembering();
  const none = invokeAny(tasks, { executor: failing, timeout: 20_000 });
  failing.future.setException(new RangeError("out"));
  assertEquals((none.exception() as AggregateError).errors.map(String), ["RangeError: out", "RangeError: out"]);
});

test("invokeAll() and invokeAny() read options that their object inherits, as others do", () => {
  class Options {
    readonly executor = new Manual();
    get timeout(): number {
      return 20;
    }
  }
  for (const invoke of [invokeAll, invokeAny]) {
    const future = invoke([() => 1], new Options()) as Future<unknown>;
    assertThrows(() => future.result(20_000), TimeoutError, "within 20 ms");
  }
});

test("invokeAll() and invokeAny() take results of an executor that calls the function in submit", () => {
  class Direct extends Executor {
    override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
      const future = new Future<Awaited<R>>();
      future.setResult(fn(...args) as Awaited<R>);
      return future;
    }
  }
  const executor = new Direct();
  assertEquals(invokeAll([() => 1, [add, 1, 1]], { executor }).result(), [1, 2]);
  assertEquals(invokeAny([() => 1, [add, 1, 1]], { executor, timeout: 1_000 }).result(), 1);
  assertEquals(parallel(add, { executor })(1, 2).result(), 3);
  assertEquals([...parallelize([1, 2], (n) => -n, { executor })], [-1, -2]);
});

test("Future.result() of invokeAll() throws at once where no executor completes the tasks", async () => {
  const executor = new Manual();
  const future = invokeAll([() => 1, () => 2], { executor });
  assertThrows(() => future.result(), InvalidStateError);
  assertThrows(() => waitSync([future]), InvalidStateError);
  assertThrows(() => future.result(10), TimeoutError);
  // It completes itself when its time runs out.
  assertThrows(() => invokeAll([() => 3], { executor: new Manual(), timeout: 20 }).result(), TimeoutError);
  for (const [i, each] of executor.futures.entries()) each.setResult(i + 1);
  assertEquals(future.result(), [1, 2]);
  assertEquals(await future, [1, 2]);
});

test("parallel(), parallelize(), invokeAll(), invokeAny() refuse what they cannot use", () => {
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  const bad: any = { parallel, parallelize, invokeAll, invokeAny };
  assertThrows(() => bad.parallel(5), TypeError, "must be a function: 5");
  assertThrows(() => bad.parallelize(5, add), TypeError, "must be iterable: 5");
  assertThrows(() => bad.parallelize(null, add), TypeError, "must be iterable: null");
  assertThrows(() => bad.parallelize([1], undefined), TypeError, "must be a function: undefined");
  for (const call of ["parallel", "parallelize"]) {
    const args = call === "parallel" ? [add] : [[1], add];
    assertThrows(() => bad[call](...args, { executor: {} }), TypeError, "must be an executor");
    assertThrows(() => bad[call](...args, { timeout: 5 }), TypeError, '"timeout"');
    assertThrows(() => bad[call](...args, null), TypeError, "must be an object: null");
  }
  for (const call of ["invokeAll", "invokeAny"]) {
    const invoke = bad[call];
    for (const tasks of [5, null, undefined, {}]) assertThrows(() => invoke(tasks), TypeError, "must be iterable");
    assertThrows(() => invoke([add, 5]), TypeError, "tasks[1] is 5");
    assertThrows(() => invoke([[]]), TypeError, "tasks[0] is []");
    for (const tasks of [[add], 5, [5], []]) assertThrows(() => invoke(tasks, { timeout: NaN }), RangeError, "NaN");
    assertThrows(() => invoke([add], { timeout: "5" }), TypeError, '"5"');
    assertThrows(() => invoke([add], { signal: 5 }), TypeError, '"signal"');
    assertThrows(() => invoke([add], { executor: null }), TypeError, "must be an executor: null");
  }
});
