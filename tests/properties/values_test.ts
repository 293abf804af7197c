/** Any value comes back as it was. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { BOUND, test, within } from "../_helpers.ts";
import { assertSame } from "../_same.ts";
import {
  type ChunkOutcome,
  decodeItems,
  decodeValue,
  encodeItems,
  encodeValue,
} from "../../executors/_values/codec.ts";
import { encodeOutcome } from "../../executors/_values/outcome.ts";
import { list } from "../fixtures/tasks.ts";
import { holds, key, KINDS, leaf, text, withPool } from "./_kit.ts";

// A list of nodes describes a value. They refer to each other by number, so any reference may be repeated, or lead
// back.

type Ref = { leaf: unknown } | { node: number };

type Node =
  | { type: "object"; entries: [string, Ref][] }
  | { type: "array"; items: (Ref | null)[]; holes: number }
  | { type: "map"; entries: [Ref, Ref][] }
  | { type: "set"; items: Ref[] }
  | { type: "error"; class: number; message: string; cause: Ref | null; fields: [string, Ref][]; errors: Ref[] }
  | { type: "other"; make: () => object }
  | { type: "view"; class: number; buffer: number; at: number; length: number };

const ERRORS = [Error, TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError, AggregateError];
const VIEWS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float16Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];
const BYTES = 64;

/** Whether a key is one character that JSON writes as several. */
function isEscaped(name: string): boolean {
  return name.length === 1 && JSON.stringify(name).length > 3;
}

const ref: fc.Arbitrary<Ref> = fc.oneof(leaf.map((leaf) => ({ leaf })), fc.nat(20).map((node) => ({ node })));

const other: fc.Arbitrary<() => object> = fc.oneof(
  fc.date({ noInvalidDate: false }).map((date) => () => new Date(date)),
  fc.tuple(
    fc.constantFrom("a(b)?", "\\/", "\\n", "", "\\u{1F600}"),
    fc.subarray(["d", "g", "i", "m", "s", "y"]),
    fc.constantFrom("u", "v", ""),
  )
    .map(([source, flags, unicode]) => () => new RegExp(source, flags.join("") + unicode)),
  fc.webUrl({ withQueryParameters: true, withFragments: true }).map((url) => () => new URL(url)),
  fc.uint8Array({ minLength: BYTES, maxLength: BYTES }).map((bytes) => () => bytes.slice().buffer),
);

const node: fc.Arbitrary<Node> = fc.oneof(
  fc.record({
    type: fc.constant("object"),
    entries: fc.array(fc.tuple(key, ref), { maxLength: 5 }),
  }),
  fc.record({
    type: fc.constant("array"),
    items: fc.array(fc.option(ref, { freq: 6 }), { maxLength: 5 }),
    holes: fc.oneof(fc.constant(0), fc.nat(2_000)),
  }),
  fc.record({ type: fc.constant("map"), entries: fc.array(fc.tuple(ref, ref), { maxLength: 4 }) }),
  fc.record({ type: fc.constant("set"), items: fc.array(ref, { maxLength: 4 }) }),
  fc.record({
    type: fc.constant("error"),
    class: fc.nat(ERRORS.length - 1),
    message: text,
    cause: fc.option(ref),
    fields: fc.array(fc.tuple(fc.constantFrom("code", "detail", "a-b", "0"), ref), { maxLength: 2 }),
    errors: fc.array(ref, { maxLength: 3 }),
  }),
  fc.record({ type: fc.constant("other"), make: other }),
  fc.record({
    type: fc.constant("view"),
    class: fc.nat(VIEWS.length - 1),
    buffer: fc.nat(20),
    at: fc.nat(BYTES / 8),
    length: fc.nat(BYTES / 8),
  }),
) as fc.Arbitrary<Node>;

const graph: fc.Arbitrary<Node[]> = fc.array(node, { minLength: 1, maxLength: 8 });

/** Makes the value that a list of nodes describes. */
function build(nodes: readonly Node[]): unknown {
  return buildAll(nodes)[0];
}

/** Makes what each of the nodes describes. */
function buildAll(nodes: readonly Node[]): object[] {
  const made = nodes.map((node) => create(node)) as object[];
  const buffers = made.filter((object) => object instanceof ArrayBuffer);
  for (const [i, node] of nodes.entries()) {
    if (node.type !== "view") continue;
    const View = VIEWS[node.class];
    const buffer = buffers[node.buffer % Math.max(1, buffers.length)] ?? new ArrayBuffer(BYTES);
    const longest = (BYTES - node.at * 8) / View.BYTES_PER_ELEMENT;
    made[i] = new View(buffer, node.at * 8, Math.min(node.length, longest));
  }
  const valueOf = (ref: Ref) => "leaf" in ref ? ref.leaf : made[ref.node % made.length];
  for (const [i, node] of nodes.entries()) fill(made[i], node, valueOf);
  return made;
}

function create(node: Node): object | undefined {
  switch (node.type) {
    case "object":
      return {};
    case "array":
      return [];
    case "map":
      return new Map();
    case "set":
      return new Set();
    case "error": {
      const Class = ERRORS[node.class];
      return Class === AggregateError
        ? new AggregateError([], node.message)
        : new (Class as typeof Error)(node.message);
    }
    case "other":
      return node.make();
  }
}

