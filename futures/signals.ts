/**
 * Futures that are stopped together, most often by a signal. One signal has one listener here, however many futures it
 * stops, and none when they are done.
 *
 * @module
 */

import { type Future, internals, type Waiter } from "./future.ts";

const watches = new WeakMap<AbortSignal, SignalWatch>();

/** Stops a future when a signal is aborted, unless the future is done before. */
export function stopWith(signal: AbortSignal, future: Future<unknown>): void {
  let watch = watches.get(signal);
  if (watch === undefined) watches.set(signal, watch = new SignalWatch(signal));
  watch.add(future);
}

/** The futures of one signal. */
class SignalWatch implements Waiter {
  readonly #signal: AbortSignal;
  readonly #futures = new Set<Future<unknown>>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(future: Future<unknown>): void {
    if (internals.isDone(future)) return;
    if (this.#futures.size === 0) this.#signal.addEventListener("abort", this.#onAbort);
    this.#futures.add(future);
    internals.addWaiter(future, this);
  }

  completed(future: Future<unknown>): void {
    this.#futures.delete(future);
    if (this.#futures.size === 0) this.#signal.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    const futures = [...this.#futures];
    for (const future of futures) internals.removeWaiter(future, this);
    this.#futures.clear();
    this.#signal.removeEventListener("abort", this.#onAbort);
    abortAll(futures, this.#signal.reason);
  };
}

/** Stops several futures, each as {@linkcode Future.abort} does, so that no worker begins one of them meanwhile. */
export function abortAll(futures: readonly Future<unknown>[], reason: unknown): void {
  // All that has not begun is cancelled before anything else is done: workers go on meanwhile.
  const deliver = internals.cancelAll(futures);
  for (const future of futures) future.abort(reason);
  // Last: a callback may block.
  deliver();
}
