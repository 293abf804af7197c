/**
 * Values that cross between threads and processes: lossless, or refused with the path of what cannot cross.
 *
 * A value goes the cheapest way that loses nothing: a lone number as 8 bytes, a lone text or buffer as it is, plain JSON values as JSON
 * text, and all else as a graph (`_graph.ts`).
 *
 * @module
 */

import { SerializationError } from "../futures/errors.ts";
import { Block, copyOf, EMPTY, Kind, NOTHING } from "./_block.ts";
import { decodeGraph, encodeGraph, type EncodeOptions, isEscaped, isExit, viewNamed, VIEWS } from "./_graph.ts";
import type { ChunkOutcome } from "./_consumer.ts";
import { Transfer } from "./transfer.ts";

// Kept, because tasks run in the same realm and may replace them.
const { parse: parseJson, stringify: stringifyJson } = JSON;

/**
 * Encodes a task's arguments.
 *
 * @throws {SerializationError} Something in them cannot cross.
 */
export function encodeArguments(args: readonly unknown[], options: EncodeOptions): Block {
  if (args.length === 0) return EMPTY;
  return args.length === 1 ? encodeLone(args[0], options) ?? encodeAny(args, options) : encodeAny(args, options);
}

/** Decodes what {@linkcode encodeArguments} made. */
export function decodeArguments(block: Block): unknown[] {
  switch (block.kind) {
    case Kind.NONE:
      return [];
    case Kind.NUMBER:
    case Kind.TEXT:
    case Kind.BYTES:
      return [decodeLone(block)];
    default:
      return decodeAny(block) as unknown[];
  }
}

/**
 * Encodes the arguments of a chunk's calls, one argument for each.
 *
 * @throws {SerializationError} Something in them cannot cross.
 */
export function encodeColumn(items: readonly unknown[], options: EncodeOptions): Block {
  return encodeNumbers(items) ?? encodeAny(items, options);
}

/** Decodes what {@linkcode encodeColumn} made. */
export function decodeColumn(block: Block): ArrayLike<unknown> {
  return block.kind === Kind.NUMBERS ? new Float64Array(block.buffers[0]) : decodeAny(block) as unknown[];
}

/**
 * Encodes what a task returned or threw.
 *
 * @throws {SerializationError} Something in it cannot cross.
 */
export function encodeValue(value: unknown, options: EncodeOptions): Block {
  return value === undefined ? EMPTY : encodeLone(value, options) ?? encodeAny(value, options);
}

/** Decodes what {@linkcode encodeValue} made. */
export function decodeValue(block: Block): unknown {
  switch (block.kind) {
    case Kind.NONE:
      return undefined;
    case Kind.NUMBER:
    case Kind.TEXT:
    case Kind.BYTES:
      return decodeLone(block);
    default:
      return decodeAny(block);
  }
}

/** A number, a text or a buffer needs nothing around it; `undefined` for what is none of them, or takes a closer look. */
function encodeLone(value: unknown, options: EncodeOptions): Block | undefined {
  switch (typeof value) {
    case "number":
      return new Block(Kind.NUMBER, "", value);
    case "string":
      // UTF-8 cannot say half of a pair of surrogates; JSON can.
      return value.isWellFormed() ? new Block(Kind.TEXT, value) : undefined;
    case "object":
      try {
        return value === null ? undefined : encodeBuffer(value, options);
      } catch (error) {
        // Such as a proxy: the thorough way says what is wrong with it.
        if (isExit(error)) throw error;
      }
  }
  return undefined;
}

function encodeBuffer(value: object, { sameProcess }: EncodeOptions): Block | undefined {
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
    if (buffer.resizable || buffer.detached) return undefined;
    return isMoved ? Block.moving("", buffer) : new Block(Kind.BYTES, "", 0, [copyOf(new Uint8Array(buffer)).buffer]);
  }
  const name = VIEWS.get(prototype);
  if (name === undefined) return undefined;
  const { buffer, byteOffset, byteLength } = value as ArrayBufferView;
  if (!(buffer instanceof ArrayBuffer) || buffer.resizable || buffer.detached) return undefined;
  if (isMoved) return byteLength < buffer.byteLength ? undefined : Block.moving(name, buffer);
  return new Block(Kind.BYTES, name, 0, [copyOf(new Uint8Array(buffer, byteOffset, byteLength)).buffer]);
}

function decodeLone({ kind, text, number, buffers }: Block): unknown {
  if (kind === Kind.NUMBER) return number;
  if (kind === Kind.TEXT) return text;
  const [buffer] = buffers;
  return text === "" ? buffer : new (viewNamed(text))(buffer);
}

/** A list of numbers; `undefined` where something else is in it, or nothing. */
function encodeNumbers(items: readonly unknown[]): Block | undefined {
  const { length } = items;
  if (length === 0) return undefined;
  const numbers = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    const item = items[i];
    if (typeof item !== "number") return undefined;
    numbers[i] = item;
  }
  return new Block(Kind.NUMBERS, "", 0, [numbers.buffer]);
}

/**
 * Encodes what a chunk gave.
 *
 * @throws {SerializationError} Something in it cannot cross.
 */
export function encodeOutcome(outcome: ChunkOutcome, options: EncodeOptions): Block {
  return (outcome.length === 1 ? encodeNumbers(outcome[0]) : undefined) ?? encodeAny(outcome, options);
}

/** Decodes what {@linkcode encodeOutcome} made. */
function decodeOutcome(block: Block): ChunkOutcome {
  const numbers = new Float64Array(block.buffers[0]);
  // Several times as fast as Array.from().
  const items: number[] = [];
  for (let i = 0; i < numbers.length; i++) items.push(numbers[i]);
  return [items];
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
    case Kind.NUMBERS:
      return decodeOutcome(block);
    default:
      return decodeGraph(block);
  }
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
    if (key.length === 1 && isEscaped(key)) return false;
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
