/**
 * Values that cross: there and back without a change.
 *
 * Over 400 lines: one list of the values that cross, and how each arrives.
 */
import { assert, assertEquals, fail } from "@std/assert";
import type { Executor } from "@concurrent/futures";
import { assertSame } from "../_same.ts";
import { both, test, within } from "../_helpers.ts";
import { echo, inspect, isSame, lengthOf, list, repeat, shareMemory } from "../fixtures/tasks.ts";
import { bump, bumpBoth, bumpBytes, bumpInner, holdShared, returnShared } from "../fixtures/values.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

function cyclic(): unknown {
  const node: Record<string, unknown> = { name: "root", list: [] as unknown[] };
  node.self = node;
  (node.list as unknown[]).push(node, node.list, { up: node });
  return node;
}

function repeated(): unknown {
  const shared = { n: 1 };
  const when = new Date(5);
  return { a: shared, b: [shared, shared], c: new Map([[shared, when]]), d: new Set([when, shared]) };
}

function cyclicCollections(): unknown {
  const map = new Map<unknown, unknown>();
  const set = new Set<unknown>([map]);
  map.set(map, set).set("set", set).set(set, [map, set]);
  set.add(set);
  return map;
}

function sparse(length: number, items: Record<number, unknown>): unknown[] {
  const array: unknown[] = [];
  array.length = length;
  return Object.assign(array, items);
}

function nested(depth: number): unknown {
  let value: unknown = "core";
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { value };
  return value;
}

function withProto(): unknown {
  return JSON.parse('{"__proto__": {"polluted": 1}, "a": {"__proto__": 5}, "constructor": 1, "toString": 2}');
}

function caused(): Error {
  const inner = new RangeError("inner", { cause: { code: 5, list: [1n] } });
  return new TypeError("outer", { cause: inner });
}

