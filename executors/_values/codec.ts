/**
 * Values that cross between threads and processes. They lose nothing on the way, or are refused with the path of what
 * cannot cross.
 *
 * Each value is encoded in the cheapest way that loses nothing. A single number becomes 8 bytes, a single text or
 * buffer stays as it is, and what plain JSON can express becomes JSON. All else becomes a graph (`_graph_writer.ts`,
 * with the table of types in `_types.ts`).
 *
 * @module
 */

import { JSON } from "../../futures/builtins.ts";
import { SerializationError } from "../../futures/errors.ts";
import { copyOf, EMPTY, Encoded, Encoding } from "./encoded.ts";
import { isExit } from "../../futures/task_exit.ts";
import { encodeGraph, type EncodeOptions } from "./_graph_writer.ts";
import { isEscaped } from "./_graph_format.ts";
import { decodeGraph, decodeGraphItems, type Items } from "./_graph_reader.ts";
import { hasInheritedToJson } from "./json.ts";
import { textOfThrown } from "./_refusal.ts";
import { splitParts } from "./_parts.ts";
import { Transfer } from "../transfer.ts";
import { viewNamed, VIEWS } from "./_views.ts";

/** The outcome of a chunk: the results up to the first call that failed, and the error of that call. */
export type ChunkOutcome = [results: unknown[], ...error: [] | [unknown]];

/** The outcome of a chunk in which a failure ends nothing: each result or error, and the places of the errors. */
export type SettledOutcome = [outcomes: unknown[], failed?: readonly number[]];

export type { EncodeOptions, Items };

/**
 * Encodes a task's arguments.
 *
 * @throws {SerializationError} Something in them cannot cross.
 */
export function encodeArguments(args: readonly unknown[], options: EncodeOptions): Encoded {
  if (args.length === 0) return EMPTY;
  return args.length === 1 ? encodeLone(args[0], options) ?? encodeAny(args, options) : encodeAny(args, options);
}

/**
 * Decodes what {@linkcode encodeArguments} made.
 *
 * @throws {SerializationError} It cannot be read.
 */
export function decodeArguments(payload: Encoded): unknown[] {
  switch (payload.encoding) {
    case Encoding.NONE:
      return [];
    case Encoding.NUMBER:
      return [payload.number];
    case Encoding.TEXT:
      return [payload.text];
    case Encoding.BYTES:
      return [readable("args", decodeBytes, payload)];
    default:
      return readable("args", decodeAny, payload) as unknown[];
  }
}

/**
 * Encodes the items of a chunk. They share nothing when they arrive, as if each were sent alone.
 *
 * @throws {SerializationError} Something in them cannot cross.
 */
export function encodeItems(items: unknown[], options: EncodeOptions): Encoded {
  return encodeNumbers(items) ?? encodeAny(items, options, [items]);
}

/**
 * Encodes arguments that many calls have. The receiver decodes them by {@linkcode decodeItems}, as the one item there
 * is: it is made anew each time.
 *
 * @throws {SerializationError} Something in them cannot cross.
 */
export function encodeConstants(args: unknown[], options: EncodeOptions): Encoded {
  const items = [args];
  return encodeGraph(items, { ...options, areItemsMadeAnew: true }, [items]);
}

/**
 * Decodes what {@linkcode encodeItems} made.
 *
 * @throws {SerializationError} It cannot be read; also thrown when an item is taken.
 */
export function decodeItems(payload: Encoded): Items {
  if (payload.encoding === Encoding.GRAPH || payload.encoding === Encoding.CLONE) {
    const { length, get } = readable("args", decodeGraphItems, payload);
    return { length, get: (i) => readable("args", get, i) };
  }
  const items = readable("args", listOf, payload);
  return { length: items.length, get: (i) => items[i] };
}

function listOf({ encoding, text, buffers }: Encoded): ArrayLike<unknown> {
  if (encoding === Encoding.NUMBERS) return new Float64Array(buffers[0]);
  const items = JSON.parse(text);
  if (!Array.isArray(items)) throw new TypeError("it is not a list");
  return items;
}

