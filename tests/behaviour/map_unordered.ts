/** `map()` with `ordered: false`: results as they come. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ShutdownError, TimeoutError } from "@concurrent/futures";
import { BOUND, Gate, Ledger, readUntilError, sleep, test, until, within } from "../_helpers.ts";
import {
  add,
  echo,
  passGate,
  pauseOrPassGate,
  record,
  square,
  squareUnless,
  throwOrPassGateOrRecord,
} from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";
import { asynchronous, brokenAt, collect, Endless, range } from "./map.ts";

const UNORDERED = { ordered: false, chunksize: 1 } as const;

function sorted(numbers: Iterable<number>): number[] {
  return [...numbers].sort((a, b) => a - b);
}

export function mapUnorderedBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}.map() with ordered: false gives each result as soon as it is there`, async () => {
    using pool = borrow(kind, 2);
    for (const options of [UNORDERED, { ...UNORDERED, buffersize: 3 }]) {
      for (const blocking of [true, false]) {
        using gate = new Gate();
        const gates = [gate.path, undefined, undefined];
        const results = pool.map(pauseOrPassGate<number>, range(3), gates, Array(3).fill(0), options);
        const iterator = results[Symbol.asyncIterator]();
        const next = async () => blocking ? results.next() : await within(iterator.next());
        assertEquals(sorted([(await next()).value!, (await next()).value!]), [1, 2]);
        gate.open();
        assertEquals([await next(), (await next()).done], [{ done: false, value: 0 }, true]);
      }
    }
  });

  test(`${name}.map() with ordered: false gives each result once, whatever the other options are`, async () => {
    using pool = borrow(kind, 2);
    const expected = range(50).map((n) => n * n);
    for (
      const options of [{}, { chunksize: 1 }, { chunksize: 7 }, { buffersize: 3 }, { buffersize: 9, chunksize: 4 }]
    ) {
      const all = { ...options, ordered: false };
      assertEquals(sorted(pool.map(square, range(50), all)), expected, Deno.inspect(all));
      assertEquals(sorted(await within(collect(pool.map(square, range(50), all)))), expected, Deno.inspect(all));
      const later = await within(collect(pool.map(square, asynchronous(range(50)), all)));
      assertEquals(sorted(later), expected, Deno.inspect(all));
    }
    assertEquals([...pool.map(square, [], { ordered: false })], []);
    assertEquals([...pool.map(square, range(50), { ordered: true })], expected, "in order is the default");
  });

  test(`${name}.map() with ordered: false gives the items of a chunk together, in their order`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const gates = [gate.path, ...Array(5).fill(undefined)];
    const results = pool.map(pauseOrPassGate<number>, range(6), gates, Array(6).fill(0), {
      ordered: false,
      chunksize: 3,
    });
    assertEquals([results.next().value, results.next().value, results.next().value], [3, 4, 5]);
    gate.open();
    assertEquals(await within(collect(results)), [0, 1, 2]);
  });

  test(`${name}.map() with ordered: false throws when the first failure comes, behind what came before`, async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      for (const options of [UNORDERED, { ordered: false, chunksize: 3 }, { ordered: false, buffersize: 4 }]) {
        const results = pool.map(squareUnless, range(9), Array(9).fill(4), options);
        const { seen, error } = await within(readUntilError(results, blocking));
        assertInstanceOf(error, RangeError);
        assertEquals(error.message, "item 4");
        // One worker takes them in order. On a cluster, others may come before; and while a process is held up,
        // another one may run beside it.
        if (!kind.isRemote && pool.stats().workers <= 1) assertEquals(seen, [0, 1, 4, 9], Deno.inspect(options));
        assertEquals([results.next().done, await collect(results)], [true, []], "and then it is over");
      }
    }
  });

  test(`${name}.map() with ordered: false: a failure cancels what has not started`, async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      const ledger = new Ledger();
      using gate = new Gate();
      const tasks = [gate.path, ledger.path];
      const results = pool.map(throwOrPassGateOrRecord, Array(40).fill(tasks), range(40), UNORDERED);
      const { error } = await within(readUntilError(results, blocking));
      assertInstanceOf(error, RangeError);
      gate.open();
      await within(pool.submit(echo<number>, 0));
      assertEquals(ledger.lines(), [], "nothing behind the bad item and the running one ran");
    }
  });

  test(`${name}.map() with ordered: false: leaving it early cancels the rest and closes the inputs`, async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      const ledger = new Ledger();
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      await gate.arrived();
      const results = pool.map(record<number>, Array(40).fill(ledger.path), range(40), UNORDERED);
      if (blocking) results.return();
      else await within(Promise.resolve(results[Symbol.asyncIterator]().return?.()));
      gate.open();
      await within(held);
      await within(pool.submit(echo<number>, 0));
      assertEquals([ledger.lines(), results.next().done], [[], true]);
    }
    const endless = new Endless();
    for (const _ of pool.map(square, endless.now(), { ordered: false, buffersize: 3 })) break;
    for await (const _ of pool.map(square, endless.now(), { ordered: false, buffersize: 3 })) break;
    for await (const _ of pool.map(square, endless.later(), { ordered: false, buffersize: 3 })) break;
    await until(() => endless.closed === 3, "the inputs are closed");
  });

  test(`${name}.map() with ordered: false and buffersize reads one more for each result that is taken`, () => {
    using pool = borrow(kind, 2);
    for (const chunksize of [1, 2]) {
      const endless = new Endless();
      const results = pool.map(square, endless.now(), { ordered: false, buffersize: 4, chunksize });
      assertEquals(endless.read, 4);
      for (let taken = 1; taken <= 8; taken++) {
        results.next();
        assertEquals(endless.read, 4 + taken);
      }
      results.return();
      assertEquals(endless.closed, 1);
    }
  });

  test(`${name}.map() with ordered: false: the timeout is one deadline, what is there comes first`, async () => {
    using pool = borrow(kind, 2);
    await within(Promise.all([1, 2].map((n) => pool.submit(echo<number>, n))));
    const timeout = kind.isRemote ? 2_000 : 400;
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const gates = [gate.path, undefined, undefined];
      const start = performance.now();
      const results = pool.map(pauseOrPassGate<number>, range(3), gates, Array(3).fill(0), { ...UNORDERED, timeout });
      const { seen, error } = await within(readUntilError(results, blocking));
      const took = performance.now() - start;
      assertEquals(sorted(seen), [1, 2]);
      assertInstanceOf(error, TimeoutError);
      assert(took >= timeout - 1 && took < 3_000 + timeout, `took ${took} of ${timeout} ms`);
      assertEquals(results.next().done, true);
      gate.open();
      await until(() => pool.stats().running === 0, "the end of the item at the gate");
    }
  });

  test(`${name}.map() with ordered: false: a deadline that has passed lets ready results come first`, async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      await gate.arrived();
      const late = pool.map(square, [1, 2], { ...UNORDERED, timeout: 0 });
      const { seen, error } = await within(readUntilError(late, blocking));
      assertEquals(seen, []);
      assertInstanceOf(error, TimeoutError);
      gate.open();
      await within(held);
      const ready = pool.map(square, [1, 2, 3], { ...UNORDERED, timeout: 30 });
      // A task behind them is done without this thread's event loop: nobody has heard of the three yet.
      assertEquals(pool.submit(square, 3).result(BOUND), 9);
      await sleep(60);
      assertEquals(sorted((await within(readUntilError(ready, blocking))).seen), [1, 4, 9]);
    }
  });

  test(`${name}.map() with ordered: false: an input that throws ends it behind the good items`, async () => {
    using pool = borrow(kind, 1);
    for (const options of [{ ordered: false, buffersize: 2 }, { ordered: false, buffersize: 5, chunksize: 2 }]) {
      for (const blocking of [true, false]) {
        const results = pool.map(square, brokenAt(6), options);
        const { seen, error } = await within(readUntilError(results, blocking));
        assertEquals(sorted(seen), range(6).map((n) => n * n));
        assertInstanceOf(error, EvalError);
      }
    }
    const { seen, error } = await within(
      readUntilError(pool.map(square, asynchronous(brokenAt(6)), { ordered: false }), false),
    );
    assertEquals(sorted(seen), range(6).map((n) => n * n));
    assertInstanceOf(error, EvalError);
    assertThrows(() => pool.map(square, brokenAt(3), { ordered: false }), EvalError);
  });

  test(`${name}.map() with ordered: false: a shutdown half-way ends it behind what was submitted`, async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 1 });
      const endless = new Endless();
      const results = pool.map(square, endless.now(), { ordered: false, buffersize: 3 });
      assertEquals(results.next().value, 0);
      const ended = pool.shutdown();
      const { seen, error } = await within(readUntilError(results, blocking));
      assertEquals(sorted(seen), [1, 4, 9]);
      assertInstanceOf(error, ShutdownError);
      await within(ended);
    }
  });

  test(`${name}.map() with ordered: false: its text form, and no blocking over asynchronous inputs`, () => {
    using pool = make({ maxWorkers: 1 });
    const results = pool.map(square, range(5), UNORDERED);
    assertEquals(`${results}`, "<MapResults inFlight=5>");
    for (const _ of results);
    assertEquals(`${results}`, "<MapResults inFlight=0>");
    const later = pool.map(add, asynchronous([1]), [2], UNORDERED);
    assertThrows(() => later.next(), TypeError, "with for await");
    later.return();
  });
}
