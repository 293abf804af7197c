/** `map()` of any executor: its options, and what it does with futures that are completed by hand. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { Executor, Future, InvalidStateError, TimeoutError } from "@concurrent/futures";
import { readArguments, startMap } from "../../executors/_map/map.ts";
import { internals } from "../../futures/future.ts";
import { collect, range } from "../behaviour/map.ts";
import { shown } from "../behaviour/map_settled.ts";
import { square, squareUnless } from "../fixtures/tasks.ts";
import { rejectionOf, test, thrownBy, within } from "../_helpers.ts";

/** Only has what every executor must have. */
class Inline extends Executor {
  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    const future = new Future<Awaited<R>>();
    try {
      future.setResult(fn(...args) as Awaited<R>);
    } catch (error) {
      future.setException(error);
    }
    return future;
  }
}

/** Only has what every executor must have, and completes no future by itself. */
class Held extends Executor {
  readonly futures: Future<unknown>[] = [];

  override submit<A extends unknown[], R>(_fn: (...args: A) => R, ..._args: A): Future<Awaited<R>> {
    const future = new Future<Awaited<R>>();
    this.futures.push(future as Future<unknown>);
    return future;
  }
}

test("Executor.map() refuses an ordered or settled that is no boolean, at the call", () => {
  const pool = new Held();
  let reads = 0;
  function* input() {
    reads++;
    yield 1;
  }
  for (const option of ["ordered", "settled"]) {
    for (const wrong of [0, 1, "false", "", null, {}, [], () => true]) {
      const error = thrownBy(() => pool.map(square, input(), { [option]: wrong } as never));
      assertInstanceOf(error, TypeError);
      const value = typeof wrong === "string" ? JSON.stringify(wrong) : Deno.inspect(wrong);
      assertEquals(error.message, `The option ${option} must be a boolean: ${value}`);
    }
    pool.map(square, [1], { [option]: undefined }).return();
  }
  assertEquals(reads, 0);
});

test("Executor.map() refuses an option that it does not know, and names those that it knows", () => {
  const pool = new Held();
  for (const unknown of ["chunkSize", "order", "timeOut", "", "maxQueued"]) {
    for (const value of [5, undefined]) {
      const error = thrownBy(() => pool.map(square, [1], { [unknown]: value } as never));
      assertInstanceOf(error, TypeError);
      assertEquals(
        error.message,
        "Cannot use an option of map() that does not exist. " +
          `To fix it, use timeout, chunksize, buffersize, ordered or settled: ${JSON.stringify(unknown)}`,
      );
    }
  }
  assertEquals(pool.futures.length, 0);
  assertEquals([...pool.map(square, [], Object.create(null))], []);
});

test("Executor.map() with ordered: false blocks on no futures that nobody completes", () => {
  const pool = new Held();
  const results = pool.map(square, range(3), { ordered: false });
  pool.futures[1].setResult(7);
  assertEquals(results.next().value, 7);
  assertInstanceOf(thrownBy(() => results.next()), InvalidStateError);
  assertEquals(results.next().done, true);
  const timed = pool.map(square, range(3), { ordered: false, timeout: 5 });
  assertInstanceOf(thrownBy(() => timed.next()), TimeoutError);
  assert(pool.futures.slice(3).every((future) => future.cancelled()));
});

test("Executor.map() with ordered: false: calls of next() that overlap come one after the other", async () => {
  const pool = new Held();
  const iterator = pool.map(square, range(3), { ordered: false })[Symbol.asyncIterator]();
  const all = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
  pool.futures[2].setResult("c");
  pool.futures[0].setResult("a");
  pool.futures[1].setResult("b");
  const seen = await within(Promise.all(all));
  assertEquals(seen.map(({ value }) => value as unknown), ["c", "a", "b", undefined]);
  const left = pool.map(square, range(3), { ordered: false })[Symbol.asyncIterator]();
  const waiting = left.next();
  await within(left.return!());
  assertEquals((await within(waiting)).done, true);
});

test("Executor.map() with settled: true works for a subclass that only implements submit()", async () => {
  const pool = new Inline();
  for (const ordered of [true, false]) {
    const results = pool.map(squareUnless, range(5), Array(5).fill(2), { settled: true, ordered });
    assertEquals([...results].map(shown), [
      ["fulfilled", 0],
      ["fulfilled", 1],
      ["rejected", "RangeError", "item 2"],
      ["fulfilled", 9],
      ["fulfilled", 16],
    ]);
    const awaited = await collect(pool.map(squareUnless, range(5), Array(5).fill(2), { settled: true, ordered }));
    assertEquals(awaited.length, 5);
  }
});

test("Executor.map(): what a blocking next() has taken, one that is awaited waits for no more", async () => {
  for (const ordered of [true, false]) {
    const pool = new Held();
    const results = pool.map(square, range(2), { ordered, timeout: 5_000 });
    const awaited = results[Symbol.asyncIterator]().next();
    await new Promise((resolve) => setTimeout(resolve, 0));
    pool.futures[0].setResult("a");
    assertEquals(results.next().value as unknown, "a");
    await new Promise((resolve) => setTimeout(resolve, 0));
    pool.futures[1].setResult("b");
    assertEquals((await within(awaited)).value as unknown, "b");
    assertEquals((await within(results[Symbol.asyncIterator]().next())).done, true);
  }
});

test("map() with ordered: false: at the deadline it looks for results that this thread has not heard of", async () => {
  const done = new Set<Future<unknown>>();
  const futures: Future<unknown>[] = [];
  const owner = {
    peek: (slot: number) => done.has(futures[slot]) ? "done" as const : "pending" as const,
    collect() {
      for (const future of done) internals.settle(future, true, "there");
      return false;
    },
    revoke: () => true,
  };
  const submit = () => {
    const future = internals.create(owner);
    internals.setSlot(future, futures.push(future) - 1);
    return future;
  };
  const results = startMap<string>(
    { submit, chunksize: () => 1 },
    readArguments(submit, [range(3), { ordered: false, timeout: 20 }]),
  );
  const iterator = results[Symbol.asyncIterator]();
  for (const future of [futures[2], futures[0]]) done.add(future);
  for (let i = 0; i < 2; i++) assertEquals(await within(iterator.next()), { done: false, value: "there" });
  assertInstanceOf(await rejectionOf(iterator.next()), TimeoutError);
  assert(futures[1].cancelled());
});
