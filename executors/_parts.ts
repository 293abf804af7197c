/**
 * Several blocks as one.
 *
 * @module
 */

import { Block, Kind } from "./_block.ts";
import { jsonOf } from "./_json.ts";

// Kept, because tasks run in the same realm and may replace it.
const { parse: parseJson } = JSON;

/** What is said of a part: how it is encoded, its text or number, and how many of the buffers and of the shared memory are its own. */
type PartEntry = [kind: number, text: string, buffers: number, shared: number];

/** Joins the blocks of a chunk's results, and that of its error. */
export function joinParts(results: readonly Block[], error: Block | undefined): Block {
  const parts = error === undefined ? results : [...results, error];
  const entries = parts.map(({ kind, text, number, buffers, shared }): PartEntry => [
    kind,
    // Said by a text: JSON knows no NaN and no -0.
    kind === Kind.NUMBER ? (Object.is(number, -0) ? "-0" : String(number)) : text,
    buffers.length,
    shared.length,
  ]);
  const clones = parts.flatMap(({ clone }) => clone ?? []);
  return new Block(
    Kind.PARTS,
    jsonOf([results.length, entries]),
    0,
    parts.flatMap(({ buffers }) => buffers),
    parts.flatMap(({ shared }) => shared),
    clones.length === 0
      ? undefined
      : { value: clones.map(({ value }) => value), list: clones.flatMap(({ list }) => list) },
  );
}

/** The blocks that {@linkcode joinParts} joined, and how many of them are results. */
export function partsOf({ text, buffers, shared, clone }: Block): { count: number; parts: Block[] } {
  const [count, entries] = parseJson(text) as [number, PartEntry[]];
  const clones = [...(clone?.value ?? []) as unknown[]];
  let [atBuffer, atShared] = [0, 0];
  const parts = entries.map(([kind, text, buffersOfIt, sharedOfIt]) =>
    new Block(
      kind,
      text,
      kind === Kind.NUMBER ? Number(text) : 0,
      buffers.slice(atBuffer, atBuffer += buffersOfIt),
      shared.slice(atShared, atShared += sharedOfIt),
      kind === Kind.CLONE ? { value: clones.shift(), list: [] } : undefined,
    )
  );
  return { count, parts };
}
