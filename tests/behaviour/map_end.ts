/** `map()`: how an iteration ends, by an error, a timeout or being left. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { SerializationError, ShutdownError, TimeoutError } from "@concurrent/futures";
import {
  bestOf,
  BOUND,
  Gate,
  Ledger,
  readUntilError,
  rejectionOf,
  sleep,
  test,
  thrownBy,
  until,
  within,
} from "../_helpers.ts";
import {
  add,
  echo,
  echoLater,
  passGate,
  record,
  recordOrPassGate,
  refuseAt,
  square,
  squareUnless,
  sum,
  throwOrPassGateOrRecord,
} from "../fixtures/tasks.ts";
import { throwValue } from "../fixtures/errors.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";
import { asynchronous, brokenAt, collect, Endless, range } from "./map.ts";

export function mapEndBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}.map(): the first item that fails throws at its place and ends the iteration`, async () => {
    using pool = borrow(kind, 2);
    for (
      const options of [{}, { chunksize: 1 }, { chunksize: 2 }, { chunksize: 4 }, { chunksize: 100 }, { buffersize: 2 }]
    ) {
      for (const bad of [0, 5, 9]) {
        for (const blocking of [true, false]) {
          const results = pool.map(squareUnless, range(10), Array(10).fill(bad), options);
          const { seen, error } = await within(readUntilError(results, blocking));
          const what = `item ${bad} with ${Deno.inspect(options)}, ${blocking ? "blocking" : "awaited"}`;
          assertEquals(seen, range(bad).map((n) => n * n), what);
          assertInstanceOf(error, RangeError, what);
          assertEquals(error.message, `item ${bad}`);
          assertEquals(results.next().done, true, "and then it is over");
          assertEquals(await collect(results), []);
        }
      }
    }
  });

  test(`${name}.map(): an item that cannot cross fails at its place, also inside a chunk`, async () => {
    using pool = borrow(kind, 1);
    for (const options of [{ chunksize: 1 }, { chunksize: 5 }, {}]) {
      for (const blocking of [true, false]) {
        const items: unknown[] = [0, 1, { list: [() => 1] }, 3, 4];
        const asArgument = await within(readUntilError(pool.map(echo<unknown>, items, options), blocking));
        assertEquals(asArgument.seen, [0, 1], `an argument, ${Deno.inspect(options)}`);
        assertInstanceOf(asArgument.error, SerializationError);
        assertStringIncludes(asArgument.error.message, "args[0].list[0]");
        const results = pool.map(refuseAt, range(5), Array(5).fill(2), options);
        const asResult = await within(readUntilError(results, blocking));
        assertEquals(asResult.seen, [0, 1], `a result, ${Deno.inspect(options)}`);
        assertInstanceOf(asResult.error, SerializationError);
        assertStringIncludes(asResult.error.message, "result.list[1]");
        assert(!/result\[\d/.test(asResult.error.message), `the path tells of a chunk: ${asResult.error.message}`);
      }
    }
    assertEquals(await within(pool.submit(square, 2)), 4);
  });

  test(`${name}.map() with buffersize: an input that throws ends it behind the good items`, async () => {
    using pool = borrow(kind, 2);
    for (const isLater of [false, true]) {
      for (const options of [{ buffersize: 2 }, { buffersize: 3, chunksize: 2 }, { buffersize: 6, chunksize: 4 }]) {
        for (const good of [6, 7, 8]) {
          for (const blocking of isLater ? [false] : [true, false]) {
            const endless = new Endless();
            const input = isLater ? asynchronous(brokenAt(good)) : brokenAt(good);
            const results = pool.map(add, endless.now(), input, options);
            const { seen, error } = await within(readUntilError(results, blocking));
            const what = `${good} good items, ${Deno.inspect({ ...options, isLater, blocking })}`;
            assertEquals(seen, range(good).map((n) => 2 * n), what);
            assertInstanceOf(error, EvalError, what);
            assertEquals(await collect(results), [], `${what}: and then it is over`);
            if (!isLater) assertEquals(results.next().done, true, what);
            assertEquals(endless.closed, 1, `${what}: the other input is closed`);
          }
        }
      }
    }
  });

  test(`${name}.map() with buffersize: a shutdown half-way ends it behind what was submitted`, async () => {
    const chunked = { buffersize: 4, chunksize: 2 };
    const single = { buffersize: 3 };
    for (
      const [isLater, options, blocking] of [
        [false, single, true],
        [false, chunked, false],
        [true, single, false],
        [true, chunked, false],
      ] as const
    ) {
      const what = Deno.inspect({ ...options, isLater, blocking });
      const pool = make({ maxWorkers: 1 });
      const endless = new Endless();
      const results = pool.map(square, isLater ? endless.later() : endless.now(), options);
      const first = blocking ? results.next() : await within(results[Symbol.asyncIterator]().next());
      assertEquals(first.value, 0);
      const ended = pool.shutdown();
      const { seen, error } = await within(readUntilError(results, blocking));
      assertEquals(seen, range(seen.length + 1).slice(1).map((n) => n * n), what);
      assert(seen.length >= options.buffersize - 1, `${what}: ${seen.length} more were delivered`);
      assertInstanceOf(error, ShutdownError, what);
      assertEquals(await within(collect(results)), [], `${what}: and then it is over`);
      await until(() => endless.closed === 1, `${what}: the input is closed`);
      await within(ended);
      assertThrows(() => pool.map(square, endless.now(), options), ShutdownError);
      assertEquals(endless.closed, 2, `${what}: so is one that nobody takes work of`);
    }
  });

  test(`${name}.map(): an input that fails when it is closed hides no other error`, async () => {
    using pool = borrow(kind, 1);
    const endless = new Endless();
    const failing = pool.map(squareUnless, endless.now("first"), endless.now(), { buffersize: 2 });
    assertInstanceOf(thrownBy(() => failing.next()), RangeError, "the error of the item");
    assertEquals([endless.closed, failing.next().done], [2, true]);
    const left = pool.map(add, endless.now("first"), endless.now("second"), { buffersize: 2 });
    assertEquals(thrownBy(() => left.return()).message, "first", "as leaving a loop over it would");
    assertEquals([endless.closed, left.next().done], [4, true]);
    assertEquals(await within(pool.submit(square, 2)), 4);
  });

  test(`${name}.map(): an async input's error at its end is not lost, however quick the results are`, async () => {
    using pool = borrow(kind, 1);
    for (let round = 0; round < 20; round++) {
      const closing = Promise.withResolvers<void>();
      const endless: AsyncIterableIterator<number> = {
        next: () => Promise.resolve({ done: false, value: 3 }),
        return: () => closing.promise.then(() => Promise.reject(new Error("closed badly"))),
        [Symbol.asyncIterator]: () => endless,
      };
      const results = pool.map(add, endless, [4]);
      // All is read and done by then, and the input is being closed.
      await within(pool.submit(square, 2));
      const reading = readUntilError(results, false);
      await within(pool.submit(square, 2));
      closing.resolve();
      const { seen, error } = await within(reading);
      assertEquals([seen, (error as Error).message], [[7], "closed badly"]);
    }
  });

  test(`${name}.map(): a falsy error ends the iteration too`, async () => {
    using pool = borrow(kind, 1);
    for (const options of [{ chunksize: 1 }, { chunksize: 3 }]) {
      for (const falsy of [undefined, null, 0, "", false]) {
        for (const blocking of [true, false]) {
          const { seen, error } = await within(readUntilError(pool.map(throwValue, [falsy, 1], options), blocking));
          assertEquals([seen, error], [[], falsy]);
        }
      }
    }
  });

  test(`${name}.map(): an error cancels what has not started`, async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      const ledger = new Ledger();
      using gate = new Gate();
      const tasks = [gate.path, ledger.path];
      // The item after the bad one holds the worker until the error has been seen.
      const results = pool.map(throwOrPassGateOrRecord, Array(40).fill(tasks), range(40), { chunksize: 1 });
      const { error } = await within(readUntilError(results, blocking));
      assertInstanceOf(error, RangeError);
      gate.open();
      await within(pool.submit(echo<number>, 0));
      assertEquals(ledger.lines(), [], "nothing behind the bad item and the running one ran");
    }
  });

  test(`${name}.map(): leaving it before the first item cancels everything`, async () => {
    using pool = borrow(kind, 1);
    for (const how of ["return()", "return() of the asynchronous iterator"]) {
      const ledger = new Ledger();
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      await gate.arrived();
      const results = pool.map(record<number>, Array(40).fill(ledger.path), range(40), { chunksize: 1 });
      if (how === "return()") results.return();
      else await within(Promise.resolve(results[Symbol.asyncIterator]().return?.()));
      gate.open();
      await within(held);
      await within(pool.submit(echo<number>, 0));
      assertEquals(ledger.lines(), [], how);
      assertEquals(results.next().done, true, how);
    }
  });

  test(`${name}.map(): break in a loop cancels what has not started, and keeps what has`, async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      const ledger = new Ledger();
      using gate = new Gate();
      // The item behind those that are read holds the worker until the loop has ended.
      const gates = range(1_500).map((n) => n === 3 ? gate.path : undefined);
      const results = pool.map(recordOrPassGate, Array(1_500).fill(ledger.path), range(1_500), gates, {
        chunksize: 1,
      });
      if (blocking) {
        for (const n of results) if (n === 2) break;
      } else {
        for await (const n of results) if (n === 2) break;
      }
      gate.open();
      await within(pool.submit(echo<number>, 0));
      const ran = ledger.numbers();
      // What is taken back from other machines is not taken back in one moment.
      const most = kind.isRemote ? 1_499 : 4;
      assert(ran.length >= 3 && ran.length <= most, `${ran.length} of 1,500 items ran`);
      if (!kind.isRemote) assertEquals(ran, range(ran.length), "those that ran are the first");
      assertEquals(results.next().done, true);
    }
  });

  test(`${name}.map(): the timeout is one deadline from the call, earlier results are delivered`, async () => {
    using pool = borrow(kind, 2);
    // The start of workers is not what the deadline is for.
    await within(Promise.all([1, 2].map((n) => pool.submit(echo<number>, n))));
    const timeout = kind.isRemote ? 2_000 : 400;
    for (const blocking of [true, false]) {
      const open = new Gate();
      open.open();
      using gate = new Gate();
      const gates = [open.path, open.path, gate.path];
      const start = performance.now();
      const results = pool.map(passGate<number>, gates, range(3), { timeout, chunksize: 1 });
      const { seen, error } = await within(readUntilError(results, blocking));
      const took = performance.now() - start;
      assertEquals(seen, [0, 1]);
      assertInstanceOf(error, TimeoutError);
      assert(took >= timeout - 1 && took < 3_000 + timeout, `took ${took} of ${timeout} ms`);
      assertEquals(results.next().done, true);
    }
  });

  test(`${name}.map(): the timeout is for the whole iteration, not for each item`, async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      // Where a busy machine has this thread look late, more are ready.
      await bestOf(5, async () => {
        const results = pool.map(echoLater<number>, range(60), Array(60).fill(120), { timeout: 300, chunksize: 1 });
        const { seen, error } = await within(readUntilError(results, blocking));
        assertInstanceOf(error, TimeoutError);
        assert(seen.length <= 2, `${seen} were delivered within 300 ms`);
      });
    }
    await within(pool.submit(echo<number>, 0));
  });

  test(`${name}.map(): a deadline that has passed throws without waiting, ready results come first`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const held = [1, 2].map(() => pool.submit(passGate, gate.path));
    await gate.arrived(2);
    for (const timeout of [0, -1, -Infinity]) {
      for (const blocking of [true, false]) {
        const results = pool.map(square, [1, 2], { timeout, chunksize: 1 });
        const start = performance.now();
        const { seen, error } = await within(readUntilError(results, blocking));
        assertEquals(seen, []);
        assertInstanceOf(error, TimeoutError);
        assert(performance.now() - start < 1_000);
      }
    }
    gate.open();
    await within(Promise.all(held));
    const ready = pool.map(square, [1, 2, 3], { timeout: 50 });
    // Behind them, also on a busy machine.
    await within(Promise.all([1, 2, 3, 4].map((n) => pool.submit(echo<number>, n))));
    await sleep(120);
    assertEquals([...ready], [1, 4, 9], "what was ready before the deadline is delivered after it");
  });

  test(`${name}.map(): a timeout cancels the item that is waited for and all behind it`, async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      const ledger = new Ledger();
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      await gate.arrived();
      const results = pool.map(record<number>, Array(5).fill(ledger.path), range(5), { timeout: 0 });
      const { error } = await within(readUntilError(results, blocking));
      assertInstanceOf(error, TimeoutError);
      gate.open();
      await within(held);
      await within(pool.submit(echo<number>, 0));
      assertEquals(ledger.lines(), []);
    }
  });

  test(`${name}.map(): a timeout beyond what a timer can hold does not run out`, async () => {
    using pool = borrow(kind, 1);
    for (const timeout of [2 ** 31, 1e15, Number.MAX_VALUE, Infinity, undefined]) {
      assertEquals(await within(collect(pool.map(square, [1, 2], { timeout }))), [1, 4]);
      assertEquals([...pool.map(square, [1, 2], { timeout })], [1, 4]);
    }
  });

  test(`${name}.map(): an iteration that nobody finishes holds nothing up`, async () => {
    using pool = borrow(kind, 2);
    pool.map(square, range(100));
    pool.map(squareUnless, range(100), Array(100).fill(3));
    pool.map(square, range(100)).next();
    const iterator = pool.map(square, asynchronous(range(10)))[Symbol.asyncIterator]();
    await within(iterator.next());
    assertEquals(pool.submit(square, 5).result(BOUND), 25);
    await within(Promise.resolve(iterator.return?.()));
    await until(() => pool.stats().running + pool.stats().queued === 0, "the end of what nobody reads");
  });

  test(`${name}.map(): an asynchronous input that fails when a shorter one has ended leaves none open`, async () => {
    using pool = borrow(kind, 1);
    const endless = new Endless();
    const results: number[] = [];
    const sums = pool.map(
      sum,
      endless.now("cannot be closed"),
      asynchronous(range(2)),
      endless.now(),
    );
    const error = await rejectionOf((async () => {
      for await (const each of sums) results.push(each);
    })());
    assertEquals([results, String(error)], [[0, 3], "EvalError: cannot be closed"]);
    assertEquals(endless.closed, 2);
  });

  test(`${name}.map(): leaving an asynchronous or bounded iteration closes its inputs`, async () => {
    using pool = borrow(kind, 1);
    let closed = 0;
    function* endless() {
      try {
        for (let i = 0;; i++) yield i;
      } finally {
        closed++;
      }
    }
    async function* endlessLater() {
      try {
        for (let i = 0;; i++) {
          await Promise.resolve();
          yield i;
        }
      } finally {
        closed++;
      }
    }
    for (const _ of pool.map(square, endless(), { buffersize: 3 })) break;
    assertEquals(closed, 1, "break");
    for await (const _ of pool.map(square, endless(), { buffersize: 3 })) break;
    assertEquals(closed, 2, "break of for await");
    for await (const _ of pool.map(square, endlessLater(), { buffersize: 3 })) break;
    await until(() => closed === 3, "an asynchronous input is closed");
    const failing = pool.map(throwValue, endless(), { buffersize: 2 });
    assertEquals(thrownBy(() => failing.next()), 0);
    assertEquals(closed, 4, "an error");
    assertInstanceOf(
      await rejectionOf(collect(pool.map(echo<number>, endless(), { buffersize: 2, timeout: -1 }))),
      TimeoutError,
    );
    assertEquals(closed, 5, "a timeout");
  });
}
