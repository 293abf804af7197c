/**
 * The bell: a word of shared memory by which other threads wake the thread that owns it.
 *
 * Its STATE is ARMED while the owner wants to be notified. Only the owner arms it, only who rings disarms it, with the
 * notification: so a burst of results costs one. No ring is lost: who rings first publishes, then counts up SEQUENCE,
 * then reads STATE; the owner first arms STATE, then reads SEQUENCE. Both are sequentially consistent, so
 * at least one of them sees the other.
 *
 * @module
 */

import { Atomics } from "./builtins.ts";

/** Index of the word that is waited on. */
export const STATE = 0;
/** Index of the word that counts the rings. */
export const SEQUENCE = 1;
/** The STATE in which the owner wants to be notified; otherwise it is 0. */
export const ARMED = 1;

/** Makes a bell. */
export function createBell(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

/** Called by other threads after they published something for the owner of the bell. */
export function ring(bell: Int32Array): void {
  Atomics.add(bell, SEQUENCE, 1);
  if (
    Atomics.load(bell, STATE) === ARMED &&
    Atomics.compareExchange(bell, STATE, ARMED, 0) === ARMED
  ) {
    // All, not one: a waitAsync that the owner left pending could take the only notification from its blocked wait.
    Atomics.notify(bell, STATE);
  }
}
