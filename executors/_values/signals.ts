/**
 * Signals among the arguments of tasks. Who has a signal notes in memory that is shared that it was aborted, and why;
 * who gets it makes a signal of its own that looks there.
 *
 * @module
 */

import { Atomics } from "../../futures/builtins.ts";
import { decodeValue, encodeValue } from "./codec.ts";
import { Encoded } from "./encoded.ts";
import { makeLiveSignal } from "./live_signal.ts";

/** The words of a signal's memory: whether it was aborted, and how long the text of the reason is, in bytes. */
const ABORTED = 0;
const LENGTH = 1;
const TEXT_AT = 8;

/** How many bytes the text of a reason takes at the most; a longer one does not cross. */
export const MAX_REASON_BYTES = 2040;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Kept, because a task may replace it. */
const Exception = DOMException;

const memories = new WeakMap<AbortSignal, SharedArrayBuffer>();
const signals = new WeakMap<SharedArrayBuffer, AbortSignal>();

/** The memory of a signal, which says whether it is aborted now; {@linkcode noteAborted} says so later. */
export function memoryOf(signal: AbortSignal): SharedArrayBuffer {
  let memory = memories.get(signal);
  if (memory === undefined) {
    memories.set(signal, memory = createSignalMemory());
    signals.set(memory, signal);
  }
  noteAborted(signal, memory);
  return memory;
}

/** The signal of this thread that a memory was made for. */
export function signalOf(memory: SharedArrayBuffer): AbortSignal | undefined {
  return signals.get(memory);
}

/** Notes in its memory that a signal was aborted, if it was. */
export function noteAborted(signal: AbortSignal, memory: SharedArrayBuffer): void {
  if (signal.aborted && !isAborted(memory)) abortMemory(memory, bytesOf(signal.reason));
}

/** Makes memory for a signal. */
export function createSignalMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(TEXT_AT + MAX_REASON_BYTES);
}

function wordsOf(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, 0, 2);
}

function isAborted(memory: SharedArrayBuffer): boolean {
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

/** The text of a reason; nothing where it cannot cross, or is too long. */
function bytesOf(reason: unknown): Uint8Array {
  try {
    // In a list, which has a text whatever is in it.
    const { encoding, text, buffers } = encodeValue([reason], { root: "error", sameProcess: false });
    const bytes = encoder.encode(`${encoding} ${text}`);
    if (buffers.length === 0 && bytes.length <= MAX_REASON_BYTES) return bytes;
  } catch {
    // As below.
  }
  return new Uint8Array(0);
}

/** The text of the reason of a signal that was aborted. */
function textIn(memory: SharedArrayBuffer): string {
  return decoder.decode(new Uint8Array(memory, TEXT_AT, wordsOf(memory)[LENGTH]).slice());
}

function reasonIn(memory: SharedArrayBuffer): unknown {
  const text = textIn(memory);
  if (text !== "") {
    try {
      const space = text.indexOf(" ");
      return (decodeValue(new Encoded(Number(text.slice(0, space)), text.slice(space + 1))) as [unknown])[0];
    } catch {
      // As for one that has not crossed.
    }
  }
  return new Exception("The signal was aborted", "AbortError");
}

/** Looks whether signals were aborted that others tell in another way. */
let poll: () => void = () => {};

/** Says what is to be called before the memory of a signal is looked at. */
export function pollSignalsBy(fn: () => void): void {
  poll = fn;
}

/** Calls off what follows the signals of the task that holds this thread. */
const followed = new Set<() => void>();

/** Makes a signal that is aborted as the memory says. */
export function signalFrom(memory: SharedArrayBuffer | undefined): AbortSignal {
  if (memory === undefined) throw new SyntaxError("Cannot read as a signal: it has no memory");
  const own = signalOf(memory);
  if (own !== undefined) return own;
  const live = makeLiveSignal(() => {
    poll();
    return isAborted(memory) ? [reasonIn(memory)] : undefined;
  });
  memories.set(live.signal, memory);
  // Nobody listens yet.
  live.fire();
  let callOff = () => {};
  // It may have been aborted since: then this is called at once.
  callOff = whenAborted(memory, () => {
    followed.delete(callOff);
    live.fire();
  });
  followed.add(callOff);
  return live.signal;
}

/** The task that holds this thread is done: nothing follows its signals any more. */
export function releaseSignals(): void {
  if (followed.size === 0) return;
  for (const callOff of followed) callOff();
  followed.clear();
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
