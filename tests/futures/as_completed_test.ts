/** `asCompleted` without an executor. With executors: `behaviour/waiting.ts`. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { asCompleted, Future, InvalidStateError, TimeoutError } from "@concurrent/futures";
import { bestOf, elapsed, outputOf, pause, rejectionOf, sleep, test, thrownBy, within } from "../_helpers.ts";

function pending(): Future<number> {
  return new Future<number>();
}
function successful(value = 1): Future<number> {
  const future = pending();
  future.setResult(value);
  return future;
}
function failed(): Future<number> {
  const future = pending();
  future.setException(new Error("no"));
  return future;
}
function cancelled(): Future<number> {
  const future = pending();
  future.cancel();
  return future;
}

/** What `for await` yields until it ends, or throws. */
async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

test("asCompleted() yields finished futures, once each, from `for` and from `for await`, as futures", async () => {
  const fs = [successful(), failed(), cancelled()];
  const blocked = [...asCompleted([...fs, ...fs, fs[1]])];
  const awaited = await within(collect(asCompleted([...fs, ...fs, fs[1]])));
  for (const items of [blocked, awaited]) {
    assertEquals(items.length, 3);
    for (const item of items) assertInstanceOf(item, Future);
    assertEquals(new Set(items), new Set(fs));
  }
});

test("asCompleted() of nothing ends at once, and takes any iterable", async () => {
  assertEquals([...asCompleted([])], []);
  assertEquals(await within(collect(asCompleted([]))), []);
  assertEquals([...asCompleted([], { timeout: 0 })], []);
  const [a, b] = [successful(), failed()];
  function* generator() {
    yield* [a, b, a];
  }
  assertEquals(new Set(asCompleted(generator())), new Set([a, b]));
  assertEquals(new Set(await within(collect(asCompleted(new Set([a, b]))))), new Set([a, b]));
});

test("asCompleted() yields what is finished first, then in the order of finishing", async () => {
  const [a, b, c, d] = [pending(), successful(), pending(), pending()];
  const order: Future<number>[] = [];
  const reading = (async () => {
    for await (const future of asCompleted([a, b, c, d])) order.push(future);
  })();
  await sleep(2);
  assertEquals(order.length, 1);
  assertStrictEquals(order[0], b);
  d.setResult(1);
  a.cancel();
  await sleep(2);
  c.setException(undefined);
  await within(reading);
  assertEquals(order.map(String), [b, d, a, c].map(String));
});

test("asCompleted(): what finishes between the call and the first item counts as finished", async () => {
  const [a, b] = [pending(), pending()];
  const awaited = asCompleted([a, b]);
  const blocked = asCompleted([a, b]);
  b.setResult(1);
  a.setResult(1);
  assertEquals(new Set(await within(collect(awaited))), new Set([a, b]));
  assertEquals(new Set(blocked), new Set([a, b]));
});

test("asCompleted(): the loop can be left, and what it yielded is in order when several finish at once", async () => {
  const fs = Array.from({ length: 10 }, pending);
  const order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7];
  const reading = collect(asCompleted(fs));
  await sleep(1);
  for (const i of order) fs[i].setResult(i);
  assertEquals((await within(reading)).map((future) => future.result()), order);
});

test("asCompleted() throws TimeoutError with the count, after it has yielded what is finished", async () => {
  const fs = [successful(), pending(), pending(), cancelled(), pending()];
  for (const timeout of [0, -1, 50]) {
    const yielded: Future<number>[] = [];
    let error: unknown;
    const took = elapsed(() => {
      error = thrownBy(() => {
        for (const future of asCompleted([...fs, ...fs], { timeout })) yielded.push(future);
      });
    });
    assertInstanceOf(error, TimeoutError);
    assertEquals(error.message, "3 (of 5) futures unfinished");
    assertEquals(new Set(yielded), new Set([fs[0], fs[3]]));
    assert(took >= timeout - 1 && took < 5_000, `took ${took} of ${timeout} ms`);

    const start = performance.now();
    const late: Future<number>[] = [];
    const rejection = await rejectionOf((async () => {
      for await (const future of asCompleted([...fs, ...fs], { timeout })) late.push(future);
    })());
    const waited = performance.now() - start;
    assertInstanceOf(rejection, TimeoutError);
    assertEquals(rejection.message, "3 (of 5) futures unfinished");
    assertEquals(new Set(late), new Set([fs[0], fs[3]]));
    assert(waited >= timeout - 1 && waited < 5_000, `took ${waited} of ${timeout} ms`);
  }
});

test("asCompleted(): the clock starts at the call, not at the first item", async () => {
  await bestOf(5, async () => {
    const blocked = asCompleted([pending()], { timeout: 60 });
    const awaited = asCompleted([pending()], { timeout: 60 });
    pause(100);
    const took = elapsed(() => assertThrows(() => [...blocked], TimeoutError, "1 (of 1) futures unfinished"));
    const start = performance.now();
    assertInstanceOf(await rejectionOf(collect(awaited)), TimeoutError);
    const more = [took, performance.now() - start];
    assert(Math.max(...more) < 40, `the deadline had passed, but they waited ${more} ms more`);
  });
});

test("asCompleted(): finished futures are still yielded after the deadline", async () => {
  const [a, b] = [successful(), pending()];
  const blocked = asCompleted([a, b], { timeout: 5 });
  const awaited = asCompleted([a, b], { timeout: 5 });
  pause(20);
  b.setResult(1);
  assertEquals(new Set(blocked), new Set([a, b]));
  assertEquals(new Set(await within(collect(awaited))), new Set([a, b]));
});

