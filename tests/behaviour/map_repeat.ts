/** `map()` over `repeat()`: a value that is the same for all items. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { repeat, SerializationError } from "@concurrent/futures";
import { Gate, readUntilError, rejectionOf, test, until, within } from "../_helpers.ts";
import { changeBytes, changeObject, isSeen, lengthAnd, pauseWith, throwAbout } from "../fixtures/map_tasks.ts";
import { add, echo, lengthOf, square, sum } from "../fixtures/tasks.ts";
import { assertSame } from "../_same.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";
import { asynchronous, bothMap, collect, Endless, range } from "./map.ts";
import { shown } from "./map_settled.ts";

const OPTIONS = [{}, { chunksize: 1 }, { chunksize: 3 }, { chunksize: 100 }, { buffersize: 2 }, {
  buffersize: 4,
  chunksize: 2,
}];

/** Small enough to travel with each item, and too large for that; over a network they all do. */
const SIZES = [10, 60_000];
const REMOTE_SIZES = [10, 20_000];

function makeObject(size: number) {
  return {
    list: range(size / 10).map((n) => ({ n })) as unknown[],
    map: new Map([["now", new Date(5)]]),
    inner: { text: "x".repeat(size) },
  };
}

export function mapRepeatBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}.map() over repeat() calls the function with the value, blocking and awaited`, async () => {
    using pool = borrow(kind, 2);
    const length = kind.isRemote ? 60_000 : 100_000;
    for (const options of kind.isRemote ? OPTIONS.slice(-4) : OPTIONS) {
      await bothMap(() => pool.map(add, repeat(100), range(7), options), range(7).map((n) => 100 + n));
      await bothMap(() => pool.map(add, range(7), repeat(100), options), range(7).map((n) => 100 + n));
      await bothMap(() => pool.map(square, repeat(3, 5), options), Array(5).fill(9));
      await bothMap(() => pool.map(sum, repeat(1), repeat(10, 4), range(9), options), [11, 12, 13, 14]);
      await bothMap(() => pool.map(add, repeat(1, 0), range(9), options), []);
      const text = "x".repeat(length);
      await bothMap(() => pool.map(lengthOf, repeat(text, 4), options), Array(4).fill(length));
      await bothMap(
        () => pool.map(lengthAnd, repeat(text), range(5), repeat("small"), repeat(text.slice(1), 4), options),
        range(4).map((n) => [length, n, "small", text.slice(1)]),
      );
      const later = pool.map(lengthAnd, repeat(text), asynchronous(range(5)), options);
      assertEquals(await within(collect(later)), range(5).map((n) => [length, n]));
      const unordered = pool.map(lengthAnd, repeat(text), range(5), { ...options, ordered: false });
      assertEquals([...unordered].map(String).sort(), range(5).map((n) => `${length},${n}`));
    }
  });

  test(`${name}.map() over repeat(): each task sees the value as it was, whatever others do to it`, async () => {
    using pool = borrow(kind, 2);
    for (const size of kind.isRemote ? REMOTE_SIZES : SIZES) {
      for (const options of kind.isRemote ? OPTIONS.slice(-2) : OPTIONS) {
        const bytes = new Uint8Array(size).fill(7);
        await bothMap(
          () => pool.map(changeBytes, repeat(bytes), range(9), options),
          range(9).map((n) => [size, 7, 7, n]),
        );
        const value = makeObject(size);
        const expected = range(9).map((n) => [size / 10, { n: 0 }, 5, size, 3, n]);
        await bothMap(() => pool.map(changeObject, repeat(value), range(9), options), expected);
        assertEquals([bytes[0], value.list.length], [7, size / 10], "neither is the caller's changed");
        const other = makeObject(size);
        const seen = pool.map(isSeen, repeat(other), repeat(other, 6), options);
        assertEquals([...seen], Array(6).fill([false, false, true]), "nothing is shared by items");
      }
    }
  });

  test(`${name}.map() over repeat() copies the value at the call`, async () => {
    using pool = borrow(kind, 2);
    for (const size of kind.isRemote ? REMOTE_SIZES : SIZES) {
      const bytes = new Uint8Array(size).fill(7);
      const results = pool.map(changeBytes, repeat(bytes), range(9), { buffersize: 2 });
      bytes.fill(1);
      assertEquals(await within(collect(results)), range(9).map((n) => [size, 7, 7, n]));
    }
  });

  test(`${name}.map() over repeat() carries all that crosses`, () => {
    using pool = borrow(kind, 2);
    const cycle: { [key: string]: unknown } = { filler: "x".repeat(50_000) };
    cycle.self = [cycle, cycle];
    const values: unknown[] = [
      cycle,
      new Float64Array(9_000).fill(0.5).subarray(1),
      [...range(9_000), -0, NaN, undefined, 5n, new URL("https://a.b/c"), /x/g],
      new Map(range(3_000).map((n) => [n, new Set([String(n)])])),
      "\ud800".repeat(20_000),
      new Error("a text", { cause: "y".repeat(20_000) }),
      Object.assign(Array(20_000), { 5: "sparse" }),
    ];
    for (const value of values) {
      for (const result of pool.map(echo<unknown>, repeat(value, 3), { chunksize: 2 })) assertSame(result, value);
    }
  });

  test(`${name}.map() over repeat() of what cannot cross rejects each item, with the path that names it`, async () => {
    using pool = borrow(kind, 2);
    const value = { text: "x".repeat(100_000), list: [1, () => 1] };
    const error = await rejectionOf(
      collect(pool.map(lengthAnd as (...args: unknown[]) => unknown, range(3), repeat(value))),
    );
    assertInstanceOf(error, SerializationError);
    assertEquals(error.path, "args[1].list[1]");
    // And beside a large one that can.
    const items = [1, () => 1, 2] as unknown[];
    const outcomes = pool.map(lengthAnd, repeat("x".repeat(100_000)), items, { settled: true, chunksize: 3 });
    assertEquals([...outcomes].map(shown), [
      ["fulfilled", [100_000, 1]],
      ["rejected", "SerializationError", "args[1]"],
      ["fulfilled", [100_000, 2]],
    ]);
  });

  test(`${name}.map() over repeat(): errors of the function arrive as ever`, async () => {
    using pool = borrow(kind, 2);
    const large = "x".repeat(100_000);
    const { error } = await within(readUntilError(pool.map(throwAbout, repeat(large), range(3)), true));
    assertInstanceOf(error, RangeError);
    assertEquals(error.message, "item 0");
    assertEquals([...pool.map(throwAbout, repeat(large), range(3), { settled: true })].map(shown), [
      ["rejected", "RangeError", "item 0"],
      ["rejected", "RangeError", "item 1"],
      ["rejected", "RangeError", "item 2"],
    ]);
    if (kind.isRemote) return;
    const outer = 5;
    const alone = pool.map((text: string) => text.length + outer, repeat(large, 2), { settled: true });
    for (const each of alone) {
      assert(each.status === "rejected" && each.reason instanceof ReferenceError);
      assert(each.reason.message.includes("was sent to the worker as source text"), each.reason.message);
    }
  });

  test(`${name}.map() over repeat() knows a function that is slow, whatever it was called with before`, async () => {
    using pool = make({ maxWorkers: 1 });
    using gate = new Gate();
    const large = (n: number) => repeat(String(n).repeat(50_000));
    assertEquals([...pool.map(pauseWith, large(1), range(8), repeat(undefined), repeat(12))], range(8));
    // In a chunk the item before the gate would wait for it, too.
    const gates = range(60).map((i) => i === 25 ? gate.path : undefined);
    const iterator = pool.map(pauseWith, large(2), range(60), gates, repeat(1))[Symbol.asyncIterator]();
    for (let i = 0; i < 25; i++) assertEquals((await within(iterator.next())).value, i);
    gate.open();
    for (let i = 25; i < 60; i++) assertEquals((await within(iterator.next())).value, i);
  });

  test(`${name}.map() over repeat(): leaving it, and shutting down, end it as ever`, async () => {
    const pool = make({ maxWorkers: 1 });
    const large = "x".repeat(100_000);
    const endless = new Endless();
    for (const _ of pool.map(lengthAnd, repeat(large), endless.now(), { buffersize: 3 })) break;
    for await (const _ of pool.map(lengthAnd, repeat(large), endless.later(), { buffersize: 3 })) break;
    await until(() => endless.closed === 2, "the inputs are closed");
    const unread = pool.map(lengthAnd, repeat(large), range(20), { chunksize: 1 });
    await within(pool.shutdown());
    assertEquals([...unread], range(20).map((n) => [100_000, n]), "what was submitted has run");
  });
}
