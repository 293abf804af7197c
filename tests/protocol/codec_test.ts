/**
 * The codec and its payloads, at the limits of each way that a value can go.
 *
 * Over 400 lines: the limits of each encoding, a list.
 */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { SerializationError, transfer } from "@concurrent/futures";
import { EMPTY, Encoded, Encoding } from "../../executors/_values/encoded.ts";
import {
  decodeArguments,
  decodeItems,
  decodeValue,
  encodeArguments,
  encodeItems,
  encodeValue,
} from "../../executors/_values/codec.ts";
import { encodeOutcome } from "../../executors/_values/outcome.ts";
import type { EncodeOptions } from "../../executors/_values/_graph_writer.ts";
import { Memory } from "../../executors/_values/memory.ts";
import { test, thrownBy } from "../_helpers.ts";

const RESULT: EncodeOptions = { root: "result", sameProcess: true };
const ARGS: EncodeOptions = { root: "args", sameProcess: true };
const ERROR: EncodeOptions = { root: "error", sameProcess: true };

/** Sends a payload through shared memory, at an odd multiple of 8, with other bytes around it. */
function through(payload: Encoded): Encoded {
  const before = 8 * 5;
  const after = 64;
  const memory = new Memory(new SharedArrayBuffer(before + payload.room + after));
  memory.bytes.fill(0xA5);
  payload.sharedIds = payload.shared.map((_, i) => i + 7);
  const byteLength = payload.write(memory, before);
  assert(byteLength <= payload.room, `${byteLength} bytes, ${payload.room} were asked for`);
  assert(memory.bytes.subarray(0, before).every((byte) => byte === 0xA5), "bytes before are untouched");
  assert(memory.bytes.subarray(before + payload.room).every((byte) => byte === 0xA5), "bytes after are untouched");
  const read = Encoded.read(payload.encoding, memory, before, byteLength);
  assertEquals(read.sharedIds, payload.sharedIds);
  read.shared = payload.shared;
  // Something else uses the memory before the value is decoded.
  memory.bytes.fill(0x5A);
  return read;
}

// deno-lint-ignore no-explicit-any
function there(value: unknown, encoding?: number): any {
  const payload = encodeValue(value, RESULT);
  if (encoding !== undefined) assertEquals(payload.encoding, encoding, "the way that it goes");
  return decodeValue(through(payload));
}

function refusal(value: unknown, options: EncodeOptions = RESULT): SerializationError {
  const error = thrownBy(() =>
    options.root === "args" ? encodeArguments(value as unknown[], options) : encodeValue(value, options)
  );
  assertInstanceOf(error, SerializationError);
  return error;
}

// ---- ways ---------------------------------------------------------------------------------------------------------

test("encodeValue() sends nothing for undefined, and 8 bytes for any number", () => {
  assertStrictEquals(encodeValue(undefined, RESULT), EMPTY);
  assertStrictEquals(there(undefined, Encoding.NONE), undefined);
  for (const number of [0, -0, 1, -1, 0.1, NaN, Infinity, -Infinity, 2 ** 53, Number.MIN_VALUE, Number.MAX_VALUE]) {
    assertStrictEquals(there(number, Encoding.NUMBER), number);
  }
});

test("encodeArguments() tells no arguments, undefined, one number and a list apart", () => {
  for (const args of [[], [undefined], [null], [1], [-0], [NaN], [[1]], [1, 2], [undefined, undefined], [[]], ["1"]]) {
    assertEquals(decodeArguments(through(encodeArguments(args, ARGS))), args);
  }
});

test("encodeValue() sends a text as it is, unless UTF-8 cannot say it", () => {
  for (const text of ["", "x", '"', "\u{10ffff}", "\ufeffx"]) assertStrictEquals(there(text, Encoding.TEXT), text);
  for (const text of ["\ud800", "a\udc00b", "\udc00\ud800"]) assertStrictEquals(there(text, Encoding.JSON), text);
});