function fill(object: object, node: Node, valueOf: (ref: Ref) => unknown): void {
  const define = (name: string, ref: Ref, enumerable = true) =>
    Object.defineProperty(object, name, { value: valueOf(ref), enumerable, writable: true, configurable: true });
  if (node.type === "object") { for (const [name, ref] of node.entries) define(name, ref); }
  else if (node.type === "array") {
    for (const [i, ref] of node.items.entries()) if (ref !== null) define(String(i), ref);
    (object as unknown[]).length = node.items.length + node.holes;
  } else if (node.type === "map") {
    for (const [key, value] of node.entries) (object as Map<unknown, unknown>).set(valueOf(key), valueOf(value));
  } else if (node.type === "set") { for (const ref of node.items) (object as Set<unknown>).add(valueOf(ref)); }
  else if (node.type === "error") {
    if (node.cause !== null) define("cause", node.cause, false);
    for (const [name, ref] of node.fields) define(name, ref);
    if (object instanceof AggregateError) object.errors.push(...node.errors.map(valueOf));
  }
}

/** The objects of a value, and the memory among them. */
function reach(value: unknown): { seen: Set<unknown>; memory: (ArrayBuffer | ArrayBufferView)[] } {
  const memory: (ArrayBuffer | ArrayBufferView)[] = [];
  const seen = new Set<unknown>();
  const visit = (value: unknown) => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) memory.push(value);
    else if (value instanceof Map) [...value].flat().forEach(visit);
    else if (value instanceof Set) [...value].forEach(visit);
    else {for (const name of Object.getOwnPropertyNames(value).sort()) {
        visit((value as { [name: string]: unknown })[name]);
      }}
  };
  visit(value);
  return { seen, memory };
}

/**
 * For each two views or buffers of a value, how far apart they begin; `undefined` where their memory is not the same.
 */
function sharing(value: unknown): (number | undefined)[][] {
  const { memory } = reach(value);
  const place = (m: ArrayBuffer | ArrayBufferView) =>
    ArrayBuffer.isView(m) ? [m.buffer, m.byteOffset] as const : [m, 0] as const;
  return memory.map((a) =>
    memory.map((b) => {
      const [[bufferA, atA], [bufferB, atB]] = [place(a), place(b)];
      return bufferA === bufferB ? atA - atB : undefined;
    })
  );
}

for (const [name, runs, make] of KINDS) {
  test(`${name}: any value of the contract comes back as it was, blocked and awaited`, async () => {
    await withPool(make(), async (pool) => {
      await holds(runs, graph, async (nodes) => {
        const value = build(nodes);
        const futures = [pool.submit(list, value, [value]), pool.submit(list, value, [value])];
        for (const back of [futures[0].result(BOUND), await within(futures[1], "the value")]) {
          assertSame(back, [value, [value]]);
          assertEquals(sharing(back), sharing([value, [value]]));
        }
        assertSame(value, build(nodes), "the argument itself");
        assertEquals(({} as Record<string, unknown>).polluted, undefined);
      });
    });
  }, { bound: 60_000 });
}

for (const [name, , make] of KINDS) {
  // V8 15.0 reads {"a":1,"\n":2} as {"a":1,"\\":2} once it has read the latter, so that comes first.
  test(`${name}: keys of one character that JSON escapes come back as they were`, async () => {
    const keys = fc.uniqueArray(fc.constantFrom("a", "b", "\\", "\n", '"', "\0", "\ud800"), {
      minLength: 1,
      maxLength: 4,
    });
    const example = fc.record({
      objects: fc.array(keys, { minLength: 1, maxLength: 4 }),
      value: fc.constantFrom(1, 1n),
    });
    await withPool(make(), async (pool) => {
      await holds(50, example, async ({ objects, value }) => {
        const objectOf = (names: string[]) => Object.fromEntries(names.map((name) => [name, value]));
        const before = objects.map((names) => objectOf(names.map((name) => isEscaped(name) ? "\\" : name)));
        const sent = [...before, ...objects.map(objectOf)];
        const futures = [pool.submit(list, ...sent), pool.submit(list, ...sent)];
        assertSame(futures[0].result(BOUND), sent);
        assertSame(await within(futures[1], "the objects"), sent);
      });
    });
  }, { bound: 60_000 });
}

test("any items of a chunk arrive as each would alone, and so do the results of one", async () => {
  const options = { root: "args", sameProcess: true } as const;
  await holds(1_000, fc.tuple(graph, fc.array(fc.nat(20), { minLength: 1, maxLength: 6 })), async ([nodes, picks]) => {
    const all = buildAll(nodes);
    const items = picks.map((pick) => all[pick % all.length]);
    const alone = items.map((item) => decodeValue(encodeValue(item, options)));
    const { length, get } = decodeItems(encodeItems(items, options));
    const [results] = decodeValue(encodeOutcome([items], true)) as ChunkOutcome;
    for (const back of [Array.from({ length }, (_, i) => get(i)), results]) {
      assertEquals(back.length, items.length);
      for (const [i, item] of back.entries()) {
        assertSame(item, alone[i]);
        assertEquals(sharing(item), sharing(alone[i]));
      }
      const met = back.map((item) => {
        const { seen, memory } = reach(item);
        return [...seen, ...new Set(memory.map((one) => ArrayBuffer.isView(one) ? one.buffer : one))];
      });
      const objects = new Set(met.map((objects) => new Set(objects)).flatMap((objects) => [...objects]));
      const total = met.reduce((total, objects) => total + new Set(objects).size, 0);
      assertEquals(objects.size, total, "no object is in two items");
    }
    await Promise.resolve();
  });
});
