/**
 * The signals among the arguments of tasks: their memory is told when they are aborted, as long as a task has them. A
 * listener must not stay longer: that of a signal with a timeout would keep the program alive until then.
 *
 * @module
 */

import { type Future, internals, type Waiter } from "../../futures/future.ts";
import { noteAborted, signalOf } from "../_values/signals.ts";

const followed = new WeakMap<AbortSignal, Followed>();

/** Notes which of those signals are aborted whose memory is among what a task shares. */
export function noteSignals(shared: readonly SharedArrayBuffer[]): void {
  for (const memory of shared) {
    const signal = signalOf(memory);
    if (signal !== undefined) noteAborted(signal, memory);
  }
}

/** Follows those signals whose memory is among what a task shares, until its future is done. */
export function followSignals(shared: readonly SharedArrayBuffer[], future: Future<unknown>): void {
  for (const memory of shared) {
    const signal = signalOf(memory);
    if (signal === undefined || internals.isDone(future)) continue;
    if (signal.aborted) {
      // Since it was encoded: that of a task is aborted by another thread.
      noteAborted(signal, memory);
      continue;
    }
    let one = followed.get(signal);
    if (one === undefined) followed.set(signal, one = new Followed(signal, memory));
    one.add(future);
  }
}

/** A signal that tasks have: one listener, however many they are. */
class Followed implements Waiter {
  readonly #signal: AbortSignal;
  readonly #memory: SharedArrayBuffer;
  /** How many futures are not done whose tasks have it. */
  #users = 0;

  constructor(signal: AbortSignal, memory: SharedArrayBuffer) {
    this.#signal = signal;
    this.#memory = memory;
  }

  add(future: Future<unknown>): void {
    if (this.#users++ === 0) this.#signal.addEventListener("abort", this.#onAbort);
    internals.addWaiter(future, this);
  }

  completed(): void {
    if (--this.#users === 0) this.#signal.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => noteAborted(this.#signal, this.#memory);
}
