/**
 * The types of objects that cross as a graph. A new type that crosses is one row of {@linkcode TYPES}: what it takes,
 * what the sender says of it, and how the receiver makes it again. The writer, the reader and the texts of refusals go
 * by this table.
 *
 * Plain JSON, lone numbers, texts and buffers do not come this far: `codec.ts` sends them in quicker ways.
 *
 * @module
 */

import { define, propertiesOf, putTogether, takeApart } from "./error_codec.ts";
import type { Step } from "./_faults.ts";
import { isDoubtful } from "./_graph_format.ts";
import { signalFrom } from "./signals.ts";
import { isShared, objectOf } from "./shared_objects.ts";
import { temporalClass, temporalNameOf } from "./_temporal.ts";
import { VIEW_NAMES, viewNamed } from "./_views.ts";

/** What rows use of the writer. `at` is the number of the object that is being written. */
export interface Writer {
  /** Says what is to be known of an object; a list or a record may be filled afterwards. */
  say<T>(at: number, said: T, code?: number): T;
  /** The slot of a value that the object holds. */
  slot(value: unknown, at: number, step: Step): unknown;
  /** The slot of a property, whose getter may throw. */
  read(thing: object, key: Step, at: number): unknown;
  /** The slots of a list without holes. */
  readItems(list: unknown[], slots: unknown[], at: number): void;
  /** Whether what is written is what a task threw. */
  readonly isThrown: boolean;
  /** The properties of a thrown error that cannot cross, and what the receiver is told of each. */
  leftOutOf(error: Error): ReadonlyMap<string, string> | undefined;
  writeBuffer(buffer: ArrayBuffer, at: number): void;
  writeView(view: ArrayBufferView, at: number): void;
  writeShared(memory: SharedArrayBuffer, at: number): void;
  writeSignal(signal: AbortSignal, at: number): void;
  writeObject(thing: object, at: number): void;
  /** Refuses the object, and says why. */
  refuse(at: number, reason: string): void;
}

/** What rows use of the reader. */
export interface Reader {
  /** Whether items share objects, so that each item gets objects of its own. */
  readonly isApart: boolean;
  readonly shared: readonly SharedArrayBuffer[];
  /** What moved here and is no buffer. */
  readonly moved: readonly unknown[];
  /** The value of a slot. */
  resolve(slot: unknown): unknown;
  buffer(place: number, maxByteLength?: number): ArrayBuffer;
}

/** How the objects of one type cross. */
export interface Type<T, Said> {
  /** What stands for the type in the text. Programs of other versions read it, so no code gets another meaning. */
  readonly code: number;
  /** The global classes whose instances it takes, but not the instances of classes that extend these. */
  readonly classes?: readonly string[];
  /** Whether it takes a thing that no class tells. */
  readonly takes?: (thing: object, prototype: object | null) => boolean;
  /** Whether a thing's own keys cross with it; else a thing that has some is refused. */
  readonly takesKeys?: true;
  /** Calls {@linkcode Writer.say} with what is to be known of a thing. */
  readonly write?: (thing: T, at: number, to: Writer) => void;
  /**
   * Makes the thing again. Throws where what is said does not fit: it may come from a process that a task has taken
   * over.
   */
  readonly make: (said: Said, from: Reader) => T;
  /** Puts in what the thing holds, which may lead back to it. */
  readonly fill?: (thing: T, said: Said, from: Reader) => void;
  /** How JavaScript reaches what it holds; `undefined` stands for the usual way, by a key or an index. */
  readonly path?: (step: Step, said: Said) => string | undefined;
}

// deno-lint-ignore no-explicit-any -- only the row itself knows its types
type AnyType = Type<any, any>;

function row<T, Said>(type: Type<T, Said>): AnyType {
  return type;
}

/** The codes that are used outside of their rows. */
export const Code = {
  ARRAY: 0,
  OBJECT: 1,
  LOOSE: 2,
  KEYED: 3,
  BARE: 4,
  ERROR: 7,
  BUFFER: 14,
  VIEW: 15,
  PART: 16,
  SHARED: 17,
  MOVED: 18,
  TEXT: 19,
  SIGNAL: 20,
  OBJECT_IN_MEMORY: 21,
} as const;

