/**
 * Several blocks as one.
 *
 * @module
 */

import { Block, EMPTY, Kind, NOTHING } from "./encoded.ts";
import { jsonOf } from "./json.ts";

// Kept, because tasks run in the same realm and may replace it.
const { parse: parseJson } = JSON;

/**
 * What is said of a part: how it is encoded, its text or number, and how many of the buffers and of the shared memory
 * are its own; 0 for the block of nothing. A number is said by a text: JSON knows no NaN and no -0.
 */
type PartEntry = 0 | [kind: number, text: string, buffers: number, shared: number];

/** Joins the blocks of a chunk's results, and that of its error. */
export function joinParts(results: readonly Block[], error: Block | undefined): Block {
  const entries: PartEntry[] = [];
  const buffers: ArrayBuffer[] = [];
  const shared: SharedArrayBuffer[] = [];
  const clones: unknown[] = [];
  const list: Transferable[] = [];
  for (const part of error === undefined ? results : [...results, error]) {
    if (part.kind === Kind.NONE) {
      entries.push(0);
      continue;
    }
    const { kind, number } = part;
    const text = kind === Kind.NUMBER ? (Object.is(number, -0) ? "-0" : String(number)) : part.text;
    entries.push([kind, text, part.buffers.length, part.shared.length]);
    for (const buffer of part.buffers) buffers.push(buffer);
    for (const memory of part.shared) shared.push(memory);
    if (part.clone === undefined) continue;
    clones.push(part.clone.value);
    list.push(...part.clone.list);
  }
  const clone = clones.length === 0 ? undefined : { value: clones, list };
  return new Block(Kind.PARTS, jsonOf([results.length, entries]), 0, buffers, shared, clone);
}

/** The blocks that {@linkcode joinParts} joined, and how many of them are results. */
export function partsOf({ text, buffers, shared, clone }: Block): { count: number; parts: Block[] } {
  const [count, entries] = parseJson(text) as [number, PartEntry[]];
  const clones = [...(clone?.value ?? []) as unknown[]];
  let [atBuffer, atShared] = [0, 0];
  const parts = entries.map((entry) => {
    if (entry === 0) return EMPTY;
    const [kind, text, buffersOfIt, sharedOfIt] = entry;
    return new Block(
      kind,
      text,
      kind === Kind.NUMBER ? Number(text) : 0,
      buffersOfIt === 0 ? NOTHING : buffers.slice(atBuffer, atBuffer += buffersOfIt),
      sharedOfIt === 0 ? NOTHING : shared.slice(atShared, atShared += sharedOfIt),
      kind === Kind.CLONE ? { value: clones.shift(), list: [] } : undefined,
    );
  });
  return { count, parts };
}
