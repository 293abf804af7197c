/** Threads whose tasks do not end when they are stopped. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals } from "@std/assert";
import { ThreadPoolExecutor, TimeoutError } from "@concurrent/futures";
import { BOUND, Ledger, pause, rejectionOf, test, until, untilSync, within } from "../_helpers.ts";
import { describeSources } from "../../futures/wakeup.ts";
import { Warnings } from "../_warnings.ts";
import { add, square } from "../fixtures/tasks.ts";
import { askAfter, leaveAsking, loopUntilAborted } from "../fixtures/control_tasks.ts";
import { computeUntilTold } from "../fixtures/thread_tasks.ts";

test("ThreadPoolExecutor: a thread that computes on is given up, and what it returns is of no task", async () => {
  using warnings = new Warnings();
  using pool = new ThreadPoolExecutor({ maxWorkers: 1, threadNamePrefix: "t" });
  const words = new Int32Array(new SharedArrayBuffer(8));
  await within(pool.submit(add, 1, 2));
  for (const how of ["timeout", "abort"] as const) {
    words.fill(0);
    const reason = new Error("enough");
    const future = pool.with(how === "abort" ? { grace: 30 } : { timeout: 30, grace: 0 }).submit(
      computeUntilTold,
      words,
    );
    untilSync(() => Atomics.load(words, 0) === 1, "its begin");
    if (how === "abort") assert(future.abort(reason));
    // Blocked, and another thread takes its place at once.
    const behind = Array.from({ length: 200 }, (_, i) => pool.submit(square, i));
    const error = future.exception(BOUND);
    if (how === "abort") assertStrictEquals(error, reason);
    else {
      assertInstanceOf(error, TimeoutError);
      assertMatch(error.message, /^Task computeUntilTold was stopped on t_0, .*: 30 ms$/);
    }
    assertEquals(behind.map((future) => future.result(BOUND)), behind.map((_, i) => i * i));
    // It ends while others use its slot, and its place.
    const more = Array.from({ length: 2_000 }, (_, i) => pool.submit(square, i));
    Atomics.store(words, 1, 1);
    assertEquals(await within(Promise.all(more)), more.map((_, i) => i * i));
    assertStrictEquals(future.exception(0), error);
  }
  assertStrictEquals(pool.stats().lost, 2);
  assertEquals(warnings.texts.length, 2);
  assertMatch(warnings.texts[0], /^t_0 was given up/);
});

test("ThreadPoolExecutor: a thread that computes what a stopped task left behind is given up, too", async () => {
  using warnings = new Warnings();
  using pool = new ThreadPoolExecutor({ maxWorkers: 1, threadNamePrefix: "t" });
  const computeLater = async (words: Int32Array<SharedArrayBuffer>) => {
    Atomics.store(words, 1, 1);
    await Atomics.waitAsync(words, 0, 0).value;
    Atomics.store(words, 1, 2);
    while (Atomics.load(words, 2) === 0);
  };
  for (const how of ["timeout", "abort"] as const) {
    for (const isBlocked of [true, false]) {
      const words = new Int32Array(new SharedArrayBuffer(12));
      const stopped = pool.with(how === "abort" ? { grace: 0 } : { timeout: 20, grace: 0 }).submit(computeLater, words);
      await until(() => Atomics.load(words, 1) === 1, "its begin");
      if (how === "abort") assert(stopped.abort());
      assertInstanceOf(await rejectionOf(stopped), Error);
      assertEquals(await within(pool.submit(square, 2)), 4, "the same thread");
      // Not in a turn of its event loop, where it has no task and is not woken.
      await until(() => describeSources().join().includes("statuses=[PARKED]"), "its rest");
      Atomics.store(words, 0, 1);
      Atomics.notify(words, 0);
      await until(() => Atomics.load(words, 1) === 2, "what it has left behind");
      const next = [1, 2, 3].map((n) => pool.submit(square, n));
      const results = isBlocked
        ? next.map((future) => future.result(BOUND))
        : await within(Promise.all(next), "tasks on the thread that takes its place");
      assertEquals(results, [1, 4, 9]);
      Atomics.store(words, 2, 1);
    }
  }
  assertEquals([pool.stats().lost, warnings.texts.length], [4, 4]);
  assertMatch(warnings.texts[0], /^t_0 was given up/);
});

test("ThreadPoolExecutor: a thread that answers is kept, although each look finds it just woken", async () => {
  using pool = new ThreadPoolExecutor(1);
  const stopped = pool.with({ grace: 0 }).submit(askAfter, 50, new Ledger().path);
  await until(() => stopped.running(), "its begin");
  assert(stopped.abort());
  await rejectionOf(stopped);
  for (let i = 0; i < 20; i++) {
    // A look is due by then, and is made as soon as this thread blocks.
    pause(110);
    assertEquals(pool.submit(square, i).result(BOUND), i * i);
  }
  assertEquals(pool.stats().lost, 0);
});

test("ThreadPoolExecutor: the signal of a task stays aborted when its thread was given up", async () => {
  using _warnings = new Warnings();
  using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const words = new Int32Array(new SharedArrayBuffer(8));
  const ledger = new Ledger();
  const future = pool.with({ grace: 0 }).submit(computeUntilTold, words, ledger.path);
  untilSync(() => Atomics.load(words, 0) === 1, "its begin");
  assert(future.abort());
  assertEquals(await within(pool.submit(add, 1, 2)), 3);
  Atomics.store(words, 1, 1);
  await until(() => ledger.lines().length === 1, "what it finds");
  assertEquals(ledger.lines(), ["true AbortError"]);
});

test("ThreadPoolExecutor.shutdown() does not wait for a thread that was given up", async () => {
  using _warnings = new Warnings();
  const words = new Int32Array(new SharedArrayBuffer(8));
  for (const isBlocked of [false, true]) {
    words.fill(0);
    const pool = new ThreadPoolExecutor(1);
    const future = pool.with({ grace: 20 }).submit(computeUntilTold, words);
    untilSync(() => Atomics.load(words, 0) === 1, "its begin");
    assert(future.abort());
    if (isBlocked) pool.shutdownSync();
    else await within(pool.shutdown());
    assertStrictEquals((future.exception(0) as Error).name, "AbortError");
    Atomics.store(words, 1, 1);
  }
});

test("ThreadPoolExecutor: a thread whose task heeds its signal is kept", async () => {
  using pool = new ThreadPoolExecutor(1);
  for (let i = 0; i < 20; i++) {
    const future = pool.with({ grace: 10_000, timeout: i % 2 === 0 ? 5 : undefined }).submit(loopUntilAborted);
    if (i % 2 === 1) {
      await until(() => future.running(), "its begin");
      assert(future.abort());
    }
    assertInstanceOf(future.exception(BOUND), Error);
  }
  assertStrictEquals(pool.stats().lost, 0);
});

test("Future.done() of ThreadPoolExecutor: who neither blocks nor yields sees that a task was given up", async () => {
  using warnings = new Warnings();
  using pool = new ThreadPoolExecutor(1);
  const words = new Int32Array(new SharedArrayBuffer(8));
  await within(pool.submit(add, 1, 2));
  for (const how of ["timeout", "abort"] as const) {
    words.fill(0);
    const future = pool.with(how === "abort" ? { grace: 20 } : { timeout: 20, grace: 0 }).submit(
      computeUntilTold,
      words,
    );
    untilSync(() => Atomics.load(words, 0) === 1, "its begin");
    if (how === "abort") assert(future.abort());
    untilSync(() => future.done(), "its end");
    const behind = pool.submit(square, 3);
    untilSync(() => behind.done(), "another thread");
    assertEquals(behind.result(0), 9);
    Atomics.store(words, 1, 1);
  }
  assertEquals(warnings.texts.length, 2);
});

test("ThreadPoolExecutor: a stopped task that goes on finds its signal aborted, others do not", async () => {
  using pool = new ThreadPoolExecutor(1);
  const warmUp = new Ledger();
  for (let i = 0; i < 2; i++) await within(pool.submit(askAfter, 5, warmUp.path));
  assertEquals(warmUp.lines(), ["false", "false"]);
  const [first, second] = [new Ledger(), new Ledger()];
  const stopped = pool.with({ grace: 0 }).submit(askAfter, 100, first.path);
  await until(() => stopped.running(), "its begin");
  assert(stopped.abort());
  await rejectionOf(stopped);
  const next = pool.submit(askAfter, 200, second.path);
  await within(next);
  assertEquals([first.lines(), second.lines()], [["true"], ["false"]]);
  // What has ended in time is not to end later.
  for (const options of [{}, { timeout: 20, grace: 60_000 }]) {
    const ledger = new Ledger();
    const futures = [pool.with(options).submit(leaveAsking, 60, ledger.path), pool.submit(askAfter, 100, second.path)];
    await within(Promise.allSettled(futures));
    if (futures[0].exception(0) === null) assertEquals(ledger.lines(), ["false"]);
  }
});
