/** `map()` with `settled: true`: an outcome for each item, and a failure ends nothing. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  CancelledError,
  SerializationError,
  ShutdownError,
  TaskNotFoundError,
  TimeoutError,
} from "@concurrent/futures";
import { bestOf, BOUND, Gate, Ledger, readUntilError, rejectionOf, test, until, within } from "../_helpers.ts";
import { throwValue } from "../fixtures/errors.ts";
import { endBy, type Outcome, outcomeBy, type Way, WAYS } from "../fixtures/map_tasks.ts";
import {
  add,
  echo,
  lengthOf,
  passGate,
  refuseAt,
  square,
  squareUnless,
  sum,
  throwOrPassGateOrRecord,
} from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";
import { asynchronous, bothMap, brokenAt, collect, Endless, range } from "./map.ts";

/** What a test can compare of an outcome: of an error its class, and the path or the text. */
export function shown(outcome: PromiseSettledResult<unknown>): Outcome {
  if (outcome.status === "fulfilled") return ["fulfilled", outcome.value];
  const { reason } = outcome;
  if (!(reason instanceof Error)) return ["rejected", String(reason), ""];
  return ["rejected", reason.name, reason instanceof SerializationError ? reason.path : reason.message];
}

const settled = true;

export function mapSettledBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}.map() with settled: true says how each item ended, and goes on, also within a chunk`, async () => {
    using pool = borrow(kind, 2);
    const expected = range(12).map((n): PromiseSettledResult<number> | string =>
      n % 5 === 2 ? `RangeError: item ${n}` : { status: "fulfilled", value: n * n }
    );
    const bad = range(12).map((n) => n % 5 === 2 ? n : -1);
    for (
      const options of [{}, { chunksize: 1 }, { chunksize: 4 }, { chunksize: 100 }, { buffersize: 3 }, {
        buffersize: 5,
        chunksize: 2,
      }]
    ) {
      for (const blocking of [true, false]) {
        for (const items of blocking ? [range(12)] : [range(12), asynchronous(range(12))]) {
          const results = pool.map(squareUnless, items, bad, { ...options, settled });
          const { seen, error } = await within(readUntilError(results, blocking));
          const texts = seen.map((each) => each.status === "fulfilled" ? each : `${each.reason}`);
          assertEquals([texts, error], [expected, "no error"], Deno.inspect({ options, blocking }));
        }
      }
    }
  });

  test(`${name}.map() with settled: true: its results have the form of Promise.allSettled()`, async () => {
    using pool = borrow(kind, 1);
    const reason = new RangeError("a text");
    const expected = await Promise.allSettled([1, Promise.reject(reason)]);
    const [good] = pool.map(echo<number>, [1], { settled });
    assertEquals([good, Object.keys(good)], [expected[0], Object.keys(expected[0])]);
    const [bad] = pool.map(throwValue, [reason], { settled });
    assert(bad.status === "rejected" && bad.reason instanceof RangeError);
    assertEquals([bad.reason.message, Object.keys(bad)], ["a text", Object.keys(expected[1])]);
    await bothMap(() => pool.map(square, [], { settled }), []);
  });

  test(`${name}.map() with settled: true: whatever ends an item ends no other one`, async () => {
    using pool = borrow(kind, 2);
    for (const chunksize of [1, 3, 100]) {
      const ways = [...WAYS, "returns", ...WAYS].toSorted((a, b) => a.length - b.length) as Way[];
      const expected = ways.map(outcomeBy);
      const results = await within(collect(pool.map(endBy, ways, range(100), { settled, chunksize })));
      const seen = results.map((each): Outcome => {
        const outcome = shown(each);
        // Whose getter it was, the path tells in some way.
        return outcome[1] === "SerializationError" ? ["rejected", outcome[1], "result.list[1]"] : outcome;
      });
      assertEquals(seen, expected, `chunks of ${chunksize}`);
      assertEquals(pool.submit(square, 3).result(), 9);
    }
  });

  test(`${name}.map() with settled: true rejects an item that cannot cross, with the path that names it`, async () => {
    using pool = borrow(kind, 1);
    const items: unknown[] = range(9);
    items[4] = { list: [0, () => 1] };
    for (const options of [{}, { chunksize: 3 }, { chunksize: 100 }, { buffersize: 2 }]) {
      for (const blocking of [true, false]) {
        const one = pool.map(echo<unknown>, items, { ...options, settled });
        const { seen } = await within(readUntilError(one, blocking));
        const rejected: Outcome = ["rejected", "SerializationError", "args[0].list[1]"];
        assertEquals(seen.map(shown), range(9).map((n): Outcome => n === 4 ? rejected : ["fulfilled", n]));
      }
      const second = [...pool.map((_n: number, item: unknown) => item, range(9), items, { ...options, settled })];
      if (!kind.isRemote) assertEquals(shown(second[4]), ["rejected", "SerializationError", "args[1].list[1]"]);
    }
    const refused = [...pool.map(refuseAt, range(4), Array(4).fill(2), { settled, chunksize: 4 })];
    const expected: Outcome[] = range(4).map((n) => ["fulfilled", n]);
    expected[2] = ["rejected", "SerializationError", "result.list[1]"];
    assertEquals(refused.map(shown), expected);
  });

  test(`${name}.map() with settled: true rejects each item of a function that is not found`, () => {
    using pool = borrow(kind, 1);
    const native = [...pool.map(Math.sqrt.bind(null), [1, 4], { settled })];
    assertEquals(native.length, 2);
    for (const each of native) assert(each.status === "rejected" && each.reason instanceof TaskNotFoundError);
    assertThrows(() => pool.map(5 as unknown as typeof square, [1], { settled }), TypeError);
  });

  test(`${name}.map() with settled and ordered: false gives each outcome as it comes`, async () => {
    using pool = borrow(kind, 2);
    for (const options of [{ chunksize: 1 }, { chunksize: 3 }, { buffersize: 4 }]) {
      const all = { ...options, settled, ordered: false } as const;
      for (const blocking of [true, false]) {
        const results = pool.map(squareUnless, range(9), Array(9).fill(4), all);
        const { seen, error } = await within(readUntilError(results, blocking));
        const expected = range(9).map((n) => n === 4 ? "rejected,RangeError,item 4" : `fulfilled,${n * n}`);
        assertEquals([seen.map((each) => String(shown(each))).sort(), error], [expected.sort(), "no error"]);
      }
    }
  });

  test(`${name}.map() with settled: true keeps what results are, also beside failures`, () => {
    using pool = borrow(kind, 1);
    const values = [0, -0, NaN, undefined, null, "text", { a: [1] }, new Map([[1, 2n]]), new Uint8Array([1, 2])];
    for (const chunksize of [1, 100]) {
      const alone = [...pool.map(echo<unknown>, values, { settled, chunksize })];
      assertEquals(alone, values.map((value) => ({ status: "fulfilled", value })));
      const beside = [...pool.map(lengthOf, ["abc", null as unknown as string, "d"], { settled, chunksize })];
      assertEquals(beside.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
      for (const falsy of [undefined, null, 0, "", false]) {
        const thrown = [...pool.map(throwValue, [falsy, 1], { settled, chunksize })];
        assertEquals(thrown, [{ status: "rejected", reason: falsy }, { status: "rejected", reason: 1 }]);
      }
    }
  });

  test(`${name}.map() with settled: true ends with an input that throws, behind what was read before`, async () => {
    using pool = borrow(kind, 1);
    assertThrows(() => pool.map(square, brokenAt(3), { settled }), EvalError);
    for (const options of [{ buffersize: 2 }, { buffersize: 5, chunksize: 2 }]) {
      for (const blocking of [true, false]) {
        const results = pool.map(squareUnless, brokenAt(6), Array(9).fill(1), { ...options, settled });
        const { seen, error } = await within(readUntilError(results, blocking));
        assertEquals([seen.length, seen[1].status], [6, "rejected"]);
        assertInstanceOf(error, EvalError);
        assertEquals(results.next().done, true);
      }
    }
    const later = pool.map(square, asynchronous(brokenAt(2)), { settled });
    assertInstanceOf(await rejectionOf(collect(later)), EvalError);
  });

  test(`${name}.map() with settled: true ends with its deadline`, async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const timeout = kind.isRemote ? 1_000 : 100;
      const results = pool.map(passGate<number>, [gate.path], [1], { settled, timeout });
      const { seen, error } = await within(readUntilError(results, blocking));
      assertEquals([seen, results.next().done], [[], true]);
      assertInstanceOf(error, TimeoutError);
      gate.open();
      await within(pool.submit(echo<number>, 0));
    }
  });

  test(`${name}.map() with settled: true: a shutdown rejects what it cancels, and ends reading`, async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 1 });
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      await gate.arrived();
      // No more than wait here: a child may have been given some.
      const results = pool.map(sum, range(6), range(6), { settled, chunksize: 2 });
      const endless = new Endless();
      const more = pool.map(square, endless.now(), { settled, buffersize: 3 });
      const ended = pool.shutdown({ cancelFutures: true });
      gate.open();
      await within(held);
      const { seen, error } = await within(readUntilError(results, blocking));
      assertEquals([seen.length, error], [6, "no error"]);
      for (const each of seen) assert(each.status === "rejected" && each.reason instanceof CancelledError);
      const rest = await within(readUntilError(more, blocking));
      assertEquals(rest.seen.map(({ status }) => status), Array(3).fill("rejected"));
      assertInstanceOf(rest.error, ShutdownError);
      assertEquals(endless.closed, 1);
      await within(ended);
    }
  });

  test(`${name}.map() with settled: true: leaving it early cancels the rest`, async () => {
    using pool = make({ maxWorkers: 1 });
    const ledger = new Ledger();
    using gate = new Gate();
    // The item after the bad one holds the worker until the loop has ended.
    const tasks = Array(40).fill([gate.path, ledger.path]);
    for (const each of pool.map(throwOrPassGateOrRecord, tasks, range(40), { settled, chunksize: 1 })) {
      if (each.status === "rejected") break;
    }
    gate.open();
    await within(pool.submit(echo<number>, 0));
    assertEquals(ledger.lines(), [], "nothing behind the bad item and the running one ran");
    const endless = new Endless();
    for await (const _ of pool.map(add, endless.later(), endless.now(), { settled, buffersize: 3 })) break;
    await until(() => endless.closed === 2, "the inputs are closed");
  });

  test(`${name}.map() with settled: true: what an item has left behind fails no other item`, async () => {
    using pool = make({ maxWorkers: 1 });
    // Each timer fires while a later item waits.
    const leave = (ms: number) => {
      setTimeout(() => {
        throw new EvalError("left behind");
      }, ms);
      return new Promise((resolve) => setTimeout(resolve, 20, ms));
    };
    if (kind.isRemote) return;
    const statuses = async (items: number[]) => {
      const outcomes = await within(collect(pool.map(leave, items, { settled, chunksize: items.length })));
      return outcomes.map(({ status }) => status);
    };
    // The first timer of a worker makes it load what tells runs apart: until then a later item seems to have thrown.
    const end = performance.now() + BOUND;
    while ((await statuses([30, 500])).includes("rejected")) assert(performance.now() < end, "what tells runs apart");
    // On a busy machine a timer may fire before the item has ended that has left it behind.
    await bestOf(5, async () => {
      assertEquals(await statuses([30, 30, 5, 500]), ["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    });
  });
}
