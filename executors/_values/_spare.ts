/**
 * The memory of a large text whose bytes nobody needs any more, for the next one. New memory comes from the system
 * page by page and filled with zeros, which takes longer than to write the text there.
 *
 * @module
 */

/** Smaller memory takes no time to get, and larger memory is not to be held. */
const MIN_BYTES = 2 ** 17;
const MAX_BYTES = 2 ** 23;

/** Held as long as V8 collects no garbage, which it is: so who is idle holds no more than without it. */
let spare: WeakRef<ArrayBuffer> | undefined;

/** Takes the memory; `undefined` where there is none, or it is too small, or half of it would be of no use. */
export function takeSpare(byteLength: number): Uint8Array<ArrayBuffer> | undefined {
  if (spare === undefined || byteLength < MIN_BYTES) return undefined;
  const buffer = spare.deref();
  if (buffer === undefined || buffer.byteLength < byteLength || buffer.byteLength > byteLength * 2) return undefined;
  spare = undefined;
  return new Uint8Array(buffer, 0, byteLength);
}

/** Gives memory back that no view is used of any more. */
export function giveBack(buffer: ArrayBuffer): void {
  const { byteLength } = buffer;
  if (byteLength >= MIN_BYTES && byteLength <= MAX_BYTES) spare = new WeakRef(buffer);
}
