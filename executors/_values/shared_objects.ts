/**
 * Objects that lie in shared memory: a thread that gets one uses the same one. This room knows that there are such
 * objects, and neither their classes nor what is in their memory.
 *
 * @module
 */

import { type Encoded, Encoding } from "./encoded.ts";
import { GraphFlag } from "./_graph_format.ts";

/** What an object is made of. */
export interface SharedParts {
  /** The name of its class, for messages and for the receiver. */
  readonly kind: string;
  /** Where it lies. The first word is its number, which no other object of the program has. */
  readonly memory: SharedArrayBuffer;
  /** Another object that it is made with, such as the lock of a condition. */
  readonly part: unknown;
}

/** Makes an object of one class for this thread. */
type Make = (memory: SharedArrayBuffer, part: unknown) => object;

const makers = new Map<string, Make>();
const parts = new WeakMap<object, SharedParts>();
/** The objects of this thread, by their numbers: whoever gets one twice has one object. */
const objects = new Map<number, WeakRef<object>>();
const registry = new FinalizationRegistry<number>((number) => {
  if (objects.get(number)?.deref() === undefined) objects.delete(number);
});

/** Says how the objects of a class are made. */
export function registerKind(kind: string, make: Make): void {
  makers.set(kind, make);
}

/** Says of a new object what it is made of. */
export function registerObject(object: object, made: SharedParts): void {
  parts.set(object, made);
  const number = numberOf(made.memory);
  objects.set(number, new WeakRef(object));
  registry.register(object, number);
}

function numberOf(memory: SharedArrayBuffer): number {
  return new Int32Array(memory, 0, 1)[0];
}

/** Whether a thing lies in shared memory. */
export function isShared(thing: object): boolean {
  return parts.has(thing);
}

/** What an object is made of. */
export function partsOf(object: object): SharedParts {
  return parts.get(object)!;
}

/** This thread's object for a piece of memory. */
export function objectOf(kind: string, memory: SharedArrayBuffer | undefined, part: unknown): object {
  const make = makers.get(kind);
  if (make === undefined) {
    const fix = "to fix it, import @concurrent/futures/sync in this thread, too";
    throw new SyntaxError(`Cannot read an object of the class ${kind}, whose module has not been imported: ${fix}`);
  }
  if (memory === undefined) throw new SyntaxError(`Cannot read an object of the class ${kind}: it has no memory`);
  return objects.get(numberOf(memory))?.deref() ?? make(memory, part);
}

/** Whether objects are in a payload that lie in shared memory: their classes must be loaded before it is decoded. */
export function hasObjects({ encoding, text, shared }: Encoded): boolean {
  if (shared.length === 0 || (encoding !== Encoding.GRAPH && encoding !== Encoding.CLONE)) return false;
  return (Number(text[1]) & GraphFlag.OBJECTS) !== 0;
}
