/** `map()`: order, inputs, and the two ways to read it. */
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { Executor, Future, TimeoutError } from "@concurrent/futures";
import { Gate, Ledger, rejectionOf, test, until, within } from "../_helpers.ts";
import {
  add,
  echo,
  echoLater,
  joinAll,
  lengthOf,
  passGate,
  record,
  square,
  sum,
  urlBehind,
} from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

/** What `for await` yields until it ends, or throws. */
export async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

/** Runs a blocking and an awaited reading of what `start` starts, and checks that both see `expected`. */
export async function bothMap<T>(start: () => Iterable<T> & AsyncIterable<T>, expected: T[], what = ""): Promise<void> {
  assertEquals([...start()], expected, `blocking ${what}`);
  assertEquals(await within(collect(start()), `awaited ${what}`), expected, `awaited ${what}`);
}

export async function* asynchronous<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    yield item;
  }
}

function* naturals(): Generator<number> {
  for (let i = 0;; i++) yield i;
}

/** Endless inputs that count what is read of them, and which of them were closed. */
export class Endless {
  read = 0;
  closed = 0;

  /** @param message What it throws when it is closed. */
  *now(message?: string): Generator<number> {
    try {
      for (let i = 0;; i++) {
        this.read++;
        yield i;
      }
    } finally {
      this.closed++;
      // deno-lint-ignore no-unsafe-finally
      if (message !== undefined) throw new EvalError(message);
    }
  }

  async *later(): AsyncGenerator<number> {
    for (const n of this.now()) yield await Promise.resolve(n);
  }
}

/** So many numbers, and then an error. Would go on, if anybody asked after that. */
export function* brokenAt(end: number): Generator<number> {
  for (let i = 0; i < end + 10; i++) {
    if (i === end) throw new EvalError("from the input");
    yield i;
  }
}

/** Numbers 0 to `n` - 1. */
export function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

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

