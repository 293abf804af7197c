/**
 * Signals among the arguments of tasks. Who has a signal notes in memory that is shared that it was aborted, and why;
 * who gets it makes a signal of its own that looks there.
 *
 * @module
 */

import { decodeValue, encodeValue } from "./codec.ts";
import { Encoded } from "./encoded.ts";
import { makeLiveSignal } from "./live_signal.ts";
import { abortMemory, createSignalMemory, isAborted, MAX_REASON_BYTES, textIn, whenAborted } from "./signal_memory.ts";

const encoder = new TextEncoder();
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