// Kept, because tasks run in the same realm and may replace them; and what looks like a map and is none is noticed.
const { forEach: forEachOfMap } = Map.prototype;
const { forEach: forEachOfSet } = Set.prototype;
const { getTime } = Date.prototype;
const { toString: paramsToText } = URLSearchParams.prototype;

/** The types, by their codes. A slot stands for a value, as `_graph_format.ts` tells. */
export const TYPES: readonly AnyType[] = tableOf([
  // A list without holes: its slots.
  row<unknown[], unknown[]>({
    code: Code.ARRAY,
    classes: ["Array"],
    takesKeys: true,
    write(array, at, to) {
      const { length } = array;
      const keys = Object.keys(array);
      if (keys.length === length && (length === 0 || keys[length - 1] === String(length - 1))) {
        return to.readItems(array, to.say(at, []), at);
      }
      const said: unknown[] = to.say(at, [length], Code.LOOSE);
      for (const key of keys) said.push(key, to.read(array, key, at));
    },
    make: (slots, { isApart }) => isApart ? slots.slice() : slots,
    fill(array, _, from) {
      for (let i = 0; i < array.length; i++) {
        if (typeof array[i] === "object" && array[i] !== null) array[i] = from.resolve(array[i]);
      }
    },
  }),
  // An object: a slot for each key.
  row<{ [key: string]: unknown }, { [key: string]: unknown }>({
    code: Code.OBJECT,
    classes: ["Object"],
    takesKeys: true,
    write(thing, at, to) {
      const keys = keysOf(thing, at, to);
      if (keys.some(isDoubtful)) return writeKeyed(thing, keys, to.say(at, [], Code.KEYED), at, to);
      // Without a prototype, which could have setters.
      const slots: { [key: string]: unknown } = to.say(at, Object.create(null));
      for (const key of keys) slots[key] = to.read(thing, key, at);
    },
    make: (slots, { isApart }) => isApart ? { ...slots } : slots,
    fill(thing, _, from) {
      for (const key of Object.keys(thing)) {
        const slot = thing[key];
        if (typeof slot !== "object" || slot === null) continue;
        if (key === "__proto__") throw new SyntaxError("Cannot read an invalid key of an object: __proto__");
        thing[key] = from.resolve(slot);
      }
    },
  }),
  // Any other list: its length, then a key and a slot for each item and each other property.
  row<unknown[], [length: number, ...keyed: unknown[]]>({
    code: Code.LOOSE,
    make([length]) {
      const array: unknown[] = [];
      array.length = length;
      return array;
    },
    fill: (array, said, from) => fillKeyed(array, said, 1, from),
    path: (step) => typeof step === "string" && /^\d+$/.test(step) ? `[${step}]` : undefined,
  }),
  // An object with keys that JSON, or V8's reading of it, does not keep: a key and a slot for each.
  row<object, unknown[]>({
    code: Code.KEYED,
    make: () => ({}),
    fill: (thing, said, from) => fillKeyed(thing, said, 0, from),
  }),
  // An object without a prototype: a key and a slot for each key.
  row<object, unknown[]>({
    code: Code.BARE,
    takes: (_, prototype) => prototype === null,
    takesKeys: true,
    write: (thing, at, to) => writeKeyed(thing, keysOf(thing, at, to), to.say(at, []), at, to),
    make: () => Object.create(null),
    fill: (thing, said, from) => fillKeyed(thing, said, 0, from),
  }),
  // A slot for each key and for each value.
  row<Map<unknown, unknown>, unknown[]>({
    code: 5,
    classes: ["Map"],
    write(map, at, to) {
      const slots: unknown[] = to.say(at, []);
      forEachOfMap.call(map, (value, key) => {
        slots.push(to.slot(key, at, slots.length));
        slots.push(to.slot(value, at, slots.length));
      });
    },
    make: () => new Map(),
    fill(map, slots, from) {
      for (let i = 0; i < slots.length; i += 2) map.set(from.resolve(slots[i]), from.resolve(slots[i + 1]));
    },
    path(step, slots) {
      const place = Number(step);
      if (place % 2 === 0) return `.keys().toArray()[${place / 2}]`;
      const key = slots[place - 1];
      return typeof key === "object" ? `.values().toArray()[${(place - 1) / 2}]` : `.get(${JSON.stringify(key)})`;
    },
  }),
  // A slot for each item.
  row<Set<unknown>, unknown[]>({
    code: 6,
    classes: ["Set"],
    write(set, at, to) {
      const slots: unknown[] = to.say(at, []);
      forEachOfSet.call(set, (item) => void slots.push(to.slot(item, at, slots.length)));
    },
    make: () => new Set(),
    fill(set, slots, from) {
      for (let i = 0; i < slots.length; i++) set.add(from.resolve(slots[i]));
    },
    path: (step) => `.values().toArray()[${step}]`,
  }),
  // The names of its classes, name, message, stack, the names of hidden properties; then a name and a slot of each.
  row<Error, [classes: string[], name: string, message: string, stack: string, hidden: string[], ...keyed: unknown[]]>({
    code: Code.ERROR,
    classes: ["Error"],
    takes: (thing) => thing instanceof Error,
    takesKeys: true,
    write(error, at, to) {
      const { classes, name, message, stack } = takeApart(error, to.isThrown);
      const leftOut = to.leftOutOf(error);
      const note = leftOut === undefined ? "" : `\n    [left out: ${[...leftOut.values()].join("; ")}]`;
      const hidden: string[] = [];
      const said: unknown[] = to.say(at, [classes, name, message, stack + note, hidden]);
      for (const property of propertiesOf(error)) {
        if (leftOut?.has(property)) continue;
        if (!Object.prototype.propertyIsEnumerable.call(error, property)) hidden.push(property);
        said.push(property, to.read(error, property, at));
      }
    },
    make: ([classes, name, message, stack]) => putTogether({ classes, name, message, stack }),
    fill(error, said, from) {
      const hidden = new Set(said[4]);
      for (let i = 5; i < said.length; i += 2) {
        const name = said[i] as string;
        define(error, name, from.resolve(said[i + 1]), !hidden.has(name));
      }
    },
  }),
  // Milliseconds, or `null`.
  row<Date, number | null>({
    code: 8,
    classes: ["Date"],
    write(date, at, to) {
      const time = getTime.call(date);
      to.say(at, Number.isNaN(time) ? null : time);
    },
    make: (time) => new Date(time ?? NaN),
  }),
  // Source, flags, and the slot of `lastIndex`.
  row<RegExp, [source: string, flags: string, lastIndex: unknown]>({
    code: 9,
    classes: ["RegExp"],
    write({ source, flags, lastIndex }, at, to) {
      to.say(at, [source, flags, to.slot(lastIndex, at, "lastIndex")]);
    },
    make: ([source, flags, lastIndex], from) =>
      Object.assign(new RegExp(source, flags), { lastIndex: from.resolve(lastIndex) }),
  }),
  // Its text.
  row<URL, string>({
    code: 10,
    classes: ["URL"],
    write: ({ href }, at, to) => void to.say(at, href),
    make: (href) => new URL(href),
  }),
  // Its text.
  row<URLSearchParams, string>({
    code: 11,
    classes: ["URLSearchParams"],
    write: (params, at, to) => void to.say(at, paramsToText.call(params)),
    make: (text) => new URLSearchParams(text),
  }),
  // The slot of the primitive that is boxed.
  row<object, unknown>({
    code: 12,
    classes: ["Number", "String", "Boolean", "BigInt"],
    write: (box, at, to) => void to.say(at, to.slot(Object.getPrototypeOf(box).valueOf.call(box), at, "")),
    make: (slot, from) => Object(from.resolve(slot)),
    path: () => "",
  }),
  // The name of its class in `Temporal`, and its text.
  row<object, [name: string, text: string]>({
    code: 13,
    takes: (_, prototype) => temporalNameOf(prototype) !== undefined,
    write: (thing, at, to) => void to.say(at, [temporalNameOf(Object.getPrototypeOf(thing)), `${thing}`]),
    make: ([name, text]) => temporalClass(name)!.from(text),
  }),
  // Which of the buffers beside the text, and how long it may become.
  row<ArrayBuffer, [place: number, maxByteLength?: number]>({
    code: Code.BUFFER,
    classes: ["ArrayBuffer"],
    write: (buffer, at, to) => to.writeBuffer(buffer, at),
    make: ([place, maxByteLength], from) => from.buffer(place, maxByteLength),
  }),
  // Its class, the slot of its buffer, where it begins, and its length, unless that is the buffer's.
  row<ArrayBufferView, [type: string, buffer: unknown, from: number, length: number | null]>({
    code: Code.VIEW,
    classes: VIEW_NAMES,
    takesKeys: true,
    write: (view, at, to) => to.writeView(view, at),
    make: ([type, buffer, at, length], from) =>
      new (viewNamed(type))(from.resolve(buffer) as ArrayBuffer, at, length ?? undefined),
  }),
  // A view whose part of a buffer is all that crosses: its class, which of the buffers, its length.
  row<ArrayBufferView, [type: string, place: number, length: number]>({
    code: Code.PART,
    make: ([type, place, length], from) => new (viewNamed(type))(from.buffer(place), 0, length),
  }),
  // Which piece of shared memory.
  row<SharedArrayBuffer, number>({
    code: Code.SHARED,
    classes: ["SharedArrayBuffer"],
    write: (memory, at, to) => to.writeShared(memory, at),
    make: (place, { shared }) => shared[place],
  }),
  // Which of the things that move, and are no buffers. The writer knows them by the `transfer()` around them.
  row<unknown, number>({ code: Code.MOVED, make: (place, { moved }) => moved[place] }),
  // A long text.
  row<string, string>({ code: Code.TEXT, make: (text) => text }),
  // Which piece of shared memory tells that it was aborted.
  row<AbortSignal, number>({
    code: Code.SIGNAL,
    classes: ["AbortSignal"],
    write: (signal, at, to) => to.writeSignal(signal, at),
    make: (place, { shared }) => signalFrom(shared[place]),
  }),
  // What kind of object it is, in which piece of shared memory it lies, and the slot of what it is made with.
  row<object, [kind: string, place: number, part: unknown]>({
    code: Code.OBJECT_IN_MEMORY,
    takes: (thing) => isShared(thing),
    write: (thing, at, to) => to.writeObject(thing, at),
    make: ([kind, place, part], from) => objectOf(kind, from.shared[place], from.resolve(part)),
  }),
]);