/** Reads something. Whatever goes wrong becomes the error of a value that has not crossed. */
function readable<A, T>(root: string, read: (from: A) => T, from: A): T {
  try {
    return read(from);
  } catch (error) {
    if (isExit(error)) throw error;
    const reason = error instanceof Error ? error.message : textOfThrown(error);
    throw new SerializationError(`Cannot read ${root} from another worker: ${reason}`, root, {
      cause: error,
    });
  }
}

/**
 * Encodes what a task returned or threw.
 *
 * @throws {SerializationError} Something in it cannot cross.
 */
export function encodeValue(value: unknown, options: EncodeOptions): Encoded {
  return value === undefined ? EMPTY : encodeLone(value, options) ?? encodeAny(value, options);
}

/**
 * Decodes what {@linkcode encodeValue}, or `encodeOutcome()`, made.
 *
 * @throws {SerializationError} It cannot be read.
 */
export function decodeValue(payload: Encoded): unknown {
  switch (payload.encoding) {
    case Encoding.NONE:
      return undefined;
    case Encoding.NUMBER:
      return payload.number;
    case Encoding.TEXT:
      return payload.text;
    case Encoding.BYTES:
      return readable("result", decodeBytes, payload);
    default:
      return readable("result", decodeAny, payload);
  }
}

/** Encodes a number, a text or a buffer as it is; `undefined` for anything else, and for what takes a closer look. */
function encodeLone(value: unknown, options: EncodeOptions): Encoded | undefined {
  switch (typeof value) {
    case "number":
      return new Encoded(Encoding.NUMBER, "", value);
    case "string":
      // UTF-8 cannot say half of a pair of surrogates; JSON can.
      return value.isWellFormed() ? new Encoded(Encoding.TEXT, value) : undefined;
    case "object":
      try {
        return value === null ? undefined : encodeBuffer(value, options);
      } catch (error) {
        // It may be a proxy. The graph's writer says what is wrong with it.
        if (isExit(error)) throw error;
      }
  }
  return undefined;
}

function encodeBuffer(value: object, { sameProcess }: EncodeOptions): Encoded | undefined {
  let isMoved = false;
  if (value instanceof Transfer) {
    const { list } = value;
    value = value.value as object;
    isMoved = list.length === 1 && sameProcess && list[0] === (ArrayBuffer.isView(value) ? value.buffer : value);
    if (!isMoved) return undefined;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype === ArrayBuffer.prototype) {
    const buffer = value as ArrayBuffer;
    if (buffer.resizable || buffer.detached || Object.keys(buffer).length > 0) return undefined;
    return isMoved
      ? Encoded.moving("", buffer)
      : new Encoded(Encoding.BYTES, "", 0, [copyOf(new Uint8Array(buffer)).buffer]);
  }
  const name = VIEWS.get(prototype);
  if (name === undefined) return undefined;
  const { buffer, byteOffset, byteLength } = value as ArrayBufferView;
  if (!(buffer instanceof ArrayBuffer) || buffer.resizable || buffer.detached) return undefined;
  if (isMoved) return byteLength < buffer.byteLength ? undefined : Encoded.moving(name, buffer);
  return new Encoded(Encoding.BYTES, name, 0, [copyOf(new Uint8Array(buffer, byteOffset, byteLength)).buffer]);
}

function decodeBytes({ text, buffers }: Encoded): unknown {
  const [buffer] = buffers;
  return text === "" ? buffer : new (viewNamed(text))(buffer);
}

/** Encodes a list of numbers; `undefined` for an empty list, and for one with anything else in it. */
export function encodeNumbers(items: readonly unknown[]): Encoded | undefined {
  const { length } = items;
  if (length === 0) return undefined;
  const numbers = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    const item = items[i];
    if (typeof item !== "number") return undefined;
    numbers[i] = item;
  }
  return new Encoded(Encoding.NUMBERS, "", 0, [numbers.buffer]);
}

