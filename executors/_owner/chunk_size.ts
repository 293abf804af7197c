/**
 * How many items of a map are sent to a worker at once.
 *
 * @module
 */

/**
 * The maximum number of items that are sent at once: if it is known how quick they are, and if it is not. They share
 * the cost of sending. With more of them, each would save next to nothing.
 */
const MAX_QUICK_ITEMS = 1024;
const MAX_ITEMS = 256;

/** How long a chunk should take, in milliseconds. Compared with that, the cost of sending it is small. */
const CHUNK_MS = 5;

/**
 * How many items to send at once next. Where nobody knows what they will take, the first chunks are small, so that all
 * workers have work and the first results come soon; then they grow. The last ones are small again, so that no worker
 * is left with much more to do than the others. Such a sequence is called guided self-scheduling (Polychronopoulos and
 * Kuck, 1987).
 *
 * @param msPerItem How many milliseconds an item took, if that is known.
 */
export function nextChunksize(submitted: number, left: number, maxWorkers: number, msPerItem?: number): number {
  const most = msPerItem === undefined
    ? Math.min(MAX_ITEMS, submitted / (4 * maxWorkers))
    : Math.min(MAX_QUICK_ITEMS, CHUNK_MS / msPerItem);
  return Math.max(1, Math.floor(Math.min(most, left / (4 * maxWorkers))));
}
