/**
 * Values that cross between threads: lossless, or refused with the path of what cannot cross.
 *
 * A value goes the cheapest way that loses nothing: a lone number as 8 bytes, plain JSON values as JSON text, and
 * all else as the JSON text that devalue makes, with bytes beside it.
 *
 * @module
 */

import { SerializationError } from "../futures/errors.ts";
import { DevalueError, parse, stringify } from "./_devalue.ts";
import { complete, type ErrorParts, PROPERTIES, putTogether, takeApart } from "./_errors.ts";
import { Block, EMPTY, Kind, NOTHING } from "./_block.ts";
import { Transfer } from "./transfer.ts";

// Kept, because tasks run in the same realm and may replace them.
const { parse: parseJson, stringify: stringifyJson } = JSON;

/** What is special about the values of one direction. */
export interface EncodeOptions {
  /**
   * What the value is called in paths. Something in an `error`, which a task threw, that cannot cross is left out; all else
   * is refused.
   */
  root: "args" | "result" | "error";
  /** Whether shared memory can be passed and buffers can be moved: among threads of one process. */
  sameProcess: boolean;
}

/**
 * Encodes a task's arguments.
 *
 * @throws {SerializationError} Something in them cannot cross.
 */
export function encodeArguments(args: readonly unknown[], options: EncodeOptions): Block {
  if (args.length === 0) return EMPTY;
  if (args.length === 1 && typeof args[0] === "number") {
    return new Block(Kind.NUMBER, "", args[0]);
  }
  return encodeAny(args, options);
}

/** Decodes what {@linkcode encodeArguments} made. */
export function decodeArguments(block: Block): unknown[] {
  switch (block.kind) {
    case Kind.NONE:
      return [];
    case Kind.NUMBER:
      return [block.number];
    default:
      return decodeAny(block) as unknown[];
  }
}

/**
 * Encodes what a task returned or threw.
 *
 * @throws {SerializationError} Something in it cannot cross.
 */
export function encodeValue(value: unknown, options: EncodeOptions): Block {
  if (value === undefined) return EMPTY;
  if (typeof value === "number") return new Block(Kind.NUMBER, "", value);
  return encodeAny(value, options);
}

/** Decodes what {@linkcode encodeValue} made. */
export function decodeValue(block: Block): unknown {
  switch (block.kind) {
    case Kind.NONE:
      return undefined;
    case Kind.NUMBER:
      return block.number;
    default:
      return decodeAny(block);
  }
}

function encodeAny(value: unknown, options: EncodeOptions): Block {
  let text: string | undefined;
  try {
    if (isPlainJson(value)) text = stringifyJson(value);
  } catch (error) {
    // A getter threw, or the value is too deep or too long: the thorough way finds out where.
    if (isExit(error)) throw error;
  }
  if (text !== undefined) return new Block(Kind.JSON, text);
  const clone = asClone(value, options);
  if (clone !== undefined) return new Block(Kind.CLONE, "", 0, NOTHING, NOTHING, clone);
  return encodeGraph(value, options);
}

function decodeAny(block: Block): unknown {
  switch (block.kind) {
    case Kind.JSON:
      return parseJson(block.text);
    case Kind.CLONE:
      return block.clone!.value;
    default:
      return decodeGraph(block);
  }
}

/** Set on what ends a task by unwinding it, so that nothing here takes it for an ordinary error. */
export const EXIT = Symbol("exit");

function isExit(error: unknown): boolean {
  return typeof error === "object" && error !== null && EXIT in error;
}

/** Whether `JSON.parse(JSON.stringify(value))` loses nothing: no repeated references either. */
function isPlainJson(value: unknown): boolean {
  return isPlain(value, { first: undefined, all: undefined });
}

interface Seen {
  first: object | undefined;
  all: Set<object> | undefined;
}

function isPlain(value: unknown, seen: Seen): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0);
    case "object":
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (seen.first === undefined) seen.first = value;
  else {
    // Most values are one object: a set is made for the second.
    seen.all ??= new Set([seen.first]);
    if (seen.all.size === seen.all.add(value).size) return false;
  }
  const prototype = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    // Holes and extra properties both show in the number of keys.
    if (prototype !== Array.prototype || Object.keys(value).length !== value.length) return false;
    for (let i = 0; i < value.length; i++) {
      if (!isPlain(value[i], seen)) return false;
    }
    return true;
  }
  if (prototype !== Object.prototype) return false;
  const keys = Object.keys(value);
  // Symbols and hidden properties show in the number of keys.
  if (Reflect.ownKeys(value).length !== keys.length) return false;
  for (const key of keys) {
    if (!isPlain((value as { [key: string]: unknown })[key], seen)) return false;
  }
  return true;
}

