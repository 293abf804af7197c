/**
 * How the objects of this room lie in shared memory.
 *
 * @module
 */

import { nextObject } from "../_queue/holders.ts";
import { registerKind, registerObject } from "../_values/shared_objects.ts";

/** The first word of each object is its number. */
export const FIRST_WORD = 1;

/** The memory that the next constructor takes, instead of new memory. */
let given: { memory: SharedArrayBuffer; part: unknown } | undefined;

/** Where an object lies. */
export interface Place {
  readonly words: Int32Array;
  /** Whether its memory is new, and empty. */
  readonly isNew: boolean;
  /** The object that it is made with. */
  readonly part: unknown;
}

/** Says that the objects of a class cross to other threads. */
export function sharedClass(kind: string, constructor: new (...args: never[]) => object): void {
  registerKind(kind, (memory, part) => {
    given = { memory, part };
    return new constructor(...[] as never[]);
  });
}

/** Whether the constructor that calls this makes an object of memory that there is. */
export function isGiven(): boolean {
  return given !== undefined;
}

/**
 * Gives a new object its memory. Called by its constructor.
 *
 * @param bytes How much memory it takes.
 * @param part Makes the object that it is made with, where it is new.
 */
export function place(object: object, kind: string, bytes: number, part?: () => unknown): Place {
  const isNew = given === undefined;
  const parts = given ?? { memory: new SharedArrayBuffer(bytes), part: part?.() };
  given = undefined;
  const words = new Int32Array(parts.memory);
  if (isNew) words[0] = nextObject();
  registerObject(object, { kind, memory: parts.memory, part: parts.part });
  return { words, isNew, part: parts.part };
}