function decodeParts(payload: Encoded): ChunkOutcome | SettledOutcome {
  const { count, parts, failed } = splitParts(payload);
  const values = parts.map(decodeValue);
  if (failed !== undefined) return [values, [...failed]];
  return [values.slice(0, count), ...values.slice(count) as [] | [unknown]];
}

/** Decodes a list of numbers that a chunk gave. */
function decodeNumbers(payload: Encoded): ChunkOutcome {
  const numbers = new Float64Array(payload.buffers[0]);
  // Several times as fast as Array.from().
  const items: number[] = [];
  for (let i = 0; i < numbers.length; i++) items.push(numbers[i]);
  return [items];
}

function encodeAny(value: unknown, options: EncodeOptions, lists?: unknown[][]): Encoded {
  return encodeJson(value) ?? encodeGraph(value, options, lists);
}

/** Encodes what JSON can say without a loss; `undefined` for all else. */
export function encodeJson(value: unknown): Encoded | undefined {
  try {
    const copy = hasInheritedToJson() ? NOT_PLAIN : plainCopy(value, { first: undefined, all: undefined });
    return copy === NOT_PLAIN ? undefined : new Encoded(Encoding.JSON, JSON.stringify(copy));
  } catch (error) {
    // A getter has thrown, or the value is too deep or too long: the graph's writer finds out where.
    if (isExit(error)) throw error;
    return undefined;
  }
}

function decodeAny(payload: Encoded): unknown {
  switch (payload.encoding) {
    case Encoding.JSON:
      return JSON.parse(payload.text);
    case Encoding.NUMBERS:
      return decodeNumbers(payload);
    case Encoding.PARTS:
      return decodeParts(payload);
    default:
      return decodeGraph(payload);
  }
}

interface Seen {
  first: object | undefined;
  all: Set<object> | undefined;
}

const NOT_PLAIN = Symbol("not plain");

/**
 * A copy of a value of which JSON loses nothing, so not of one with repeated references. The copy is what was looked
 * at, also where a getter, or a proxy, says something else the second time.
 */
function plainCopy(value: unknown, seen: Seen): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? value : NOT_PLAIN;
    case "object":
      break;
    default:
      return NOT_PLAIN;
  }
  if (value === null) return null;
  if (seen.first === undefined) seen.first = value;
  else {
    // Most values are one object, so the set is made for the second.
    seen.all ??= new Set([seen.first]);
    if (seen.all.size === seen.all.add(value).size) return NOT_PLAIN;
  }
  const prototype = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    const { length } = value;
    // Holes and extra properties both show in the number of keys.
    if (prototype !== Array.prototype || Object.keys(value).length !== length) return NOT_PLAIN;
    const items: unknown[] = [];
    for (let i = 0; i < length; i++) {
      const item = plainCopy(value[i], seen);
      if (item === NOT_PLAIN) return NOT_PLAIN;
      items.push(item);
    }
    return items;
  }
  if (prototype !== Object.prototype) return NOT_PLAIN;
  const keys = Object.keys(value);
  // Hidden properties and symbols. Together these two calls take a third of the time of Reflect.ownKeys().
  if (Object.getOwnPropertyNames(value).length !== keys.length) return NOT_PLAIN;
  if (Object.getOwnPropertySymbols(value).length > 0) return NOT_PLAIN;
  const copy: { [key: string]: unknown } = { ...value };
  for (const key of keys) {
    if (key.length === 1 && isEscaped(key)) return NOT_PLAIN;
    const property = copy[key];
    const inner = plainCopy(property, seen);
    if (inner === NOT_PLAIN) return NOT_PLAIN;
    if (inner === property) continue;
    // To set this key would change the prototype.
    if (key === "__proto__") return NOT_PLAIN;
    copy[key] = inner;
  }
  return copy;
}