/** Every kind of value that the documentation names. Each function makes a fresh one. */
const VALUES: Record<string, () => unknown> = {
  "null": () => null,
  "undefined": () => undefined,
  "true": () => true,
  "false": () => false,
  "0": () => 0,
  "-0": () => -0,
  "NaN": () => NaN,
  "Infinity": () => Infinity,
  "-Infinity": () => -Infinity,
  "fractions":
    () => [0.1, 1e-320, 5e-324, 1.7976931348623157e308, -1.5, 2 ** 53, -(2 ** 53) - 2, 1e21, 123456789012345680000],
  "bigint 0": () => 0n,
  "bigints": () => [1n, -1n, 2n ** 64n, -(2n ** 64n) - 1n, 10n ** 400n, -(10n ** 400n)],
  "empty string": () => "",
  "strings":
    () => ["a", "ü€😀", "\0", "\u001e{}\n", "\u2028\u2029", '"\\\n\r\t', "</script>", "\ufeffbom", "\u007f\u0080"],
  "lone surrogates": () => ["\ud800", "\udfff", "a\ud800b", "\udc00\ud800", "😀\ud83d", { "\ud800": "\udc00" }],
  "lone surrogates in collections": () => new Map([["\ud800", new Set(["\udc01"])]]),
  "empty object": () => ({}),
  "empty array": () => [],
  "plain object": () => ({ a: 1, b: "two", c: [true, null, { d: undefined }], "e f": 1, "": 2, 10: 3, 2: 4 }),
  "property order": () => ({ z: 1, a: 2, m: 3, Z: 4 }),
  "undefined properties": () => ({ a: undefined, b: [undefined, null, undefined] }),
  "special numbers inside": () => ({ a: -0, b: [NaN, Infinity, -Infinity, -0], c: { d: NaN } }),
  "__proto__ keys": withProto,
  "keys of collections": () =>
    new Map<unknown, unknown>([[NaN, -0], [undefined, 1], [null, 2], [-1, 3], ["__proto__", 4]]),
  "Date": () => new Date(1_700_000_000_123),
  "Dates": () => [new Date(0), new Date(-1), new Date(8.64e15), new Date(-8.64e15), new Date(NaN)],
  "RegExp": () => /a(b)?[/\\]"'\n/giu,
  "RegExps": () => [/x/dgimsuy, /x/v, new RegExp("/"), new RegExp(""), new RegExp("\n"), /\u{1F600}/u],
  // Where Deno has it.
  ...("Temporal" in globalThis && {
    "Temporal": () => [
      Temporal.Instant.from("2026-02-28T23:59:59.123456789Z"),
      Temporal.Duration.from("P1Y2DT3H4M5.6S"),
      Temporal.PlainDate.from("2026-02-28"),
      Temporal.ZonedDateTime.from("2026-02-28T12:00[Europe/Paris]"),
    ],
  }),
  "Map": () => new Map<unknown, unknown>([["a", 1], [{ k: 1 }, [2]], [1, new Map([[1, 2]])], [true, undefined]]),
  "Map in order": () => new Map([[3, "c"], [1, "a"], [2, "b"]]),
  "empty Map and Set": () => [new Map(), new Set()],
  "Set": () => new Set<unknown>([3, "a", { b: 1 }, new Set([1]), undefined, NaN, null]),
  "URL": () => new URL("https://user:pass@example.com:8080/a/../b%20c?q=ü#h"),
  "URLs": () => [new URL("file:///tmp/x"), { deep: new URL("data:text/plain,hi") }],
  "Error": () => new Error("message"),
  "Errors of built-in classes": () => [
    new TypeError("t"),
    new RangeError("r"),
    new SyntaxError("s"),
    new ReferenceError("f"),
    new URIError("u"),
    new EvalError("e"),
  ],
  "Error with cause and fields": () => Object.assign(caused(), { code: "E1", detail: { n: -0, when: new Date(1) } }),
  "AggregateError": () => new AggregateError([new TypeError("one"), "two", { three: 3n }], "several"),
  "Error in a collection": () => new Map([["e", new Error("in a map", { cause: new Set([1]) })]]),
  "ArrayBuffer": () => new Uint8Array([1, 2, 3]).buffer,
  "empty ArrayBuffer": () => new ArrayBuffer(0),
  "typed arrays": () => [
    new Int8Array([-128, 127]),
    new Uint8Array([0, 255]),
    new Uint8ClampedArray([0, 255]),
    new Int16Array([-32768, 32767]),
    new Uint16Array([0, 65535]),
    new Int32Array([-(2 ** 31), 2 ** 31 - 1]),
    new Uint32Array([0, 2 ** 32 - 1]),
    new Float32Array([1.5, NaN, -0, Infinity]),
    new Float64Array([0.1, NaN, -0, -Infinity, 5e-324]),
    new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n]),
    new BigUint64Array([0n, 2n ** 64n - 1n]),
  ],
  "Float16Array": () => new Float16Array([1.5, -0, NaN]),
  "empty typed arrays": () => [new Uint8Array(0), new Float64Array(0), new BigInt64Array(0)],
  "typed array on its own": () => new Float64Array([1, 2, 3]),
  "part of a buffer": () => new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]).subarray(2, 5),
  "part of a buffer, wider": () => new Uint16Array(new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]).buffer, 2, 2),
  "typed array of 100 KiB": () => new Uint32Array(25_600).map((_, i) => i * 2_654_435_761),
  "sparse array": () => sparse(5, { 1: "one" }),
  "empty slots only": () => sparse(3, {}),
  "sparse array with undefined": () => sparse(4, { 0: undefined, 3: null }),
  "long sparse array": () => sparse(1_000_000, { 0: 1, 999_999: 2 }),
  "repeated references": repeated,
  "cyclic object": cyclic,
  "cyclic collections": cyclicCollections,
  "cyclic array": () => {
    const array: unknown[] = [1];
    array.push(array, [array]);
    return array;
  },
  "repeated buffer": () => {
    const bytes = new Uint8Array([1, 2, 3]);
    return [bytes, bytes, { bytes }];
  },
  "nested 500 deep": () => nested(500),
  "wide object": () => Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`key${i}`, i])),
  "array of 50,000": () => Array.from({ length: 50_000 }, (_, i) => i % 3 === 0 ? i : `item ${i}`),
  "looks like an encoding": () => [
    ["Date", "2020-01-01"],
    ["Map", 1, 2],
    [[-1], [-2, -3]],
    { $type: "Map", value: [] },
    { type: "Uint8Array", data: [1] },
    { __type__: "undefined" },
    '[["Date","x"]]',
    "\u0001",
    { ref: 0 },
    { $ref: "#" },
  ],
  "JSON in a string": () => JSON.stringify({ a: [1, { b: 2 }] }),
  "toJSON as a plain value": () => ({ toJSON: 5, then: 6, valueOf: 7 }),
  "then as a plain value": () => ({ then: "not a function" }),
  "array with extra properties": () => Object.assign([1, , 3], { extra: new Date(0), "4294967295": 1, "-1": 2 }),
  "match of a RegExp": () => "a-b".match(/(?<first>\w)-/),
  "deep Map": () => {
    let map = new Map<unknown, unknown>([["core", 1]]);
    for (let i = 0; i < 300; i++) map = new Map<unknown, unknown>([[map, i], [i, i]]);
    return map;
  },
};