export function mapBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}.map() gives the results in the order of the input, blocking and awaited`, async () => {
    using pool = borrow(kind, 2);
    await bothMap(() => pool.map(square, range(100)), range(100).map((n) => n * n));
    const delays = [30, 1, 20, 0, 10];
    await bothMap(() => pool.map(echoLater<number>, range(5), delays), range(5));
  });

  test(`${name}.map(): the text form of the results says how many items are in flight`, () => {
    using pool = borrow(kind, 1);
    const results = pool.map(square, range(5));
    assertEquals([`${results}`, Deno.inspect(results)], Array(2).fill("<MapResults inFlight=5>"));
    assertEquals(Object.prototype.toString.call(results), "[object MapResults]");
    for (const _ of results);
    assertEquals(`${results}`, "<MapResults inFlight=0>");
  });

  test(`${name}.map() zips its inputs and stops at the shortest`, async () => {
    using pool = borrow(kind, 2);
    await bothMap(() => pool.map(add, range(4), [10, 20, 30]), [10, 21, 32]);
    await bothMap(() => pool.map(add, [10, 20, 30], range(9)), [10, 21, 32]);
    await bothMap(() => pool.map(joinAll, "abc", [1, 2, 3], new Set([true, false, null])), [
      "a-1-true",
      "b-2-false",
      "c-3-",
    ]);
    await bothMap(() => pool.map(add, naturals(), [5, 5]), [5, 6]);
    await bothMap(() => pool.map(add, [5, 5], naturals()), [5, 6]);
    await bothMap(() => pool.map(add, [], [1, 2]), []);
    await bothMap(() => pool.map(add, [1, 2], []), []);
  });

  test(`${name}.map() of no input, or of empty inputs, is empty`, async () => {
    using pool = borrow(kind, 1);
    await bothMap(() => pool.map(square, []), []);
    await bothMap(() => pool.map(square, [], {}), []);
    const none = pool.map as unknown as (
      fn: () => number,
      options?: unknown,
    ) => Iterable<number> & AsyncIterable<number>;
    await bothMap(() => none.call(pool, () => 1), []);
    await bothMap(() => none.call(pool, () => 1, { timeout: 1_000 }), []);
    await bothMap(() => pool.map(square, [], { buffersize: 4 }), []);
    await bothMap(() => pool.map(square, new Set<number>(), { chunksize: 4 }), []);
  });

  test(`${name}.map() takes any iterable: text, sets, maps, generators, typed arrays`, async () => {
    using pool = borrow(kind, 1);
    await bothMap(() => pool.map(echo<string>, "añ😀"), ["a", "ñ", "😀"]);
    await bothMap(() => pool.map(echo<number>, new Set([3, 1, 2])), [3, 1, 2]);
    await bothMap(() => pool.map(echo<[string, number]>, new Map([["a", 1]])), [["a", 1]]);
    await bothMap(() => pool.map(echo<number>, new Map([["a", 1], ["b", 2]]).values()), [1, 2]);
    await bothMap(() => pool.map(echo<number>, new Float32Array([1.5, 2.5])), [1.5, 2.5]);
    await bothMap(() => pool.map(lengthOf, ["", "a", [1, 2]]), [0, 1, 2]);
    await bothMap(() => pool.map(echo<undefined | number>, [undefined, 1, undefined]), [undefined, 1, undefined]);
  });

  test(`${name}.map() passes plain objects of an input on, only a last argument is options`, async () => {
    using pool = borrow(kind, 1);
    const items = [{ timeout: 0 }, { chunksize: -1 }];
    await bothMap(() => pool.map(echo<unknown>, items), items);
    await bothMap(() => pool.map(echo<unknown>, items, { chunksize: 1 }), items);
  });

  test(`${name}.map() refuses a function that is none and inputs that are none, at the call`, () => {
    using pool = borrow(kind, 1);
    const loose = pool as unknown as { map(...args: unknown[]): unknown };
    for (const wrong of [undefined, null, 5, "f", {}]) assertThrows(() => loose.map(wrong, [1]), TypeError);
    for (const wrong of [undefined, null, 5, true, () => 1, Symbol("x")]) {
      assertThrows(() => loose.map(square, wrong), TypeError, undefined, Deno.inspect(wrong));
      assertThrows(() => loose.map(square, [1], wrong), TypeError, undefined, Deno.inspect(wrong));
      assertThrows(() => loose.map(square, wrong, [1]), TypeError, undefined, Deno.inspect(wrong));
    }
    assertThrows(() => loose.map(square, {}, [1]), TypeError, undefined, "options that are not last");
    assertThrows(() => loose.map(square, new Map(), 5), TypeError);
  });

  test(`${name}.map() submits everything during the call, whether or not anybody reads`, async () => {
    using pool = make({ maxWorkers: 1 });
    const ledger = new Ledger();
    const unread = pool.map(record<number>, Array(30).fill(ledger.path), range(30));
    await within(pool.submit(echo<number>, 0));
    await pool.shutdown();
    assertEquals(ledger.numbers(), range(30));
    assertEquals([...unread], range(30), "and it can be read after the shutdown");
  });

  test(`${name}.map() reads its inputs during the call, to their end`, async () => {
    using pool = borrow(kind, 1);
    let reads = 0;
    function* counting() {
      for (const n of range(10)) {
        reads++;
        yield n;
      }
    }
    const results = pool.map(square, counting());
    assertEquals(reads, 10);
    assertEquals(await within(collect(results)), range(10).map((n) => n * n));
    const items = [{ n: 1 }, { n: 2 }];
    const copies = pool.map(echo<{ n: number }>, items);
    items[0].n = 100;
    items.push({ n: 3 });
    assertEquals([...copies], [{ n: 1 }, { n: 2 }], "arguments are copied at the call");
  });

  test(`${name}.map() throws what an input throws, at the call, and closes the others`, async () => {
    using pool = borrow(kind, 1);
    let closed = 0;
    function* broken() {
      yield 1;
      throw new EvalError("from the input");
    }
    function* closing() {
      try {
        yield* naturals();
      } finally {
        closed++;
      }
    }
    assertThrows(() => pool.map(add, closing(), broken()), EvalError, "from the input");
    assertEquals(closed, 1, "the input that was left half read");
    assertEquals([...pool.map(add, closing(), [1, 2])], [1, 3]);
    assertEquals(closed, 2, "the input that was longer than the shortest");
    assertEquals(await within(pool.submit(add, 1, 1)), 2);
  });

  test(`${name}.map(): the object it returns is its own iterator, and both ways can be mixed`, async () => {
    using pool = borrow(kind, 2);
    const results = pool.map(square, range(6));
    assertStrictEquals(results[Symbol.iterator](), results);
    assertEquals(results.next(), { done: false, value: 0 });
    assertEquals(results.next(), { done: false, value: 1 });
    assertEquals(await within(collect(results)), [4, 9, 16, 25]);
    assertEquals(results.next().done, true);
    assertEquals(results.next().done, true);
    assertEquals([...results], []);
    assertEquals(await within(collect(results)), []);
    assertEquals(await within(Array.fromAsync(pool.map(square, [1, 2, 3]))), [1, 4, 9]);
    const [a, b] = pool.map(square, [3, 4, 5]);
    assertEquals([a, b], [9, 16]);
  });

  test(`${name}.map(): results are delivered as soon as their turn comes`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const closed = new Gate();
    closed.open();
    const gates = [closed.path, closed.path, gate.path, closed.path];
    const results = pool.map(passGate<number>, gates, range(4), { chunksize: 1 });
    assertEquals(results.next().value, 0);
    const awaited = results[Symbol.asyncIterator]();
    assertEquals(await within(awaited.next()), { done: false, value: 1 });
    let arrived = false;
    const third = awaited.next().then((item) => {
      arrived = true;
      return item;
    });
    await gate.arrived();
    assertEquals(arrived, false);
    gate.open();
    assertEquals(await within(third), { done: false, value: 2 });
    assertEquals(results.next().value, 3);
  });

  test(`${name}.map() takes asynchronous inputs, then only for await can read it`, async () => {
    using pool = borrow(kind, 2);
    assertEquals(await within(collect(pool.map(square, asynchronous(range(20))))), range(20).map((n) => n * n));
    assertEquals(await within(collect(pool.map(add, asynchronous([1, 2, 3]), [10, 20]))), [11, 22]);
    assertEquals(await within(collect(pool.map(add, [1, 2, 3], asynchronous([10, 20])))), [11, 22]);
    assertEquals(await within(collect(pool.map(add, asynchronous([1]), naturals(), { buffersize: 2 }))), [1]);
    assertEquals(await within(collect(pool.map(square, asynchronous([])))), []);
    const chunked = pool.map(square, asynchronous(range(7)), { chunksize: 3 });
    assertEquals(await within(collect(chunked)), [0, 1, 4, 9, 16, 25, 36]);

    const results = pool.map(square, asynchronous([1, 2]));
    const message = "Cannot block on a map over an async iterable. To fix it, read the results with for await";
    assertThrows(() => results.next(), TypeError, message);
    assertThrows(() => [...results], TypeError);
    assertEquals(await within(collect(results)), [1, 4]);
  });

  test(`${name}.map() with an asynchronous input that fails throws its error after the good results`, async () => {
    using pool = borrow(kind, 1);
    async function* broken() {
      yield* asynchronous([1, 2]);
      throw new EvalError("from the input");
    }
    const seen: number[] = [];
    const error = await rejectionOf((async () => {
      for await (const n of pool.map(square, broken())) seen.push(n);
    })());
    assert(error instanceof EvalError, String(error));
    assertEquals(seen, [1, 4]);
    assertEquals(await within(pool.submit(square, 3)), 9);
  });

  test(`${name}.map() with an asynchronous input that fails within a chunk delivers what came before`, async () => {
    using pool = borrow(kind, 1);
    async function* broken() {
      yield* asynchronous([1, 2, 3, 4]);
      throw new EvalError("from the input");
    }
    for (const options of [{ chunksize: 3 }, { chunksize: 100 }, { chunksize: 3, buffersize: 2 }]) {
      const seen: number[] = [];
      const error = await rejectionOf((async () => {
        for await (const n of pool.map(square, broken(), options)) seen.push(n);
      })());
      assert(error instanceof EvalError, String(error));
      assertEquals(seen, [1, 4, 9, 16], Deno.inspect(options));
    }
  });

  test(`${name}.map() with an asynchronous input finds the function, which only the call tells`, async () => {
    using pool = borrow(kind, 1);
    const urls = await within(collect(pool.map(urlBehind, asynchronous([1, 2]))));
    assertEquals(urls, Array(2).fill(import.meta.resolve("../fixtures/tasks.ts")));
  });

  test(`${name}.map() with an asynchronous input that fails closes the others`, async () => {
    using pool = borrow(kind, 1);
    for (const where of ["behind", "before"]) {
      const inputs = new Endless();
      let returned = 0;
      // What has thrown has ended: it is not to be told that nobody wants more.
      const broken: AsyncIterableIterator<number> = {
        next: ((n) => () => ++n > 2 ? Promise.reject(new EvalError("x")) : Promise.resolve({ value: n, done: false }))(
          0,
        ),
        return: () => Promise.resolve({ value: returned++, done: true }),
        [Symbol.asyncIterator]: () => broken,
      };
      const results = where === "behind"
        ? pool.map(sum, inputs.now(), broken, inputs.later())
        : pool.map(sum, inputs.later(), broken, inputs.now());
      const seen: number[] = [];
      const error = await rejectionOf((async () => {
        for await (const n of results) seen.push(n);
      })());
      assert(error instanceof EvalError, String(error));
      assertEquals(seen, [0 + 1 + 0, 1 + 2 + 1]);
      await until(() => inputs.closed === 2, "both of the other inputs are closed");
      assertEquals(returned, 0);
    }
  });

  test(`${name}.map(): several calls of next() at once get an item each, in order`, async () => {
    using pool = borrow(kind, 2);
    for (const input of [() => range(5), () => asynchronous(range(5))]) {
      const iterator = pool.map(square, input())[Symbol.asyncIterator]();
      const items = await within(Promise.all(Array.from({ length: 7 }, () => iterator.next())));
      assertEquals(items.map(({ value }) => value), [0, 1, 4, 9, 16, undefined, undefined]);
      assertEquals(items.map(({ done }) => done), [false, false, false, false, false, true, true]);
    }
  });

  test(`${name}.map() over 20,000 items with default options is right`, async () => {
    using pool = borrow(kind, 2);
    const expected = range(20_000).map((n) => n * n);
    assertEquals([...pool.map(square, range(20_000))], expected);
    assertEquals(await within(collect(pool.map(square, range(20_000)))), expected);
  });

  test(`${name}.map(): two iterations at once do not disturb each other`, async () => {
    using pool = borrow(kind, 2);
    const [a, b] = [pool.map(square, range(50)), pool.map(add, range(50), range(50))];
    for (const n of range(50)) {
      assertEquals(a.next().value, n * n);
      assertEquals((await within(b[Symbol.asyncIterator]().next())).value, 2 * n);
    }
  });

  test(`Executor.map() works for a subclass that only implements submit()`, async () => {
    const inline = new Inline();
    await bothMap(() => inline.map(Math.sqrt, [1, 4, 9]), [1, 2, 3]);
    await bothMap(() => inline.map(Math.max, range(3), [2, 1, 0]), [2, 1, 2]);
    await bothMap(() => inline.map(add, naturals(), [1, 2, 3].values(), { buffersize: 2 }), [1, 3, 5]);
    await bothMap(() => inline.map(square, range(10), { chunksize: 3, timeout: 1_000 }), range(10).map((n) => n * n));
    assertEquals(await within(collect(inline.map(square, asynchronous([1, 2])))), [1, 4]);
    const failing = inline.map((n: number) => {
      if (n === 2) throw new RangeError("two");
      return n;
    }, [0, 1, 2, 3]);
    assertEquals([failing.next().value, failing.next().value], [0, 1]);
    assertThrows(() => failing.next(), RangeError, "two");
    assertEquals(failing.next().done, true);

    class Never extends Inline {
      override submit<A extends unknown[], R>(_fn: (...args: A) => R, ..._args: A): Future<Awaited<R>> {
        return new Future();
      }
    }
    assertThrows(() => new Never().map(square, [1], { timeout: 10 }).next(), TimeoutError);
    await inline.shutdown();
    inline.shutdownSync();
    using _pool = new Inline();
    await using _other = new Inline();
  });
}
