/** `ExecutorTest` of Python's executor.py: `submit` and `map` of every kind of executor. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { TimeoutError } from "@concurrent/futures";
import { bestOf, both, bothFail, Gate, outputOf, rejectionOf, thrownBy, within } from "../_helpers.ts";
import { borrow } from "../behaviour/borrow.ts";
import { bothMap, collect, range } from "../behaviour/map.ts";
import type { CommonOptions, Kind } from "../behaviour/kind.ts";
import { throwValue } from "../fixtures/errors.ts";
import { add, list, passGate, square } from "../fixtures/tasks.ts";
import { divmod, holdAt, power } from "./_tasks.ts";
import { row } from "./_rows.ts";

const GC = { flags: ["-A", "--v8-flags=--expose-gc"] };

function* naturals(): Generator<number> {
  for (let i = 0;; i++) yield i;
}

/** The first `count` results, read in both ways. */
async function bothFirst<T>(start: () => Iterable<T> & AsyncIterable<T>, count: number): Promise<T[][]> {
  const blocking: T[] = [];
  for (const item of start()) {
    blocking.push(item);
    if (blocking.length === count) break;
  }
  const awaited: T[] = [];
  for await (const item of start()) {
    awaited.push(item);
    if (awaited.length === count) break;
  }
  return [blocking, awaited];
}