/** Sizes on both sides of what a buffer might hold. */
const SIZES = [1, 2, 7, 8, 63, 64, 65, 127, 128, 255, 256, 257, 1_000, 1_023, 1_024, 1_025, 4_095, 4_096, 4_097]
  .concat([16_383, 16_384, 16_385, 65_519, 65_535, 65_536, 65_537, 131_071, 131_073, 262_143, 262_145])
  .concat([524_287, 524_289, 1_048_575, 1_048_576, 1_048_577, 2_097_151, 4_194_305, 8_388_609]);

/** @param ways How the value alone is read. */
async function assertRoundTrip(
  pool: Executor,
  make: () => unknown,
  what: string,
  ways: readonly ("blocked" | "awaited")[],
): Promise<void> {
  const expected = make();
  for (const way of ways) {
    const future = pool.submit(echo<unknown>, make());
    assertSame(way === "blocked" ? future.result(5_000) : await within(future, what, 5_000), expected, what);
  }
  const [first, second] = await within(pool.submit(list, 1, { held: [make()] }), what, 5_000);
  assertSame([first, second], [1, { held: [expected] }], what);
}

/** A property that says other things from the second time on. */
function changing(...says: unknown[]): object {
  return Object.defineProperty({ before: 1 }, "x", {
    enumerable: true,
    get: () => says.length > 1 ? says.shift() : says[0],
  });
}

/** Sends so many values, and looks whether each future has its own. */
export async function passMixedValues(pool: Executor, count: number): Promise<void> {
  const values = Array.from(
    { length: count },
    (_, i) => ({ i, text: String.fromCharCode(97 + i % 26).repeat((i * 7919) % 20_000) }),
  );
  const futures = values.map((value) => pool.submit(echo<typeof value>, value));
  for (const [i, future] of futures.entries()) {
    const { i: j, text } = i % 2 === 0 ? future.result(5_000) : await within(future);
    assert(j === i && text === values[i].text, `future ${i} has the value of ${j}`);
  }
}

