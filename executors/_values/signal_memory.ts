/**
 * The memory of a signal among the arguments of tasks: whether it was aborted, and the text of the reason. Apart from
 * what makes signals and reasons of it: who only passes tasks on starts without all that.
 *
 * @module
 */

import { Atomics } from "../../futures/builtins.ts";

/** The words of a signal's memory: whether it was aborted, and how long the text of the reason is, in bytes. */
const ABORTED = 0;
const LENGTH = 1;
const TEXT_AT = 8;

/** How many bytes the text of a reason takes at the most; a longer one does not cross. */
export const MAX_REASON_BYTES = 2040;

const decoder = new TextDecoder();

/** Makes memory for a signal. */
export function createSignalMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(TEXT_AT + MAX_REASON_BYTES);
}

function wordsOf(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, 0, 2);
}

/** Whether the signal of a memory was aborted. */
export function isAborted(memory: SharedArrayBuffer): boolean {
  return Atomics.load(wordsOf(memory), ABORTED) === 1;
}

/** Notes that a signal was aborted, with the text of its reason. */
export function abortMemory(memory: SharedArrayBuffer, reason: Uint8Array): void {
  const words = wordsOf(memory);
  if (Atomics.load(words, ABORTED) === 1) return;
  new Uint8Array(memory, TEXT_AT).set(reason);
  words[LENGTH] = reason.length;
  // Last: whoever sees it reads the reason.
  Atomics.store(words, ABORTED, 1);
  Atomics.notify(words, ABORTED);
}

/** The text of the reason of a signal that was aborted. */
export function textIn(memory: SharedArrayBuffer): string {
  return decoder.decode(new Uint8Array(memory, TEXT_AT, wordsOf(memory)[LENGTH]).slice());
}

/**
 * Calls a function from the event loop when the signal of a memory is aborted, or at once where that has been; returns
 * what calls that off.
 */
export function whenAborted(memory: SharedArrayBuffer, fn: (reason: string) => void): () => void {
  const words = wordsOf(memory);
  let isOff = false;
  void (async () => {
    while (!isOff && Atomics.load(words, ABORTED) === 0) {
      const wait = Atomics.waitAsync(words, ABORTED, 0);
      if (wait.async) await wait.value;
    }
    if (!isOff) fn(textIn(memory));
  })();
  return () => {
    isOff = true;
    // Whoever else waits looks, and waits again.
    Atomics.notify(words, ABORTED);
  };
}

/** The text of the reason where the signal of a memory was aborted. */
export function abortedReason(memory: SharedArrayBuffer): string | undefined {
  return isAborted(memory) ? textIn(memory) : undefined;
}
