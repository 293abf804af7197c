/**
 * Values that JSON cannot say, as the JSON text that devalue makes of them, with bytes beside it.
 *
 * @module
 */

import { inspect } from "../futures/deadline.ts";
import { SerializationError } from "../futures/errors.ts";
import { Block, copyOf, Kind } from "./_block.ts";
import { DevalueError, parse, stringify } from "./_devalue.ts";
import { complete, type ErrorParts, PROPERTIES, putTogether, takeApart } from "./_errors.ts";
import { Transfer } from "./transfer.ts";

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

/** Set on what ends a task by unwinding it, so that nothing here takes it for an ordinary error. */
export const EXIT = Symbol("exit");

/** Whether something ends a task by unwinding it. */
export function isExit(error: unknown): boolean {
  return typeof error === "object" && error !== null && EXIT in error;
}

/** A buffer that turned out to be used twice: the encoding begins again and sends it whole. */
class UsedTwice {
  constructor(readonly buffer: ArrayBuffer) {}
}

/**
 * Encodes any value.
 *
 * @throws {SerializationError} Something in it cannot cross.
 */
export function encodeGraph(value: unknown, options: EncodeOptions): Block {
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

// Kept by name, because tasks run in the same realm and may replace them, and because what comes from a process must not choose among all globals.
const VIEW_CLASSES = {
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
};

/** The names of the classes of views, by their prototypes. */
export const VIEWS: ReadonlyMap<object, string> = new Map(
  Object.entries(VIEW_CLASSES).map(([name, { prototype }]) => [prototype, name]),
);

/** The class of views of that name. */
export function viewNamed(name: string): new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => unknown {
  if (!Object.hasOwn(VIEW_CLASSES, name)) throw new TypeError(`Cannot read as a view of a buffer: ${inspect(name)}`);
  return VIEW_CLASSES[name as keyof typeof VIEW_CLASSES];
}

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
      [NAMED]: (thing: unknown) => hasDoubtfulKey(thing) && Object.getPrototypeOf(thing) !== null && prefixed(thing),
      [BARE]: (thing: unknown) => hasDoubtfulKey(thing) && Object.getPrototypeOf(thing) === null && prefixed(thing),
      [MAP]: (thing: unknown) =>
        isExactly(thing, Map.prototype) && hasDoubtfulKeys(thing as Map<unknown, unknown>) &&
        {
          [KEYS]: [...(thing as Map<unknown, unknown>).keys()],
          [VALUES]: [...(thing as Map<unknown, unknown>).values()],
        },
      [SET]: (thing: unknown) => isExactly(thing, Set.prototype) && { [ITEMS]: [...thing as Set<unknown>] },
      [VIEW]: (thing: unknown) => ArrayBuffer.isView(thing) && this.#view(thing),
      [BUFFER]: (thing: unknown) => thing instanceof ArrayBuffer && this.#buffer(thing),
      [SHARED]: (thing: unknown) => isShared(thing) && this.#share(thing),
    }, {
      operations: {
        // What has a function called `then` is refused for that function.
        isThenable: () => false,
        get,
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
    const index = this.#buffers.push(copyOf(new Uint8Array(buffer, byteOffset, byteLength)).buffer) - 1;
    return { type, index, length };
  }

  #buffer(buffer: ArrayBuffer): unknown {
    if (this.#met.get(buffer) === "part") throw new UsedTwice(buffer);
    this.#met.set(buffer, "whole");
    const index = this.#buffers.push(this.#moved.has(buffer) ? buffer : copyOf(new Uint8Array(buffer)).buffer) - 1;
    return buffer.resizable ? { index, maxByteLength: buffer.maxByteLength } : { index };
  }

  #share(memory: SharedArrayBuffer): unknown {
    return { index: this.#shared.push(memory) - 1 };
  }

  #refusal(error: unknown): SerializationError {
    const { root, sameProcess } = this.#options;
    const where = sameProcess ? "thread" : "process";
    if (error instanceof DevalueError) {
      const path = pathOf(root, error.path);
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
const NAMED = "N";
const BARE = "O";
const MAP = "K";
const SET = "T";
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

/** Reads a property; one whose getter throws is refused. */
function get(thing: unknown, key: PropertyKey): unknown {
  try {
    return (thing as { [key: PropertyKey]: unknown })[key];
  } catch (error) {
    if (isExit(error)) throw error;
    return refuse(`its getter throws: ${error}`);
  }
}

// Keys of what stands for values here: longer than one unit, and unlike what anybody would write.
const PREFIX = "\0.";
const KEYS = "\0keys";
const VALUES = "\0values";
const ITEMS = "\0items";

/**
 * Whether JSON writes a key of one UTF-16 unit by an escape. V8 15.0 reads such a key as another one when it has read an object with the same keys before it and
 * another such key: `JSON.parse('{"a":1,"\\\\":2}'); JSON.parse('{"a":1,"\\n":2}')` gives a backslash for the line feed. So they are not written as keys.
 */
export function isEscaped(key: string): boolean {
  const unit = key.charCodeAt(0);
  return unit < 32 || unit === 34 || unit === 92 || (unit >= 0xd800 && unit <= 0xdfff);
}

function hasDoubtfulKey(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return Object.hasOwn(value, "__proto__");
  return Object.keys(value).some((key) => key === "__proto__" || (key.length === 1 && isEscaped(key)));
}

/** In place of an object whose keys JSON, or V8's reading of it, does not keep: each key gets a prefix. */
function prefixed(thing: object): unknown {
  return Object.fromEntries(Object.keys(thing).map((key) => [PREFIX + key, get(thing, key)]));
}

/** Whether a map has keys that a path cannot show. */
function hasDoubtfulKeys(map: Map<unknown, unknown>): boolean {
  return map.keys().some((key) => !(typeof key === "string" || typeof key === "boolean" || Number.isSafeInteger(key)));
}

function isExactly(value: unknown, prototype: object): boolean {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === prototype;
}

/** A step of devalue's paths: a quoted key, the value of a map's key, a plain key, an index. */
const PATH_STEP = /\[("(?:[^"\\]|\\.)*")\]|\.get\((?:"(?:[^"\\]|\\.)*"|[^")]*)\)|\.[^.[(]+|\[\d+\]|[^.[]+/gs;

/** A path in the encoded value as one in the value itself. */
function pathOf(root: string, path: string): string {
  let result = root;
  for (const [step, quoted] of path.matchAll(PATH_STEP)) {
    const key: string | undefined = quoted && JSON.parse(quoted);
    if (key === undefined) result += step;
    else if (key === PROPERTIES) continue;
    else if (key === KEYS) result += ".keys().toArray()";
    else if (key === VALUES || key === ITEMS) result += ".values().toArray()";
    else if (key.startsWith(PREFIX)) result += stepTo(key.slice(PREFIX.length));
    else result += step;
  }
  return result;
}

function stepTo(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function takeOffPrefixes(object: object, parts: { [name: string]: unknown }): void {
  for (const [name, value] of Object.entries(parts)) {
    Object.defineProperty(object, name.slice(PREFIX.length), {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
}

/** Decodes what {@linkcode encodeGraph} made. */
export function decodeGraph({ text, buffers, shared }: Block): unknown {
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
    [NAMED]: twoSteps(() => ({}), takeOffPrefixes),
    [BARE]: twoSteps(() => Object.create(null) as object, takeOffPrefixes),
    [MAP]: twoSteps(() => new Map<unknown, unknown>(), (map, parts: { [name: string]: unknown[] }) => {
      for (const [i, key] of parts[KEYS].entries()) map.set(key, parts[VALUES][i]);
    }),
    [SET]: twoSteps(() => new Set<unknown>(), (set, parts: { [name: string]: unknown[] }) => {
      for (const item of parts[ITEMS]) set.add(item);
    }),
    [VIEW]: ({ type, buffer, index, byteOffset, length }: {
      type: string;
      buffer?: ArrayBuffer;
      index?: number;
      byteOffset?: number;
      length: number;
    }) => {
      const View = viewNamed(type);
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