/** What is transferred but is no buffer can only go as the structured clone of a message. */
function asClone(
  value: unknown,
  { root, sameProcess }: EncodeOptions,
): { value: unknown; list: Transferable[] } | undefined {
  const list: Transferable[] = [];
  let unwrapped: unknown;
  if (value instanceof Transfer) {
    list.push(...value.list);
    unwrapped = value.value;
  } else if (Array.isArray(value) && root === "args") {
    unwrapped = value.map((item) => {
      if (!(item instanceof Transfer)) return item;
      list.push(...item.list);
      return item.value;
    });
  }
  if (list.every((item) => item instanceof ArrayBuffer)) return undefined;
  if (!sameProcess) {
    throw new SerializationError(
      `Cannot send ${root} to another process: only buffers can be transferred there`,
      root,
    );
  }
  try {
    // Moved and copied now, so that what the caller changes later is not seen; the clone is moved again when it is sent.
    return structuredClone({ value: unwrapped, list }, { transfer: list });
  } catch (error) {
    throw new SerializationError(
      `Cannot send ${root} to another thread: ${error instanceof Error ? error.message : error}`,
      root,
      { cause: error },
    );
  }
}

/** A buffer that turned out to be used twice: the encoding begins again and sends it whole. */
class UsedTwice {
  constructor(readonly buffer: ArrayBuffer) {}
}

function encodeGraph(value: unknown, options: EncodeOptions): Block {
  const whole = new Set<ArrayBuffer>();
  for (;;) {
    try {
      return new GraphEncoder(options, whole).encode(value);
    } catch (error) {
      if (!(error instanceof UsedTwice)) throw error;
      whole.add(error.buffer);
    }
  }
}

const EXACT_PROTOTYPES = new Set<object>([
  Date.prototype,
  RegExp.prototype,
  Map.prototype,
  Set.prototype,
  URL.prototype,
  URLSearchParams.prototype,
  Number.prototype,
  String.prototype,
  Boolean.prototype,
  BigInt.prototype,
]);

const VIEWS = new Map<object, string>(
  [
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
    DataView,
  ].map((view) => [view.prototype, view.name]),
);

/** Turns one value into devalue's text, with its buffers beside it. */
class GraphEncoder {
  readonly #options: EncodeOptions;
  readonly #whole: Set<ArrayBuffer>;
  readonly #buffers: ArrayBuffer[] = [];
  readonly #shared: SharedArrayBuffer[] = [];
  readonly #moved = new Set<ArrayBuffer>();
  /** Buffers met so far, and whether only the part under one view was taken. */
  readonly #met = new Map<ArrayBuffer, "part" | "whole">();
  /** Errors whose properties are being tried. */
  readonly #inTrial: Set<Error>;
  /** Errors whose properties have been tried: each once, however many causes refer to it. */
  readonly #partsOf: Map<Error, ErrorParts>;

  constructor(options: EncodeOptions, whole: Set<ArrayBuffer>, outer?: GraphEncoder) {
    this.#options = options;
    this.#whole = whole;
    this.#inTrial = outer === undefined ? new Set() : outer.#inTrial;
    this.#partsOf = outer === undefined ? new Map() : outer.#partsOf;
  }

  encode(value: unknown): Block {
    const text = this.encodeText(value);
    // Only now that nothing can be refused any more: a moved buffer is gone for the caller.
    const buffers = this.#buffers.map((buffer) => this.#moved.has(buffer) ? buffer.transfer() : buffer);
    return new Block(Kind.GRAPH, text, 0, buffers, this.#shared);
  }

  encodeText(value: unknown): string {
    try {
      return this.#stringify(value);
    } catch (error) {
      if (isExit(error) || error instanceof UsedTwice) throw error;
      throw this.#refusal(error);
    }
  }

  #stringify(value: unknown): string {
    return stringify(value, {
      [REFUSED]: (thing: unknown) => this.#check(thing),
      [MOVED]: (thing: unknown) => thing instanceof Transfer && this.#unwrap(thing),
      [ERROR]: (thing: unknown) => thing instanceof Error && this.#takeApart(thing),
      [REGEXP]: (thing: unknown) =>
        thing instanceof RegExp && thing.lastIndex !== 0 &&
        { source: thing.source, flags: thing.flags, lastIndex: thing.lastIndex },
      [PROTO]: (thing: unknown) =>
        hasOwnProto(thing) &&
        [Object.getPrototypeOf(thing) === null, ...Object.entries(thing).flat()],
      [VIEW]: (thing: unknown) => ArrayBuffer.isView(thing) && this.#view(thing),
      [BUFFER]: (thing: unknown) => thing instanceof ArrayBuffer && this.#buffer(thing),
      [SHARED]: (thing: unknown) => isShared(thing) && this.#share(thing),
    }, {
      operations: {
        // What has a function called `then` is refused for that function.
        isThenable: () => false,
        get: (thing: unknown, key: PropertyKey) => {
          try {
            return (thing as { [key: PropertyKey]: unknown })[key];
          } catch (error) {
            if (isExit(error)) throw error;
            return refuse(`its getter throws: ${error}`);
          }
        },
      },
    });
  }

