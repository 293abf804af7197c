/**
 * What a task carries whose caller has given it a name: the name, and then what it would carry else.
 *
 * @module
 */

import { Encoded, Encoding } from "./encoded.ts";
import { joinParts, splitParts } from "./_parts.ts";

/** Adds a name to what a task carries. */
export function withName(name: string, payload: Encoded): Encoded {
  payload.takeMoved("args");
  return joinParts([new Encoded(Encoding.TEXT, name), payload], undefined);
}

/** Takes apart what {@linkcode withName} has joined. */
export function nameAndRest(payload: Encoded): [name: string, rest: Encoded] {
  const [name, rest] = splitParts(payload).parts;
  return [name.text, rest];
}
