/** `map()`: `chunksize` and `buffersize`, and what they must not be. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Gate, Ledger, sleep, test, thrownBy, until, within } from "../_helpers.ts";
import {
  add,
  echoLater,
  failAtTwo,
  passGate,
  passGateLater,
  pauseOrPassGate,
  recordAtGate,
  square,
} from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";
import { asynchronous, bothMap, collect, range } from "./map.ts";

/** Counts what is read of it. */
class Counted implements Iterable<number> {
  reads = 0;
  constructor(readonly length = Infinity) {}
  *[Symbol.iterator](): Generator<number> {
    for (let i = 0; i < this.length; i++) {
      this.reads++;
      yield i;
    }
  }
}

export function mapOptionsBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}.map() refuses a chunksize or buffersize that is no integer of at least 1, at the call`, () => {
    using pool = borrow(kind, 1);
    for (const option of ["chunksize", "buffersize"]) {
      for (const input of [[], [1, 2]]) {
        for (const value of [0, -1, -5, 1.5, 0.5, NaN, Infinity, -Infinity, 1e-9]) {
          assertThrows(
            () => pool.map(square, input, { [option]: value }),
            RangeError,
            undefined,
            `${option}: ${value}`,
          );
        }
        for (const value of ["3", "", {}, [], true, 1n, null, () => 1, Symbol("x")]) {
          const options = { [option]: value } as unknown as { timeout?: number };
          assertThrows(
            () => pool.map(square, input, options),
            TypeError,
            undefined,
            `${option}: ${Deno.inspect(value)}`,
          );
        }
      }
      assertEquals([...pool.map(square, [1, 2], { [option]: undefined })], [1, 4]);
      assertEquals([...pool.map(square, [1, 2], { [option]: 1 })], [1, 4]);
      assertEquals([...pool.map(square, [1, 2], { [option]: 2 ** 40 })], [1, 4]);
    }
  });

  test(`${name}.map() refuses a timeout of NaN, always and first`, () => {
    using pool = borrow(kind, 1);
    assertThrows(() => pool.map(square, [1], { timeout: NaN }), RangeError);
    assertThrows(() => pool.map(square, [], { timeout: NaN }), RangeError);
    assertThrows(() => pool.map(square, [], { timeout: NaN, chunksize: "x" as unknown as number }), RangeError);
    const wrong = 5 as unknown as typeof square & number[];
    for (const executor of [pool, pool.with({ name: "view" })]) {
      assertThrows(() => executor.map(wrong, [1], { timeout: NaN }), RangeError);
      assertThrows(() => executor.map(square, wrong, { timeout: NaN }), RangeError);
      assertThrows(() => executor.map(wrong, wrong), TypeError, "not a function");
      assertThrows(() => executor.map(square, wrong), TypeError, "not iterable");
    }
    const counted = new Counted(5);
    assertThrows(() => pool.map(square, counted, { timeout: NaN }), RangeError);
    assertThrows(() => pool.map(square, counted, { chunksize: 0 }), RangeError);
    assertThrows(() => pool.map(square, counted, { buffersize: 0 }), RangeError);
    assertEquals(counted.reads, 0, "nothing was read before the refusal");
  });

  test(`${name}.map() gives the same for every chunksize`, async () => {
    using pool = borrow(kind, 2);
    const expected = range(103).map((n) => n * n);
    for (const chunksize of kind.isRemote ? [1, 6, 103, 1_000] : [1, 2, 6, 40, 50, 103, 104, 1_000]) {
      await bothMap(() => pool.map(square, range(103), { chunksize }), expected, `chunksize ${chunksize}`);
      await bothMap(() => pool.map(add, range(103), range(103), { chunksize }), range(103).map((n) => 2 * n));
    }
  });

  test(`${name}.map() gives the same for every buffersize`, async () => {
    using pool = borrow(kind, 2);
    const expected = range(30).map((n) => n * n);
    for (const buffersize of kind.isRemote ? [1, 7, 30, 1_000] : [1, 2, 7, 29, 30, 31, 1_000]) {
      await bothMap(() => pool.map(square, range(30), { buffersize }), expected, `buffersize ${buffersize}`);
      await bothMap(() => pool.map(add, range(30), range(40), { buffersize }), range(30).map((n) => 2 * n));
    }
  });

  test(`${name}.map() gives the same for every chunksize with every buffersize, and reads no further`, async () => {
    using pool = borrow(kind, 2);
    const expected = range(25).map((n) => n * n);
    // Each is a message there and back on a cluster: so one smaller, one as large and one larger than the other.
    for (const chunksize of kind.isRemote ? [1, 10, 100] : [1, 3, 10, 100]) {
      for (const buffersize of kind.isRemote ? [1, 10, 100] : [1, 2, 3, 10, 24, 100]) {
        const what = `chunksize ${chunksize}, buffersize ${buffersize}`;
        await bothMap(() => pool.map(square, range(25), { chunksize, buffersize }), expected, what);
        const counted = new Counted();
        const results = pool.map(square, counted, { chunksize, buffersize });
        for (let taken = 0; taken < 6; taken++) {
          assert(counted.reads <= buffersize + taken, `${what}: ${counted.reads} were read when ${taken} were taken`);
          assertEquals(results.next().value, taken * taken, what);
        }
        results.return();
      }
    }
  });

  test(`${name}.map() with buffersize reads that many at the call, and one more for each that is taken`, async () => {
    using pool = borrow(kind, 2);
    for (const buffersize of [1, 2, 5]) {
      const counted = new Counted();
      const results = pool.map(square, counted, { buffersize });
      assertEquals(counted.reads, buffersize);
      await sleep(10);
      assertEquals(counted.reads, buffersize, "nothing is read while nothing is taken");
      for (let taken = 1; taken <= 8; taken++) {
        if (taken % 2 === 0) assertEquals(results.next().value, (taken - 1) ** 2);
        else assertEquals((await within(results[Symbol.asyncIterator]().next())).value, (taken - 1) ** 2);
        assertEquals(counted.reads, buffersize + taken, `buffersize ${buffersize}, ${taken} taken`);
      }
      results.return();
      assertEquals(counted.reads, buffersize + 8);
    }
  });

  test(`${name}.map() with buffersize never has more items under way`, async () => {
    using pool = make({ maxWorkers: 4 });
    using gate = new Gate();
    const results = pool.map(passGateLater<number>, Array(10).fill(gate.path), range(10), {
      buffersize: 2,
      chunksize: 1,
    });
    await gate.arrived(2);
    await sleep(40); // a third would have arrived by now
    assertEquals(gate.arrivals(), 2);
    gate.open();
    assertEquals(results.next().value, 0);
    await until(() => gate.arrivals() === 3, "the third");
    await sleep(20);
    assertEquals(gate.arrivals(), 3);
    assertEquals(await within(collect(results)), range(10).slice(1));
  });

  test(`${name}.map() with buffersize takes endless inputs`, async () => {
    using pool = make({ maxWorkers: 2 });
    const [a, b] = [new Counted(), new Counted()];
    const seen: number[] = [];
    for (const n of pool.map(add, a, b, { buffersize: 4 })) {
      seen.push(n);
      if (seen.length === 3) break;
    }
    assertEquals(seen, [0, 2, 4]);
    for await (const n of pool.map(square, new Counted(), { buffersize: 4, chunksize: 2 })) {
      seen.push(n);
      if (seen.length === 8) break;
    }
    assertEquals(seen, [0, 2, 4, 0, 1, 4, 9, 16]);
    const later: number[] = [];
    for await (const n of pool.map(square, asynchronous(new Counted()), { buffersize: 3 })) {
      later.push(n);
      if (later.length === 5) break;
    }
    assertEquals(later, [0, 1, 4, 9, 16]);
  });

  test(`${name}.map() with buffersize reads an asynchronous input no further than allowed`, async () => {
    using pool = make({ maxWorkers: 2 });
    const counted = new Counted();
    const iterator = pool.map(square, asynchronous(counted), { buffersize: 3 })[Symbol.asyncIterator]();
    for (let taken = 1; taken <= 5; taken++) {
      assertEquals((await within(iterator.next())).value, (taken - 1) ** 2);
      await sleep(10);
      assert(counted.reads <= 3 + taken + 1, `${counted.reads} were read when ${taken} were taken`);
    }
    await within(Promise.resolve(iterator.return?.()));
  });

  test(`${name}.map(): items that take their time come in order, also in a chunk, up to the first that fails`, () => {
    using pool = borrow(kind, 1);
    const delays = [5, 1, 3, 0];
    assertEquals([...pool.map(echoLater<number>, range(4), delays, { chunksize: 4 })], range(4));
    const results = pool.map(failAtTwo, range(4), { chunksize: 4 });
    assertEquals([results.next().value, results.next().value], [0, 1]);
    assertInstanceOf(thrownBy(() => results.next()), RangeError);
  });

  test(`${name}.map(): the results end with their using block, which cancels the rest`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const ledger = new Ledger();
    {
      const results = pool.map(recordAtGate, range(6), Array(6).fill(gate.path), Array(6).fill(ledger.path), {
        chunksize: 1,
        buffersize: 6,
      });
      // Not in its type yet, as iterators have it where TypeScript's types of them do.
      using _ended = results as unknown as Disposable;
      await gate.arrived();
      assertEquals(`${results}`, "<MapResults inFlight=6>");
    }
    gate.open();
    await within(pool.submit(echoLater, 1, 0));
    // The first one was running; a process may have been given another one, which it then gives back.
    assertEquals(ledger.numbers(), [0]);
  });

  test(`${name}.map() with one more gated item than workers, then shutdown, does not hang`, async () => {
    for (let i = 0; i < 3; i++) {
      using pool = make({ maxWorkers: 2 });
      using gate = new Gate();
      const results = pool.map(passGate<number>, Array(3).fill(gate.path), range(3));
      const ended = pool.shutdown();
      gate.open();
      await within(ended, "shutdown()");
      assertEquals([...results], [0, 1, 2]);
    }
  });

  test(`${name}.map() sends the items of a slow function one by one, once it knows that`, async () => {
    using pool = make({ maxWorkers: 1 });
    using gate = new Gate();
    // An item of it is never quick: what is on its way when that changes may be sent with others.
    const learned = pool.map(pauseOrPassGate<number>, range(8), Array(8).fill(undefined), Array(8).fill(8));
    assertEquals([...learned], range(8));
    // In a chunk the item before the gate would wait for it, too.
    const gates = range(60).map((i) => i === 25 ? gate.path : undefined);
    const results = pool.map(pauseOrPassGate<number>, range(60), gates, Array(60).fill(8));
    const iterator = results[Symbol.asyncIterator]();
    for (let i = 0; i < 25; i++) assertEquals((await within(iterator.next())).value, i);
    gate.open();
    assertEquals(await within(collect(results)), range(60).slice(25));
  });
}
