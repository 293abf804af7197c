/**
 * The memory of a large text whose bytes nobody needs any more, for the next one. New memory comes from the system
 * page by page and filled with zeros, which takes longer than to write the text there.
 *
 * @module
 */

/** Smaller memory takes no time to get, and larger memory is not to be held. */
const MIN_BYTES = 2 ** 17;
const MAX_BYTES = 2 ** 23;

/** What holds the memory, one piece at a time. */
interface Holder {
  buffer: ArrayBuffer | undefined;
}

/**
 * It stays as long as V8 collects no garbage: so who is idle holds no more than without it. A WeakRef of the memory
 * itself would not do: V8 keeps what WeakRefs are of to the end of the turn, and a program that blocks has none.
 */
let spare: WeakRef<Holder> | undefined;

/** Takes the memory; `undefined` where there is none, or it is too small, or half of it would be of no use. */
export function takeSpare(byteLength: number): Uint8Array<ArrayBuffer> | undefined {
  if (spare === undefined || byteLength < MIN_BYTES) return undefined;
  const holder = spare.deref();
  const buffer = holder?.buffer;
  if (buffer === undefined || buffer.byteLength < byteLength || buffer.byteLength > byteLength * 2) return undefined;
  holder!.buffer = undefined;
  return new Uint8Array(buffer, 0, byteLength);
}

/** Gives memory back that no view is used of any more. */
export function giveBack(buffer: ArrayBuffer): void {
  const { byteLength } = buffer;
  if (byteLength < MIN_BYTES || byteLength > MAX_BYTES) return;
  const holder = spare?.deref();
  if (holder === undefined) spare = new WeakRef({ buffer });
  else holder.buffer = buffer;
}