/** The keys of an object; none where it is refused. */
function keysOf(thing: object, at: number, to: Writer): string[] {
  const symbols = Object.getOwnPropertySymbols(thing);
  if (symbols.length === 0) return Object.keys(thing);
  to.refuse(at, `an object with ${String(symbols[0])} as key. To fix it, use a string as key`);
  return [];
}

function writeKeyed(thing: object, keys: readonly string[], said: unknown[], at: number, to: Writer): void {
  for (const key of keys) said.push(key, to.read(thing, key, at));
}

function fillKeyed(thing: object, said: readonly unknown[], first: number, from: Reader): void {
  for (let i = first; i < said.length; i += 2) define(thing, said[i] as string, from.resolve(said[i + 1]), true);
}

function tableOf(rows: readonly AnyType[]): AnyType[] {
  const table: AnyType[] = [];
  for (const type of rows) table[type.code] = type;
  return table;
}

/** The names of the classes whose instances cross. */
export const CLASS_NAMES: ReadonlySet<string> = new Set(TYPES.flatMap(({ classes = [] }) => classes));

const BY_PROTOTYPE: ReadonlyMap<object | null, AnyType> = new Map(
  TYPES.flatMap((type) => (type.classes ?? []).map((name) => [prototypeOf(name)!, type])),
);

const WITHOUT_CLASS = TYPES.filter(({ takes }) => takes !== undefined);

/** The prototype of the instances of a global class. */
function prototypeOf(name: string): object | undefined {
  return (globalThis as unknown as { [name: string]: { prototype?: object } | undefined })[name]?.prototype;
}

/** The type that takes a thing; `undefined` where it cannot cross. */
export function typeOf(thing: object): AnyType | undefined {
  const prototype = Object.getPrototypeOf(thing);
  const type = BY_PROTOTYPE.get(prototype) ?? WITHOUT_CLASS.find((type) => type.takes!(thing, prototype)) ??
    // A task may have put a class in the place of a global one, as one does that stops the clock.
    TYPES.find(({ classes }) => classes?.some((name) => prototypeOf(name) === prototype));
  // Whatever its prototype is, an array is one, and nothing else is.
  return Array.isArray(thing) === (type?.code === Code.ARRAY) ? type : undefined;
}
