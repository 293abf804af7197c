/**
 * Several payloads as one.
 *
 * @module
 */

import { JSON } from "../../futures/builtins.ts";
import { EMPTY, Encoded, Encoding, NOTHING } from "./encoded.ts";
import { jsonOf } from "./json.ts";

/**
 * What the text says of a part: how it is encoded, its text or number, and how many of the buffers and of the pieces of
 * shared memory are its own. 0 stands for the payload of nothing. A number is a text here, as JSON has no NaN and no
 * -0.
 */
type PartEntry = 0 | [encoding: number, text: string, buffers: number, shared: number];

/**
 * Joins the payloads of a chunk's results, and that of its error.
 *
 * @param failed Of a chunk whose items all have an outcome: the places of those that are errors.
 */
export function joinParts(
  results: readonly Encoded[],
  error: Encoded | undefined,
  failed?: readonly number[],
): Encoded {
  const entries: PartEntry[] = [];
  const buffers: ArrayBuffer[] = [];
  const shared: SharedArrayBuffer[] = [];
  const clones: unknown[] = [];
  const list: Transferable[] = [];
  for (const part of error === undefined ? results : [...results, error]) {
    if (part.encoding === Encoding.NONE) {
      entries.push(0);
      continue;
    }
    const { encoding, number } = part;
    const text = encoding === Encoding.NUMBER ? (Object.is(number, -0) ? "-0" : String(number)) : part.text;
    entries.push([encoding, text, part.buffers.length, part.shared.length]);
    for (const buffer of part.buffers) buffers.push(buffer);
    for (const memory of part.shared) shared.push(memory);
    if (part.clone === undefined) continue;
    clones.push(part.clone.value);
    list.push(...part.clone.list);
  }
  const clone = clones.length === 0 ? undefined : { value: clones, list };
  const text = jsonOf(failed === undefined ? [results.length, entries] : [results.length, entries, failed]);
  return new Encoded(Encoding.PARTS, text, 0, buffers, shared, clone);
}

/** What {@linkcode joinParts} joined. */
interface Parts {
  /** How many of the payloads are results. */
  readonly count: number;
  readonly parts: Encoded[];
  readonly failed: number[] | undefined;
}

/** The payloads that {@linkcode joinParts} joined, and what else it was told of them. */
export function splitParts({ text, buffers, shared, clone }: Encoded): Parts {
  const [count, entries, failed] = JSON.parse(text) as [number, PartEntry[], number[]?];
  const clones = [...(clone?.value ?? []) as unknown[]];
  let [atBuffer, atShared] = [0, 0];
  const parts = entries.map((entry) => {
    if (entry === 0) return EMPTY;
    const [encoding, text, buffersOfIt, sharedOfIt] = entry;
    return new Encoded(
      encoding,
      text,
      encoding === Encoding.NUMBER ? Number(text) : 0,
      buffersOfIt === 0 ? NOTHING : buffers.slice(atBuffer, atBuffer += buffersOfIt),
      sharedOfIt === 0 ? NOTHING : shared.slice(atShared, atShared += sharedOfIt),
      encoding === Encoding.CLONE ? { value: clones.shift(), list: [] } : undefined,
    );
  });
  return { count, parts, failed };
}
