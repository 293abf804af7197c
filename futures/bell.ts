/**
 * The bell: a word of shared memory by which other threads wake the thread that owns it.
 *
 * Its STATE is ARMED while the owner wants to be notified. Only the owner arms it, and only a thread that rings disarms
 * it and then notifies, so a burst of results costs one notification. No ring is lost: a thread that rings publishes
 * first, then counts up SEQUENCE, then reads STATE; the owner arms STATE first, then reads SEQUENCE. All of that is
 * sequentially consistent, so at least one of the two sees the other.
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

/** Called by other threads after they have published something for the owner of the bell. */
export function ring(bell: Int32Array): void {
  Atomics.add(bell, SEQUENCE, 1);
  if (
    Atomics.load(bell, STATE) === ARMED &&
    Atomics.compareExchange(bell, STATE, ARMED, 0) === ARMED
  ) {
    // All waits, not one: the owner blocks, maybe, and an older waitAsync of its would take the only notification.
    Atomics.notify(bell, STATE);
  }
}
