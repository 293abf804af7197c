/**
 * Values that cross between threads and processes: lossless, or refused with the path of what cannot cross.
 *
 * A value goes the cheapest way that loses nothing: a lone number as 8 bytes, plain JSON values as JSON text, and
 * all else as a graph (`_graph.ts`).
 *
 * @module
 */

import { SerializationError } from "../futures/errors.ts";
import { Block, EMPTY, Kind, NOTHING } from "./_block.ts";
import { decodeGraph, encodeGraph, type EncodeOptions, isEscaped, isExit } from "./_graph.ts";
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