test("asCompleted(): a timeout beyond what a timer can hold does not run out", async () => {
  for (const timeout of [2 ** 31, 1e15, Number.MAX_VALUE, Infinity]) {
    const future = pending();
    let ended = false;
    const reading = collect(asCompleted([future], { timeout })).finally(() => ended = true);
    await sleep(15);
    assert(!ended, `a timeout of ${timeout} ms was over at once`);
    future.setResult(1);
    assertEquals((await within(reading)).length, 1);
  }
});

test("asCompleted(): a blocking loop left with bare futures only throws InvalidStateError at once", () => {
  for (const options of [undefined, {}, { timeout: Infinity }]) {
    const yielded: Future<number>[] = [];
    const took = elapsed(() =>
      assertThrows(() => {
        for (const future of asCompleted([pending(), successful(), pending()], options)) yielded.push(future);
      }, InvalidStateError)
    );
    assertEquals(yielded.length, 1, "what is finished comes first");
    assert(took < 500, `took ${took} ms`);
  }
});

test("asCompleted() refuses a timeout of NaN at the call, always and first", () => {
  const loose = asCompleted as unknown as (fs: unknown, options: unknown) => unknown;
  for (const fs of [[], [successful()], [pending()], 5, undefined, [5]]) {
    assertThrows(() => loose(fs, { timeout: NaN }), RangeError);
  }
});

test("asCompleted() refuses what is not an iterable of futures", async () => {
  const loose = asCompleted as unknown as (fs: unknown) => Iterable<unknown> & AsyncIterable<unknown>;
  const wrong = [undefined, null, 5, {}, successful(), "futures", [5], [undefined], [successful(), {}], [
    Promise.resolve(),
  ]];
  for (const fs of wrong) {
    assertThrows(() => [...loose(fs)], TypeError, undefined, Deno.inspect(fs));
    assertInstanceOf(await rejectionOf((async () => await collect(loose(fs)))()), TypeError, Deno.inspect(fs));
  }
});

test("asCompleted(): several calls of next() at once get a future each, and then the end", async () => {
  const fs = [pending(), pending(), pending()];
  const iterator = asCompleted(fs)[Symbol.asyncIterator]();
  const reading = Promise.all([1, 2, 3, 4].map(() => iterator.next()));
  await sleep(1);
  for (const i of [1, 2, 0]) fs[i].setResult(i);
  const items = await within(reading);
  assertEquals(items.map(({ value }) => String(value)), [fs[1], fs[2], fs[0], undefined].map(String));
  assertEquals(items.map(({ done }) => done), [false, false, false, true]);
});

test("asCompleted(): a reader that waits is not sent away because another one was quicker", async () => {
  const fs = [pending(), pending()];
  const iterator = asCompleted(fs)[Symbol.asyncIterator]();
  const first = iterator.next();
  let second: Promise<IteratorResult<Future<number>>> | undefined;
  await sleep(1);
  fs[0].addDoneCallback(() => second = iterator.next());
  fs[0].setResult(0);
  await sleep(1);
  fs[1].setResult(1);
  const items = await within(Promise.all([first, second!]));
  assertEquals(items.map(({ done }) => done), [false, false]);
  assertEquals(new Set(items.map(({ value }) => value)), new Set(fs));
});

test("asCompleted(): leaving the loop early leaves no timer", async () => {
  const fs = [successful(), pending()];
  for await (const _ of asCompleted(fs, { timeout: 600_000 })) break;
  for (const _ of asCompleted(fs, { timeout: 600_000 })) break;
  const unread = asCompleted(fs, { timeout: 600_000 });
  assert(Symbol.iterator in unread && Symbol.asyncIterator in unread);
  // a timer that is left fails this test
});

test("asCompleted(): leaving the loop early, or by an error or a timeout, removes its listeners", async () => {
  const ways = ["break", "break-async", "throw-async", "timeout", "timeout-async", "unread"];
  const { bytesEach } = await outputOf("listeners.ts", ways, { flags: ["-A", "--v8-flags=--expose-gc"] });
  for (const how of ways) {
    assert(bytesEach[how] < 60, `${how}: each loop over one pending future left ${bytesEach[how]} bytes behind`);
  }
});

test("asCompleted() keeps no reference to what it has yielded", async () => {
  const collected = await outputOf("yielded.ts", [], { flags: ["-A", "--v8-flags=--expose-gc"] });
  assertEquals(collected, { blocking: true, awaited: true, afterTimeout: true });
});

test("asCompleted(): the iterator is ended after its end, its error and its return()", async () => {
  const blocked = asCompleted([successful()])[Symbol.iterator]();
  assertEquals(blocked.next().done, false);
  assertEquals(blocked.next().done, true);
  assertEquals(blocked.next().done, true);
  const awaited = asCompleted([successful()])[Symbol.asyncIterator]();
  assertEquals((await awaited.next()).done, false);
  assertEquals((await awaited.next()).done, true);
  assertEquals((await awaited.next()).done, true);
  const left = asCompleted([successful(), pending()])[Symbol.asyncIterator]();
  await left.next();
  await left.return?.();
  assertEquals((await within(left.next())).done, true);
});

test("asCompleted() over 100,000 futures is quick", async () => {
  const fs = Array.from({ length: 100_000 }, pending);
  const start = performance.now();
  const reading = collect(asCompleted(fs));
  await sleep(0);
  for (const future of fs) future.setResult(1);
  assertEquals((await within(reading)).length, 100_000);
  const took = performance.now() - start;
  assert(took < 5_000, `took ${took} ms`);
});