  /** A refusal for what devalue would change silently: instances of classes that it takes for their base, and lost properties. */
  #check(thing: unknown): symbol | undefined {
    if (typeof thing === "function") return refuse("a function");
    if (typeof thing === "symbol") return isRefusal(thing) ? undefined : refuse("a symbol");
    if (typeof thing !== "object" || thing === null) return undefined;
    const prototype = Object.getPrototypeOf(thing);
    if (prototype === Object.prototype || prototype === null) {
      return Object.getOwnPropertySymbols(thing).length > 0 ? refuse("an object with a symbol as key") : undefined;
    }
    if (Array.isArray(thing)) {
      if (prototype !== Array.prototype) return refuse(instanceOf(thing));
      return Object.keys(thing).every(isIndex) ? undefined : refuse("an array with extra properties");
    }
    if (thing instanceof Error || thing instanceof Transfer) return undefined;
    if (EXACT_PROTOTYPES.has(prototype)) {
      return Object.keys(thing).length > (thing instanceof String ? thing.length : 0)
        ? refuse("an object of a built-in class with extra properties")
        : undefined;
    }
    if (VIEWS.has(prototype)) return undefined;
    if (prototype === ArrayBuffer.prototype) {
      return (thing as ArrayBuffer).detached ? refuse("a detached ArrayBuffer") : undefined;
    }
    if (isShared(thing)) {
      return this.#options.sameProcess ? undefined : refuse("a SharedArrayBuffer, which another process cannot share");
    }
    if (String(Object.prototype.toString.call(thing)).startsWith("[object Temporal.")) {
      return undefined;
    }
    return refuse(instanceOf(thing));
  }

  #unwrap({ value, list }: Transfer): unknown {
    for (const item of list) {
      if (!(item instanceof ArrayBuffer)) {
        return refuse("a transfer of what is no buffer, which must be a whole argument or result");
      }
      this.#moved.add(item);
    }
    return value;
  }

  #takeApart(error: Error): ErrorParts {
    if (this.#options.root !== "error") return takeApart(error, () => undefined);
    const known = this.#partsOf.get(error);
    if (known !== undefined) return known;
    this.#inTrial.add(error);
    const parts = takeApart(error, (name, value) => {
      if (this.#inTrial.has(value as Error)) return undefined;
      try {
        new GraphEncoder(this.#options, this.#whole, this).encodeText(value);
        return undefined;
      } catch (refusal) {
        if (!(refusal instanceof SerializationError)) throw refusal;
        // The path names the trial's root.
        return name + refusal.path.slice(this.#options.root.length);
      }
    });
    this.#partsOf.set(error, parts);
    return parts;
  }

  #view(view: ArrayBufferView): unknown {
    const type = VIEWS.get(Object.getPrototypeOf(view));
    const length = view instanceof DataView ? view.byteLength : (view as unknown as { length: number }).length;
    const { buffer, byteOffset, byteLength } = view;
    const isPart = byteLength < buffer.byteLength;
    if (
      !isPart || isShared(buffer) || this.#moved.has(buffer) || this.#whole.has(buffer) ||
      this.#met.get(buffer) === "whole"
    ) return { type, buffer, byteOffset, length };
    // Of a buffer that nothing else refers to, the part that the view shows is enough.
    if (this.#met.has(buffer)) throw new UsedTwice(buffer);
    this.#met.set(buffer, "part");
    const index = this.#buffers.push(buffer.slice(byteOffset, byteOffset + byteLength)) - 1;
    return { type, index, length };
  }

  #buffer(buffer: ArrayBuffer): unknown {
    if (this.#met.get(buffer) === "part") throw new UsedTwice(buffer);
    this.#met.set(buffer, "whole");
    const index = this.#buffers.push(this.#moved.has(buffer) ? buffer : buffer.slice(0)) - 1;
    return buffer.resizable ? { index, maxByteLength: buffer.maxByteLength } : { index };
  }

  #share(memory: SharedArrayBuffer): unknown {
    return { index: this.#shared.push(memory) - 1 };
  }

  #refusal(error: unknown): SerializationError {
    const { root, sameProcess } = this.#options;
    const where = sameProcess ? "thread" : "process";
    if (error instanceof DevalueError) {
      const path = root + error.path.replaceAll(`[${stringifyJson(PROPERTIES)}]`, "");
      const reason = isRefusal(error.value) ? error.value.description! : error.message;
      return new SerializationError(`Cannot send ${path} to another ${where}: ${reason}`, path);
    }
    return new SerializationError(
      error instanceof RangeError
        ? `Cannot send ${root} to another ${where}: it is nested too deeply, or too long: ${error.message}`
        : `Cannot send ${root} to another ${where}: ${error}`,
      root,
      { cause: error },
    );
  }
}

// The names under which devalue knows our reducers. None of its own types has a name of one letter.
const REFUSED = "R";
const MOVED = "M";
const ERROR = "E";
const PROTO = "P";
const VIEW = "V";
const BUFFER = "B";
const SHARED = "S";
const REGEXP = "X";

const refusals = new WeakSet<symbol>();

/** A symbol in place of what cannot cross: devalue refuses it, with its path. */
function refuse(reason: string): symbol {
  const symbol = Symbol(reason);
  refusals.add(symbol);
  return symbol;
}

function isRefusal(value: unknown): value is symbol {
  return typeof value === "symbol" && refusals.has(value);
}

function instanceOf(thing: object): string {
  let name: unknown;
  try {
    name = thing.constructor?.name;
  } catch {
    // No name then.
  }
  return `an instance of ${name || "an unnamed class"}`;
}

function isIndex(key: string): boolean {
  return String(Number(key) >>> 0) === key;
}

function isShared(value: unknown): value is SharedArrayBuffer {
  return typeof SharedArrayBuffer !== "undefined" && value instanceof SharedArrayBuffer;
}

function hasOwnProto(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    Object.hasOwn(value, "__proto__");
}

function decodeGraph({ text, buffers, shared }: Block): unknown {
  // Errors and objects with a __proto__ key may refer to themselves, so they are made first and completed last.
  const made = new Map<unknown, object>();
  const unfinished: (() => void)[] = [];
  const twoSteps =
    <P, T extends object>(make: (parts: P) => T, finish: (made: T, parts: P) => void) => (parts: P): T => {
      let thing = made.get(parts) as T | undefined;
      if (thing === undefined) {
        thing = make(parts);
        made.set(parts, thing);
        unfinished.push(() => finish(thing!, parts));
      }
      return thing;
    };
  const value = parse(text, {
    [MOVED]: (value: unknown) => value,
    [ERROR]: twoSteps(putTogether, complete),
    [PROTO]: twoSteps(([bare]: unknown[]) => bare ? Object.create(null) : {}, (object, [, ...entries]) => {
      for (let i = 0; i < entries.length; i += 2) {
        Object.defineProperty(object, entries[i] as string, {
          value: entries[i + 1],
          writable: true,
          enumerable: true,
          configurable: true,
        });
      }
    }),
    [VIEW]: ({ type, buffer, index, byteOffset, length }: {
      type: string;
      buffer?: ArrayBuffer;
      index?: number;
      byteOffset?: number;
      length: number;
    }) => {
      const View = (globalThis as unknown as {
        [name: string]: new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => unknown;
      })[type];
      return new View(buffer ?? buffers[index!], byteOffset ?? 0, length);
    },
    [BUFFER]: ({ index, maxByteLength }: { index: number; maxByteLength?: number }) => {
      const buffer = buffers[index];
      if (maxByteLength === undefined) return buffer;
      const resizable = new ArrayBuffer(buffer.byteLength, { maxByteLength });
      new Uint8Array(resizable).set(new Uint8Array(buffer));
      return resizable;
    },
    [SHARED]: ({ index }: { index: number }) => shared[index],
    [REGEXP]: ({ source, flags, lastIndex }: { source: string; flags: string; lastIndex: number }) =>
      Object.assign(new RegExp(source, flags), { lastIndex }),
  });
  for (const finish of unfinished) finish();
  return value;
}