export function valueBehaviour(kind: Kind): void {
  const { name } = kind;

  test(`${name}: what a getter says arrives as it said it, also when it says something else next time`, async () => {
    using pool = borrow(kind, 1);
    const map = new Map([[1, 2]]);
    for (const [first, second] of [[1, map], [map, 1], [[1], [map]], [1, undefined], [undefined, 1]]) {
      const back = await within(pool.submit(echo<unknown>, changing(first, second)));
      // It may be asked once more, where the first look was not thorough enough.
      const { x } = back as { x: unknown };
      const said = Deno.inspect(x) === Deno.inspect(first) ? first : second;
      assertSame(back, { before: 1, x: said }, `first ${Deno.inspect(first)}`);
    }
    const list = new Proxy([1, 2], { get: (target, key) => key === "0" ? changing(5, map) : Reflect.get(target, key) });
    assertSame(await within(pool.submit(echo<unknown>, list)), [{ before: 1, x: 5 }, 2]);
  });

  test(`${name}: values cross unchanged where a program gives all arrays or objects a toJSON()`, async () => {
    using pool = borrow(kind, 1);
    const values = [[1, [2, { a: "b" }]], { list: [1n, new Map([["k", [1]]])] }, new Error("e", { cause: [1] })];
    for (const prototype of [Array.prototype, Object.prototype]) {
      Object.defineProperty(prototype, "toJSON", { configurable: true, value: () => "changed" });
      try {
        for (const value of values) assertSame(await within(pool.submit(echo<unknown>, value)), value);
        assertEquals([...pool.map(echo<unknown>, values.slice(0, 1), { chunksize: 2 })], values.slice(0, 1));
        assertEquals((await within(pool.submit(repeat, "x", 300_000))).length, 300_000);
      } finally {
        delete (prototype as { toJSON?: unknown }).toJSON;
      }
    }
    if (kind.isRemote) return;
    // The same in a worker, for as long as it lives.
    await within(pool.submit((): void => {
      Object.defineProperty(Array.prototype, "toJSON", { configurable: true, value: () => "changed" });
    }));
    for (const value of values) assertSame(await within(pool.submit(echo<unknown>, value)), value);
    assertEquals([...pool.map(echo<unknown>, [[1], [2]], { chunksize: 2 })], [[1], [2]]);
    assertEquals((await within(pool.submit(repeat, "x", 300_000))).length, 300_000);
  });

  test(`${name}: a view that becomes longer with its buffer still does, and a fixed one does not`, async () => {
    using pool = borrow(kind, 1);
    for (const [length, most] of [[8, 16], [8, 8], [0, 8]]) {
      const buffer = new ArrayBuffer(length, { maxByteLength: most });
      const at = length / 2;
      const views = [
        new Uint8Array(buffer),
        new Uint8Array(buffer, 0, length),
        new Uint8Array(buffer, at),
        new DataView(buffer),
        new DataView(buffer, 0, length),
      ];
      const back = await within(pool.submit(echo<typeof views>, views));
      const sizes = (views: ArrayBufferView[], size: number) => {
        (views[0].buffer as ArrayBuffer).resize(size);
        return views.map((view) => {
          try {
            return [view.byteOffset, view.byteLength];
          } catch (error) {
            return (error as Error).name;
          }
        });
      };
      for (const size of [length, most, Math.max(0, length - 1), 0]) {
        assertEquals(sizes(back, size), sizes(views, size), `${length} of ${most} bytes, resized to ${size}`);
      }
    }
  });

  test(`${name}: every kind of value crosses there and back without a change`, async () => {
    using pool = borrow(kind, 1);
    const faults: string[] = [];
    const ways = ["blocked", "awaited"] as const;
    for (const [i, [what, value]] of Object.entries(VALUES).entries()) {
      try {
        // To and from another machine each takes some milliseconds of CPU.
        await assertRoundTrip(pool, value, what, kind.isRemote ? [ways[i % 2]] : ways);
      } catch (error) {
        faults.push(`${what}: ${(error as Error).message.slice(0, 500)}`);
      }
    }
    if (faults.length > 0) {
      fail(`${faults.length} of ${Object.keys(VALUES).length} values changed:\n${faults.join("\n")}`);
    }
    assertEquals(({} as Record<string, unknown>).polluted, undefined);
  });

  test(`${name}: the worker sees each value as it was given`, async () => {
    using pool = borrow(kind, 1);
    const faults: string[] = [];
    for (const [what, value] of Object.entries(VALUES)) {
      if (/Error|sparse|nested/.test(what)) continue; // stacks differ; the text is not all there is
      const seen = await within(pool.submit(inspect, value()));
      if (seen !== inspect(value())) {
        faults.push(`${what}: ${seen.slice(0, 200)} instead of ${inspect(value()).slice(0, 200)}`);
      }
    }
    assertEquals(faults, []);
  });

  test(`${name}: an argument repeated among the arguments is one object in the worker`, async () => {
    using pool = borrow(kind, 1);
    const shared = { n: 1 };
    await both(() => pool.submit(isSame, shared, shared), (same) => assertEquals(same, true));
    await both(() => pool.submit(isSame, shared, { n: 1 }), (same) => assertEquals(same, false));
    await both(() => pool.submit(list, shared, [shared]), ([a, b]) => assert((b as unknown[])[0] === a));
  });

  test(`${name}: two views of one buffer are still views of one buffer`, async () => {
    using pool = borrow(kind, 1);
    const views = () => {
      const { buffer } = new Uint8Array(64);
      return { a: new Uint8Array(buffer), b: new Uint8Array(buffer, 0, 8) };
    };
    await both(() => pool.submit(shareMemory, views()), (shared) => assertEquals(shared, true));
    await both(() => pool.submit(echo<ReturnType<typeof views>>, views()), (back) => {
      assertEquals(shareMemory(back), true);
    });
  });

  test(`${name}: strings and bytes of every size around that of a buffer cross whole`, async () => {
    using pool = borrow(kind, 1);
    // What is larger takes long on a network: `values of 10 MB there and back` sends some.
    for (const size of kind.isRemote ? SIZES.filter((size) => size <= 1_048_577) : SIZES) {
      const text = "0123456789abcdefghijklmnopqrstuvwxyz!".repeat(Math.ceil(size / 37)).slice(0, size);
      assert(pool.submit(echo<string>, text).result(5_000) === text, `a text of ${size}`);
      const bytes = new Uint8Array(size).map((_, i) => i * 31 + (i >> 8));
      assertSame(await within(pool.submit(echo<Uint8Array>, bytes)), bytes, `${size} bytes`);
    }
    const wide = "ü€😀\ud800".repeat(100_000);
    assert(await within(pool.submit(echo<string>, wide)) === wide, "a wide text");
  });

  test(`${name}: many values of mixed sizes, all under way at once, come back each to its own future`, async () => {
    using pool = borrow(kind, 2);
    await passMixedValues(pool, kind.isRemote ? 150 : 1_000);
  });

  test(`${name}: what structuredClone() leaves out without a word is left out, too, and nothing else`, async () => {
    using pool = borrow(kind, 1);
    const symbol = Symbol("key");
    const tag = (strings: TemplateStringsArray) => strings;
    const cases: Record<string, [whole: object, left: object, isGone: (back: object) => boolean]> = {
      "hidden property": [
        Object.defineProperty({ a: 1 }, "hidden", { value: 2 }),
        { a: 1 },
        (back) => !("hidden" in back),
      ],
      "raw of a tagged template": [tag`a\n`, ["a\n"], (back) => !("raw" in back)],
      "symbol key of an array": [Object.assign([1], { [symbol]: 2 }), [1], (back) => !(symbol in back)],
      "symbol key of a Map": [Object.assign(new Map(), { [symbol]: 2 }), new Map(), (back) => !(symbol in back)],
      "property of a typed array": [
        Object.assign(new Uint8Array(1), { extra: 2 }),
        new Uint8Array(1),
        (back) => !("extra" in back),
      ],
    };
    for (const [what, [whole, left, isGone]] of Object.entries(cases)) {
      const back = await within(pool.submit(echo<object>, whole));
      assertSame(back, left, what);
      assert(isGone(back) && isGone(structuredClone(whole)), what);
    }
  });

  /** The chunks of the library's choice, and others. */
  const CHUNKSIZES = [undefined, 1, 7, 60, 100];

  test(`${name}.map() gives each item objects of its own, whatever the chunks`, () => {
    using pool = borrow(kind, 1);
    const ones = Array(60).fill(1);
    for (const chunksize of CHUNKSIZES) {
      const shared = { n: 0 };
      const mixed = { n: 0, when: new Date(0) };
      const what = `chunksize ${chunksize}`;
      assertEquals([...pool.map(bump, Array(60).fill(shared), { chunksize })], ones, what);
      assertEquals([...pool.map(bump, Array(60).fill(mixed), { chunksize })], ones, `${what}, not plain`);
      const holders = ones.map((id) => ({ id, inner: shared }));
      assertEquals([...pool.map(bumpInner, holders, { chunksize })], ones, `${what}, inside of others`);
      assertEquals(shared, { n: 0 });
    }
  });

  test(`${name}.map() shares references within an item and never between items, whatever the chunks`, () => {
    using pool = borrow(kind, 1);
    const shared = { n: 0 };
    for (const chunksize of CHUNKSIZES) {
      const both = pool.map(bumpBoth, Array(60).fill(shared), Array(60).fill(shared), { chunksize });
      assertEquals([...both], Array(60).fill([true, 1]), `chunksize ${chunksize}`);
      const two = pool.map(bumpBoth, Array(60).fill(shared), Array.from({ length: 60 }, () => ({ n: 0 })), {
        chunksize,
      });
      assertEquals([...two], Array(60).fill([false, 1]), `chunksize ${chunksize}, not one`);
    }
  });

  test(`${name}.map() gives each item its own bytes, and no more of a buffer than alone, whatever the chunks`, () => {
    using pool = borrow(kind, 1);
    for (const chunksize of CHUNKSIZES) {
      const bytes = new Uint8Array(64);
      const repeated = pool.map(bumpBytes, Array(60).fill(bytes), { chunksize });
      assertEquals([...repeated], Array(60).fill([1, 64, 0]), `chunksize ${chunksize}`);
      const parts = Array.from({ length: 60 }, (_, i) => bytes.subarray(i, i + 4));
      assertEquals([...pool.map(bumpBytes, parts, { chunksize })], Array(60).fill([1, 4, 0]), `chunksize ${chunksize}`);
    }
  });

  test(`${name}.map() makes each result of its own, and the error too, whatever the chunks`, () => {
    using pool = borrow(kind, 1);
    const numbers = Array.from({ length: 60 }, (_, i) => i);
    for (const chunksize of CHUNKSIZES) {
      const results = [...pool.map(returnShared, numbers, { chunksize })];
      assertEquals(new Set(results).size, 60, `chunksize ${chunksize}`);
      assertEquals(new Set(results.map(({ when }) => when)).size, 60, `chunksize ${chunksize}, inside`);
      assertSame(results[59], { n: 0, when: new Date(0) });
      const held: unknown[] = [];
      try {
        for (const { held: one } of pool.map(holdShared, numbers, numbers.map(() => 50), { chunksize })) held.push(one);
      } catch (error) {
        held.push((error as { held: unknown }).held);
      }
      assertEquals([held.length, new Set(held).size], [51, 51], `chunksize ${chunksize}, up to an error`);
    }
  });

  const unread = kind.isRemote ? 20 : 60;
  test(`${name}: ${unread} results of 1 MiB that nobody reads stop nothing and are all there`, async () => {
    using pool = borrow(kind, 2);
    const futures = Array.from({ length: unread }, () => pool.submit(repeat, "x", 1 << 20));
    assertEquals(pool.submit(lengthOf, [1, 2, 3]).result(20_000), 3, "a later task gets through");
    for (const future of futures) assertEquals((await within(future)).length, 1 << 20);
  });
}