export function executorRows(kind: Kind): void {
  const { name, make } = kind;

  row(name, "test_submit: the value of a call comes out of result()", async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(power, 2, 8), (value) => assertEquals(value, 256));
  });

  row(name, "test_submit_keyword: a missing function throws at once, an object of options is an argument", async () => {
    using pool = borrow(kind, 1);
    const bag = { self: 1, fn: 2, timeout: 3, chunksize: 4, buffersize: 5, signal: 6 };
    await both(() => pool.submit(list, 1, bag), (args) => assertEquals(args, [1, bag]));
    await both(() => pool.submit(list, bag), (args) => assertEquals(args, [bag]));
    const loose = pool as unknown as { submit(...args: unknown[]): unknown };
    assertThrows(() => loose.submit(), TypeError);
    assertThrows(() => loose.submit({ fn: power }, 2, 8), TypeError);
  });

  row(name, "test_map: the results are those of the built-in map, in order, for every chunksize", async () => {
    using pool = borrow(kind, 2);
    const expected = range(10).map((n) => n ** n);
    await bothMap(() => pool.map(power, range(10), range(10)), expected);
    for (const chunksize of [1, 3, 10, 11]) {
      await bothMap(() => pool.map(power, range(10), range(10), { chunksize }), expected, `chunksize ${chunksize}`);
    }
  });

  row(name, "test_map_exception: what comes before the bad item is delivered, then its error is thrown", async () => {
    using pool = borrow(kind, 2);
    for (const chunksize of [undefined, 1, 4]) {
      const start = () => pool.map(divmod, [1n, 1n, 1n, 1n], [2n, 3n, 0n, 5n], { chunksize });
      const blocking = start();
      assertEquals([blocking.next().value, blocking.next().value], [[0n, 1n], [0n, 1n]]);
      assertThrows(() => blocking.next(), RangeError, "Division by zero");
      assertEquals(blocking.next(), { done: true, value: undefined });
      const awaited = start()[Symbol.asyncIterator]();
      assertEquals([(await within(awaited.next())).value, (await within(awaited.next())).value], [[0n, 1n], [0n, 1n]]);
      assert(await rejectionOf(awaited.next()) instanceof RangeError);
    }
  });

  row(
    name,
    "test_map_timeout: at the deadline the iteration ends with TimeoutError, after what was there",
    async () => {
      using pool = borrow(kind, 2);
      await bestOf(4, async () => {
        for (const blocking of [true, false]) {
          using gate = new Gate();
          // Started before the clock: what is measured here is no start of a worker.
          await within(Promise.all([pool.submit(holdAt, null), pool.submit(holdAt, null)]));
          const results = pool.map(holdAt, [null, null, gate.path], { timeout: 300, chunksize: 1 });
          const seen: unknown[] = [];
          const read = async () => {
            if (blocking) { for (const value of results) seen.push(value); }
            else for await (const value of results) seen.push(value);
          };
          const error = await rejectionOf(read());
          gate.open();
          assert(error instanceof TimeoutError, `${error}`);
          assertEquals(seen, [null, null]);
          await within(pool.submit(holdAt, null));
        }
      });
    },
  );

  row(
    name,
    "test_map_buffersize_type_validation: a buffersize that is no number of items is refused at the call",
    () => {
      using pool = borrow(kind, 1);
      for (const wrong of ["foo", null, [], 5n, true]) {
        assertThrows(() => pool.map(square, [1], { buffersize: wrong as unknown as number }), TypeError, "buffersize");
      }
      assertThrows(() => pool.map(square, [1], { buffersize: 2.5 }), RangeError, "buffersize");
    },
  );

  row(name, "test_map_buffersize_value_validation: a buffersize of 0 or -1 is refused at the call", () => {
    using pool = borrow(kind, 1);
    for (const buffersize of [0, -1]) {
      assertThrows(
        () => pool.map(square, [1], { buffersize }),
        RangeError,
        `The option buffersize must be an integer of at least 1: ${buffersize}`,
      );
    }
  });

  row(
    name,
    "test_map_buffersize: the results are the same for buffers below, at and above the input's length",
    async () => {
      using pool = borrow(kind, 2);
      const items = range(4);
      for (const buffersize of [1, 2, 4, 8]) {
        await bothMap(() => pool.map(square, items, { buffersize }), [0, 1, 4, 9], `buffersize ${buffersize}`);
      }
    },
  );

  row(name, "test_map_buffersize_on_multiple_iterables: the same with two inputs", async () => {
    using pool = borrow(kind, 2);
    for (const buffersize of [1, 2, 4, 8]) {
      await bothMap(() => pool.map(add, range(4), range(4), { buffersize }), [0, 2, 4, 6], `buffersize ${buffersize}`);
    }
  });

  row(name, "test_map_buffersize_on_infinite_iterable: an endless input works", async () => {
    using pool = borrow(kind, 2);
    const [blocking, awaited] = await bothFirst(() => pool.map(square, naturals(), { buffersize: 2 }), 3);
    assertEquals([blocking, awaited], [[0, 1, 4], [0, 1, 4]]);
  });

  row(name, "test_map_buffersize_on_multiple_infinite_iterables: two endless inputs work", async () => {
    using pool = borrow(kind, 2);
    const [blocking, awaited] = await bothFirst(() => pool.map(add, naturals(), naturals(), { buffersize: 2 }), 3);
    assertEquals([blocking, awaited], [[0, 2, 4], [0, 2, 4]]);
  });

  row(name, "test_map_buffersize_on_empty_iterable: an empty input gives an iterator at its end", async () => {
    using pool = borrow(kind, 1);
    await bothMap(() => pool.map(square, [], { buffersize: 8 }), []);
    assertEquals(pool.map(square, [], { buffersize: 8 }).next(), { done: true, value: undefined });
  });

  row(name, "test_map_buffersize_without_iterable: no input gives an iterator at its end", async () => {
    using pool = borrow(kind, 1);
    await bothMap(() => pool.map(() => 1, { buffersize: 8 }), []);
    assertEquals(pool.map(() => 1, { buffersize: 8 }).next(), { done: true, value: undefined });
  });

  row(name, "test_map_buffersize_when_buffer_is_full: nothing taken, exactly buffersize items are read", async () => {
    for (const blocking of [true, false]) {
      using pool = make({ maxWorkers: 2 });
      const input = naturals();
      const results = pool.map(square, input, { buffersize: 4 });
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown());
      assertEquals(input.next().value, 4);
      results.return();
    }
  });

  row(name, "test_shutdown_race_issue12456: one item more than workers, then shutdown: it does not hang", async () => {
    for (const blocking of [true, false]) {
      using pool = make({ maxWorkers: 2 });
      const results = pool.map(passGate<string>, ["", "", ""].map(() => openGate()), ["a", "b", "c"]);
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown(), "shutdown()");
      assertEquals(blocking ? [...results] : await within(collect(results)), ["a", "b", "c"]);
    }
  });

  row(name, "test_no_stale_references: the argument of a task that has run can be collected", async () => {
    assertEquals(await outputOf("../../cpython/programs/references.ts", [kind.module, "argument"], GC), {
      freed: true,
    });
  });

  row(name, "test_max_workers_negative: what is no positive integer is refused with one message", () => {
    for (const maxWorkers of [0, -1, NaN, 1.5, -Infinity, Infinity]) {
      const error = thrownBy(() => make({ maxWorkers }));
      assert(error instanceof RangeError);
      assertEquals(error.message, `The option maxWorkers must be an integer of at least 1: ${maxWorkers}`);
    }
    assertThrows(() => make({ maxWorkers: "3" } as unknown as CommonOptions), TypeError, "maxWorkers");
  });

  row(name, "test_free_reference: map keeps no result that it has delivered", async () => {
    assertEquals(await outputOf("../../cpython/programs/references.ts", [kind.module, "mapped"], GC), {
      freed: [true, true, true, true, true],
    });
  });

  row(name, "test_swallows_falsey_exceptions: a falsy value that is thrown is thrown", async () => {
    using pool = borrow(kind, 1);
    for (const value of [undefined, null, 0, "", false, NaN, -0, 0n]) {
      await bothFail(() => pool.submit(throwValue, value), (error) => assert(Object.is(error, value), `${error}`));
      const results = pool.map(throwValue, [value]);
      assert(Object.is(thrownBy(() => results.next()), value));
    }
  });
}

/** A gate that lets everybody pass. */
function openGate(): string {
  const gate = new Gate();
  gate.open();
  return gate.path;
}