test("encodeValue() sends a lone buffer, or a lone view, as it is", () => {
  const { buffer } = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(there(buffer, Encoding.BYTES), buffer);
  assertEquals(there(new ArrayBuffer(0), Encoding.BYTES), new ArrayBuffer(0));
  for (
    const view of [
      new Uint8Array(buffer),
      new Uint16Array(buffer, 2, 2),
      new DataView(buffer, 1, 3),
      new Float64Array(buffer),
    ]
  ) {
    const back = there(view, Encoding.BYTES);
    assertStrictEquals(back.constructor, view.constructor);
    // Only the part that the view shows.
    assertEquals(back.buffer, buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
    assertEquals([back.byteOffset, back.byteLength], [0, view.byteLength]);
  }
  const resizable = new Uint8Array(new ArrayBuffer(2, { maxByteLength: 4 }));
  assertStrictEquals(there(resizable, Encoding.GRAPH).buffer.maxByteLength, 4);
  class Own extends Uint8Array {}
  assertStrictEquals(refusal(new Own(2)).path, "result");
  assertStrictEquals(refusal(new Proxy(new Uint8Array(2), {})).path, "result");
});

test("decodeValue() makes views of the known classes only", () => {
  for (const name of ["Function", "Worker", "__proto__", "constructor", "toString"]) {
    const error = thrownBy(() => decodeValue(new Encoded(Encoding.BYTES, name, 0, [new ArrayBuffer(8)])));
    assertInstanceOf(error, SerializationError);
    assertStringIncludes(error.message, `Cannot read an unknown view of a buffer: ${JSON.stringify(name)}`);
  }
});

/** All items of a chunk. */
function itemsOf(payload: Encoded): unknown[] {
  const { length, get } = decodeItems(payload);
  return Array.from({ length }, (_, i) => get(i));
}

test("encodeItems() sends numbers as they are, and everything else as a list", () => {
  for (const items of [[1], [1.5, -0, NaN, Infinity, 2 ** 53]]) {
    const payload = encodeItems(items, ARGS);
    assertStrictEquals(payload.encoding, Encoding.NUMBERS);
    assertEquals(itemsOf(through(payload)), items);
    const outcome = encodeOutcome([items], true);
    assertStrictEquals(outcome.encoding, Encoding.NUMBERS);
    assertEquals(decodeValue(through(outcome)), [items]);
  }
  for (const items of [[], ["a", "b"], [1, undefined], [1n, 2], [[1], { a: 1 }]]) {
    assertEquals(itemsOf(through(encodeItems(items, ARGS))), items);
    assertEquals(decodeValue(through(encodeOutcome([items], true))), [items]);
  }
  assertEquals(decodeValue(through(encodeOutcome([[1, 2], "error"], true))), [[1, 2], "error"]);
});

test("encodeValue() uses JSON for plain values, and only where that loses nothing", () => {
  for (
    const value of [
      null,
      true,
      "\ud800",
      "x\udfff",
      [],
      {},
      [1, "2", [null]],
      { a: { b: [1.5] }, "": 0 },
      JSON.parse('{"__proto__":1}'),
    ]
  ) {
    assertEquals(there(value, Encoding.JSON), value);
  }
  const shared = {};
  const hidden = Object.defineProperty({}, "x", { value: 1 });
  for (
    const value of [[-0], [NaN], [Infinity], [undefined], { a: undefined }, [, 1], 1n, Object.create(null), [
      shared,
      shared,
    ]]
  ) {
    assertEquals(there(value, Encoding.GRAPH), value);
  }
  assert(encodeValue(hidden, RESULT).encoding !== Encoding.JSON, "a hidden property shows");
  assertStrictEquals(there([-0])[0], -0);
  const holes = there([, 1]);
  assert(!(0 in holes) && holes.length === 2);
});

test("encodeValue() takes what a class makes that a task has put in the place of a global one", () => {
  const { Date: RealDate, Uint8Array: RealBytes } = globalThis;
  const before = new RealDate(5);
  try {
    globalThis.Date = class Clock extends RealDate {} as DateConstructor;
    globalThis.Uint8Array = class Bytes extends RealBytes {} as Uint8ArrayConstructor;
    assertStrictEquals(there(new Date(7), Encoding.GRAPH).getTime(), 7);
    assertStrictEquals(there(before, Encoding.GRAPH).getTime(), 5);
    assertEquals([...there([1n, new Uint8Array(2)])[1]], [0, 0]);
  } finally {
    Object.assign(globalThis, { Date: RealDate, Uint8Array: RealBytes });
  }
});

// ---- texts --------------------------------------------------------------------------------------------------------

const LENGTHS = [0, 1, 29, 30, 31, 32, 33, 34, 4093, 4094, 4095, 4096, 4097, 8193];

for (const [name, unit] of [["ASCII", "a"], ["two bytes", "é"], ["three bytes", "字"], ["four bytes", "😀"]]) {
  test(`a text of ${name} crosses at every length around the limits, alone and inside other ways`, () => {
    for (const length of LENGTHS) {
      const text = unit.repeat(length).slice(0, length);
      assertStrictEquals(there(text, text.isWellFormed() ? Encoding.TEXT : Encoding.JSON), text);
      assertEquals(there([text, 1n], Encoding.GRAPH), [text, 1n]);
      assertEquals(there({ [text]: text }), { [text]: text });
      // The text of the payload itself, without quotes.
      if (text.isWellFormed()) assertStrictEquals(through(new Encoded(Encoding.JSON, text)).text, text);
    }
  });
}

test("a character of several bytes crosses at each position of a text around the limit of short ones", () => {
  for (const length of [1, 5, 29, 30, 31, 32, 33]) {
    for (
      const character of [
        "\u007f",
        "\u0080",
        "ÿ",
        "Ā",
        "\u07ff",
        "\u0800",
        "\ufeff",
        "\uffff",
        "\u{10000}",
        "\u{10ffff}",
        "\0",
        '"',
        "\\",
        "\n",
      ]
    ) {
      for (let i = 0; i < length; i++) {
        const text = "a".repeat(i) + character + "b".repeat(length - i - 1);
        assertStrictEquals(there(text), text);
        assertStrictEquals(there([text, 1n])[0], text);
      }
    }
  }
});

test("lone surrogates cross unchanged, at each position and in each way", () => {
  for (const lone of ["\ud800", "\udbff", "\udc00", "\udfff", "\udc00\ud800"]) {
    for (const length of [1, 30, 31, 32, 33, 5000]) {
      for (const i of new Set([0, 1, length >> 1, length - 1])) {
        const text = "a".repeat(i) + lone + "b".repeat(Math.max(0, length - i - 1));
        assertStrictEquals(there(text), text);
        assertStrictEquals(there([text, 1n])[0], text);
        assertStrictEquals(Object.keys(there({ [text]: 1n }))[0], text);
        assertStrictEquals((there(new Error(text)) as Error).message, text);
        assertStrictEquals([...there(new Map([[text, 1]])).keys()][0], text);
      }
    }
  }
});

test("texts over 1 MiB cross, and shorter ones after them", () => {
  for (const length of [2 ** 20 - 3, 2 ** 20 - 2, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20, 10, 5000]) {
    const text = "é".repeat(length >> 1) + "x".repeat(length - (length >> 1));
    assert(there(text) === text, `text of ${length}`);
    assert(there([text, 1n])[0] === text, `text of ${length} beside others`);
  }
});

// ---- buffers ------------------------------------------------------------------------------------------------------

test("buffers and views of no bytes cross", () => {
  assertEquals(there(new ArrayBuffer(0)), new ArrayBuffer(0));
  assertEquals(there(new Uint8Array(0)), new Uint8Array(0));
  assertEquals(there(new Float64Array(new ArrayBuffer(8), 8, 0)), new Float64Array(0));
  const [a, b, c] = there([new ArrayBuffer(0), new Uint8Array([1]), new DataView(new ArrayBuffer(0))]);
  assertEquals([a.byteLength, b, c.byteLength], [0, new Uint8Array([1]), 0]);
});

test("buffers of any length keep their bytes and their order beside each other", () => {
  const buffers = Array.from({ length: 40 }, (_, i) => new Uint8Array(i).fill(i + 1));
  assertEquals(there(buffers), buffers);
  assertEquals(there(["é".repeat(13), ...buffers, "x"]), ["é".repeat(13), ...buffers, "x"]);
});

test("views that share a buffer still do, whatever their order and parts", () => {
  const buffer = Uint8Array.from({ length: 32 }, (_, i) => i).buffer;
  const make = [
    () => new Uint8Array(buffer),
    () => new Uint8Array(buffer, 4, 8),
    () => new Int16Array(buffer, 8, 4),
    () => new DataView(buffer, 3, 5),
    () => buffer,
  ];
  for (const first of make) {
    for (const second of make) {
      const values = [first(), second()];
      if (values[0] === values[1]) continue;
      const [a, b] = there(values);
      assertEquals([a, b], values);
      const bufferOf = (thing: ArrayBuffer | ArrayBufferView) => thing instanceof ArrayBuffer ? thing : thing.buffer;
      assertStrictEquals(bufferOf(a), bufferOf(b), "they still share it");
    }
  }
});

test("a partial view takes only its part, and is none of the caller's memory", () => {
  const large = new Uint8Array(2 ** 20);
  const view = large.subarray(1001, 1011).fill(7);
  const payload = encodeValue([view, 1n], RESULT);
  assert(payload.room < 1000, `${payload.room} bytes for 10`);
  view.fill(8);
  assertEquals(decodeValue(through(payload)), [new Uint8Array(10).fill(7), 1n]);
});

test("shared memory crosses as itself, also under several views", () => {
  const memory = new SharedArrayBuffer(16);
  const [a, b, c] = there([memory, new Int32Array(memory, 4, 2), new Uint8Array(memory)]);
  assertStrictEquals(a, memory);
  assertStrictEquals(b.buffer, memory);
  assertEquals([b.byteOffset, b.length], [4, 2]);
  assertStrictEquals(c.buffer, memory);
});

// ---- references ---------------------------------------------------------------------------------------------------

test("references that are shared or cyclic stay so through errors, __proto__ objects and collections", () => {
  const error = new Error("outer") as Error & { self: unknown; also: unknown };
  const cause = new TypeError("inner", { cause: error });
  error.cause = cause;
  error.self = error;
  error.also = cause;
  const arrived = there(error, Encoding.GRAPH);
  assertStrictEquals(arrived.self, arrived);
  assertStrictEquals(arrived.cause, arrived.also);
  assertStrictEquals(arrived.cause.cause, arrived);

  const proto = JSON.parse('{"__proto__":{"x":1}}');
  proto.self = proto;
  proto.error = Object.assign(new Error("e"), { proto });
  const [one, two] = there([proto, proto]);
  assertStrictEquals(one, two);
  assertStrictEquals(one.self, one);
  assertStrictEquals(one.error.proto, one);
  assertStrictEquals(Object.getPrototypeOf(one), Object.prototype);
  assertEquals(Object.getOwnPropertyDescriptor(one, "__proto__")?.value, { x: 1 });

  const map = new Map<unknown, unknown>();
  map.set(map, new Set([map, error]));
  const copy = there(map);
  const [[key, set]] = copy;
  assertStrictEquals(key, copy);
  assertStrictEquals([...set][0], copy);
});

test("references between arguments stay", () => {
  const shared = { x: 1 };
  const [a, b] = decodeArguments(through(encodeArguments([shared, [shared]], ARGS))) as [unknown, unknown[]];
  assertStrictEquals(a, b[0]);
});

// ---- refusals -----------------------------------------------------------------------------------------------------

test("a value nested 100,000 deep is refused, and nothing crashes", () => {
  const makers: { [name: string]: (inner: unknown) => unknown } = {
    arrays: (inner) => [inner],
    objects: (inner) => ({ inner }),
    maps: (inner) => new Map([[1, inner]]),
    "objects without a prototype": (inner) => Object.assign(Object.create(null), { inner }),
    errors: (inner) => new Error("e", { cause: inner }),
    "__proto__ objects": (inner) => Object.defineProperty({}, "__proto__", { value: inner, enumerable: true }),
  };
  for (const [name, make] of Object.entries(makers)) {
    let value: unknown = 1n;
    let plain: unknown = 1;
    // V8 takes twenty times as long for an error.
    for (let i = 0; i < (name === "errors" ? 20_000 : 100_000); i++) {
      value = make(value);
      if (name === "arrays" || name === "objects") plain = make(plain);
    }
    for (const options of [RESULT, ARGS]) {
      for (const deep of plain === 1 ? [value] : [value, plain]) {
        const error = refusal(options === ARGS ? [deep] : deep, options);
        assertStrictEquals(error.path, options.root, name);
        assert(/too deep/.test(error.message), `${name}: ${error.message}`);
      }
    }
  }
});

test("whatever depth is not refused can be decoded, or fails with an error that can be caught", () => {
  for (
    const make of [
      (inner: unknown) => [inner],
      (inner: unknown) => ({ inner, n: 1n }),
      (inner: unknown) => new Map([[1, inner]]),
    ]
  ) {
    for (let depth = 100; depth < 30_000; depth = Math.floor(depth * 1.3)) {
      let value: unknown = 1;
      for (let i = 0; i < depth; i++) value = make(value);
      try {
        decodeValue(encodeValue(value, RESULT));
      } catch (error) {
        assert(error instanceof SerializationError || error instanceof RangeError, String(error));
        break;
      }
    }
  }
});

test("a thrown error with a chain of causes is looked at about as often as it is long", () => {
  const LENGTH = 12;
  let reads = 0;
  let error: Error = Object.defineProperty(new Error("innermost"), "detail", { enumerable: true, get: () => ++reads });
  for (let i = 0; i < LENGTH; i++) error = new Error(`outer ${i}`, { cause: error });
  const arrived = decodeValue(encodeValue(error, ERROR)) as Error;
  assertStrictEquals(arrived.message, `outer ${LENGTH - 1}`);
  assert(reads <= LENGTH * LENGTH, `the innermost was looked at ${reads} times in a chain of ${LENGTH}`);
});

test("a thrown error names what it leaves out by the beginning of a path that is too long to be read", () => {
  const error = new Error("deep");
  let deep: { in?: object } = Object.assign(error, { field: {} }).field;
  for (let i = 0; i < 20_000; i++) deep = deep.in = {};
  const { stack } = decodeValue(through(encodeValue(error, { root: "error", sameProcess: true }))) as Error;
  assert(/\[left out: field\.in\.in(\.in)+\.?i?n?…\]$/.test(stack!), stack!.slice(-100));
  assert(stack!.length < error.stack!.length + 300, `${stack!.length} characters`);
});

test("a refusal names the path from the root, through each kind of container", () => {
  const f = () => {};
  const cases: [unknown, string][] = [
    [f, "result"],
    [[1, f], "result[1]"],
    [{ a: { b: [0, f] } }, "result.a.b[1]"],
    [{ "a b": f }, 'result["a b"]'],
    [{ "": f }, 'result[""]'],
    [new Map([["k", f]]), 'result.get("k")'],
    [Object.assign(new Error("e"), { detail: { f } }), "result.detail.f"],
    [new Error("e", { cause: [f] }), "result.cause[0]"],
    [new (class Own {})(), "result"],
    [[Symbol("s")], "result[0]"],
    [[new WeakMap()], "result[0]"],
    [[Promise.resolve()], "result[0]"],
  ];
  for (const [value, path] of cases) {
    assertStrictEquals(refusal(value).path, path, Deno.inspect(value));
  }
  assertStrictEquals(refusal([1, { f }], ARGS).path, "args[1].f");
  const own = JSON.parse('{"__proto__":{"deep":1}}');
  own.f = f;
  assert(refusal([own], ARGS).path.startsWith("args[0]"));
});

test("a getter that throws is named in the refusal", () => {
  const value = {
    get x(): never {
      throw new RangeError("no");
    },
  };
  const error = refusal([value]);
  assertStrictEquals(error.path, "result[0].x");
  assert(error.message.includes("no"), error.message);
});

test("a view whose buffer a getter detaches is refused, as one of a detached buffer", () => {
  const bytes = new Uint8Array(8).subarray(2, 4);
  const error = refusal([bytes, {
    get then() {
      bytes.buffer.transfer();
      return new Map();
    },
  }]);
  assertStrictEquals(error.path, "result[0]");
  assert(error.message.includes("a view of a detached ArrayBuffer"), error.message);
});

// ---- items --------------------------------------------------------------------------------------------------------

test("encodeItems() writes once what items share, and decodeItems() makes it for each when it is wanted", () => {
  const shared = { list: Array.from({ length: 1000 }, (_, i) => i) };
  const alone = encodeItems([shared, 1n], ARGS).room;
  const payload = encodeItems(Array.from({ length: 1000 }, (_, i) => ({ i, shared, again: shared })), ARGS);
  assert(payload.room < alone + 1000 * 200, `${payload.room} bytes for 1,000 items, ${alone} for one`);
  const { length, get } = decodeItems(through(payload));
  assertStrictEquals(length, 1000);
  const [a, b, again] = [get(7), get(8), get(7)] as { i: number; shared: typeof shared; again: unknown }[];
  assertEquals([a, b, again].map(({ i }) => i), [7, 8, 7]);
  assertEquals(a.shared, shared);
  assertStrictEquals(a.shared, a.again);
  assert(a.shared !== b.shared && a.shared !== again.shared, "each has its own");
  a.shared.list.push(5);
  assertEquals((get(9) as typeof a).shared, shared);

  const bytes = new Uint8Array(100_000);
  const views = encodeItems(Array(100).fill(bytes), ARGS);
  assert(views.room < 2 * bytes.length, `${views.room} bytes for 100 times the same`);
  const copies = decodeItems(through(views));
  const [first, second] = [copies.get(0), copies.get(1)] as Uint8Array[];
  first[0] = 1;
  assertEquals([second[0], (copies.get(2) as Uint8Array)[0]], [0, 0]);
});

test("encodeItems() keeps shared memory shared between items", () => {
  const memory = new SharedArrayBuffer(8);
  const { get } = decodeItems(through(encodeItems([memory, { memory, list: [1n] }, new Uint8Array(memory)], ARGS)));
  assertStrictEquals(get(0), memory);
  assertStrictEquals((get(1) as { memory: unknown }).memory, memory);
  assertStrictEquals((get(2) as Uint8Array).buffer, memory);
});

test("encodeItems() sends of each item's buffer what that item shows, unless it shows more than one part", () => {
  const buffer = Uint8Array.from({ length: 32 }, (_, i) => i).buffer;
  const part = (at: number) => new Uint8Array(buffer, at, 4);
  const { get } = decodeItems(through(encodeItems([part(0), part(8), [part(12)], part(8)], ARGS)));
  assertEquals([get(0), get(1), get(2), get(3)], [part(0), part(8), [part(12)], part(8)]);
  for (const i of [0, 1, 3]) assertStrictEquals((get(i) as Uint8Array).buffer.byteLength, 4);
  const both = decodeItems(through(encodeItems([[part(0), part(8)], part(4)], ARGS)));
  const [a, b] = both.get(0) as Uint8Array[];
  assertStrictEquals(a.buffer, b.buffer);
  assertEquals([a, b, both.get(1)], [part(0), part(8), part(4)]);
  const view = part(16);
  const after = decodeItems(through(encodeItems([view, { view, buffer }], ARGS)));
  const held = after.get(1) as { view: Uint8Array; buffer: ArrayBuffer };
  assertStrictEquals(held.view.buffer, held.buffer);
  assertEquals(after.get(0), part(16));
  const beside = decodeItems(through(encodeItems([view, [view, part(20)]], ARGS)));
  const [one, other] = beside.get(1) as Uint8Array[];
  assertStrictEquals(one.buffer, other.buffer);
  assertEquals([one, other], [part(16), part(20)]);
});

test("encodeItems() keeps an item's views of one buffer together, also those in objects of earlier items", () => {
  const buffer = Uint8Array.from({ length: 32 }, (_, i) => i).buffer;
  const part = (at: number) => new Uint8Array(buffer, at, 4);
  const [a, b] = [{ deep: new Map([["view", part(0)]]) }, { list: [part(8)] }];
  const { get } = decodeItems(through(encodeItems([a, [b], { a, view: part(4) }, { a, b }, a, [part(12), a]], ARGS)));
  const viewOf = (of: unknown) => (of as typeof a).deep.get("view")!;
  const own = get(2) as { a: typeof a; view: Uint8Array };
  assertStrictEquals(viewOf(own.a).buffer, own.view.buffer);
  const both = get(3) as { a: typeof a; b: typeof b };
  assertStrictEquals(viewOf(both.a).buffer, both.b.list[0].buffer);
  const last = get(5) as [Uint8Array, typeof a];
  assertStrictEquals(last[0].buffer, viewOf(last[1]).buffer);
  assertEquals([viewOf(get(0)), own.view, both.b.list[0], last[0]], [part(0), part(4), part(8), part(12)]);
});

test("encodeItems() refuses a buffer that moves with two items, and leaves it where it was", () => {
  const bytes = new Uint8Array(4);
  const holder = { list: [bytes] };
  const moving = transfer(bytes, [bytes.buffer]);
  for (const items of [[moving, moving], [transfer(holder, [bytes.buffer]), [holder]], [holder, [holder], moving]]) {
    assertInstanceOf(thrownBy(() => encodeItems(items, ARGS)), SerializationError);
    assertStrictEquals(bytes.length, 4);
  }
});

test("encodeOutcome() makes each result, and the error, of its own", () => {
  const shared = { n: 1 };
  const error = Object.assign(new Error("e"), { shared });
  const [results, arrived] = decodeValue(
    through(encodeOutcome([[shared, [shared, shared], shared], error], true)),
  ) as [
    [typeof shared, (typeof shared)[], typeof shared],
    typeof error,
  ];
  assertEquals(results, [shared, [shared, shared], shared]);
  assertStrictEquals(results[1][0], results[1][1]);
  assertStrictEquals(new Set([results[0], results[1][0], results[2], arrived.shared]).size, 4);
  assertEquals([arrived.message, arrived.shared], ["e", shared]);
});

// ---- time and garbage ---------------------------------------------------------------------------------------------

test("thrown errors that all refer to one thing that cannot cross are written twice, not once for each", () => {
  let reads = 0;
  const fault = {
    get handler() {
      reads++;
      return () => 1;
    },
  };
  const list = Array.from({ length: 500 }, (_, i) => Object.assign(new Error(`${i}`), { fault, i }));
  const arrived = decodeValue(encodeValue(new AggregateError(list, "all"), ERROR)) as AggregateError;
  assertEquals(arrived.errors.map(({ i }) => i), list.map(({ i }) => i));
  assert(arrived.errors.every((error) => !("fault" in error) && error.stack.includes("[left out: fault.handler]")));
  assert(reads <= 2, `looked at ${reads} times`);
});

test("decodeValue() and decodeItems() say of what is no value that it cannot be read", () => {
  const garbage = [
    "",
    "1",
    "{}",
    "[]",
    "[0]",
    "[0,[0]]",
    "[0,[7]]",
    "[0,[0],99,1]",
    '[0,["x"]]',
    '[0,[0],1,{"__proto__":[0]}]',
    '[0,[0],9,["(","",0]]',
    '[0,[0],10,"no URL"]',
    '[0,[0],13,["constructor","x"]]',
    '[0,[0],15,["Function",[1],0,1],14,[0]]',
    '[0,[0],15,["Uint8Array",[0],0,1]]',
    "[0,[0],14,[5,8]]",
    "[0,[0],18,0]",
    "[1,[0],0,5]",
  ];
  for (const text of garbage) {
    const payload = new Encoded(Encoding.GRAPH, text);
    const read = [() => decodeValue(payload), () => {
      const { length, get } = decodeItems(payload);
      for (let i = 0; i <= length; i++) get(i);
    }];
    const errors = read.map((read) => {
      try {
        return void read();
      } catch (error) {
        return error;
      }
    });
    for (const error of errors) if (error !== undefined) assertInstanceOf(error, SerializationError, text);
    assert(errors.some((error) => error !== undefined), text);
  }
  for (const encoding of [Encoding.JSON, Encoding.CLONE]) {
    assertInstanceOf(thrownBy(() => decodeValue(new Encoded(encoding, "{"))), SerializationError);
    assertInstanceOf(thrownBy(() => decodeItems(new Encoded(encoding, "{"))), SerializationError);
  }
  const withPrototype = new Encoded(Encoding.GRAPH, '[0,[0],1,{"__proto__":[1]},1,{"polluted":1}]');
  assertStringIncludes(String(thrownBy(() => decodeValue(withPrototype))), "an invalid key of an object: __proto__");
  assertEquals(({} as { polluted?: unknown }).polluted, undefined);
});

test("a graph of 200,000 objects is written and read in time that grows with it", () => {
  const time = (length: number) => {
    const nodes = Array.from({ length }, (_, i) => ({ i, next: undefined as unknown, seen: new Set([i]) }));
    for (const [i, node] of nodes.entries()) node.next = nodes[(i * 7919) % length];
    const start = performance.now();
    const back = decodeValue(encodeValue(nodes, RESULT)) as typeof nodes;
    assertStrictEquals(back[5].next, back[(5 * 7919) % length]);
    return performance.now() - start;
  };
  time(1000);
  const [short, long] = [time(10_000), time(100_000)];
  assert(long < short * 40 + 1000, `${short} ms and ${long} ms`);
});