/** Values that the documentation does not name: they may be refused, but not changed. */
export const DOUBTFUL: Record<string, () => unknown> = {
  "object without a prototype": () => Object.assign(Object.create(null), { a: 1 }),
  "boxed number": () => Object(5),
  "boxed string": () => Object("text"),
  "boxed boolean": () => Object(false),
  "boxed bigint": () => Object(5n),
  "RegExp with lastIndex": () => Object.assign(/a/g, { lastIndex: 3 }),
  "object with a symbol key": () => ({ [Symbol.for("key")]: 1, a: 2 }),
  "array with a named property": () => Object.assign([1, 2], { name: "x" }),
  "Map with a property": () => Object.assign(new Map([[1, 2]]), { extra: 1 }),
  "Set with a property": () => Object.assign(new Set([1]), { extra: 1 }),
  "Date with a property": () => Object.assign(new Date(0), { extra: 1 }),
  "typed array with a property": () => Object.assign(new Uint8Array(2), { extra: 1 }),
  "subclass of Array": () => new (class Row extends Array<number> {})(1, 2, 3),
  "subclass of Map": () => new (class Index extends Map<number, number> {})([[1, 2]]),
  "subclass of Set": () => new (class Bag extends Set<number> {})([1]),
  "subclass of Date": () => new (class Day extends Date {})(0),
  "subclass of Uint8Array": () => new (class Bytes extends Uint8Array {})(3),
  "subclass of URL": () => new (class Link extends URL {})("http://a/"),
  "subclass of RegExp": () => new (class Pattern extends RegExp {})("a"),
  "DataView": () => new DataView(new Uint8Array([1, 2, 3]).buffer, 1),
  "resizable ArrayBuffer": () => new ArrayBuffer(4, { maxByteLength: 8 }),
  "view of a resizable buffer": () => new Uint8Array(new ArrayBuffer(4, { maxByteLength: 8 })),
  "Blob": () => new Blob(["text"]),
  "File": () => new File(["text"], "a.txt"),
  "URLSearchParams": () => new URLSearchParams("a=1"),
  "Headers": () => new Headers({ a: "1" }),
  "FormData": () => new FormData(),
  "DOMException": () => new DOMException("text", "AbortError"),
  "Intl.NumberFormat": () => new Intl.NumberFormat("en"),
  "WeakRef": () => new WeakRef({}),
  "arguments": () =>
    (function (..._: unknown[]) {
      return arguments;
    })(1, 2),
  "Math": () => Math,
  "object with an inherited property": () => Object.assign(Object.create({ inherited: 1 }), { own: 2 }),
  "iterator": () => [1, 2].values(),
  "CryptoKey-like": () => crypto.subtle,
  "nested 20,000 deep": () => nested(20_000),
  "array without a prototype": () => Object.setPrototypeOf([1, 2], null),
  "array that says it is an object": () => Object.setPrototypeOf([1, 2], Object.prototype),
  "list with a key beyond its items": () => Object.assign([1], { "4294967295": 2 }),
  "buffer with a property": () => Object.assign(new ArrayBuffer(2), { extra: 1 }),
  "DataView of a resizable buffer": () => new DataView(new ArrayBuffer(4, { maxByteLength: 8 }), 1),
};
