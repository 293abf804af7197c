/**
 * Signals that another thread aborts. Such a signal is a real `AbortSignal`, and it also looks at shared memory when it
 * is asked: so it tells the truth in a loop that never lets the event loop go on.
 *
 * @module
 */

/** A signal, and what aborts it. */
export interface LiveSignal {
  readonly signal: AbortSignal;
  /** Aborts the signal if it is to be, and calls its listeners: from the event loop only. */
  fire(): void;
}

// Kept, because a task may replace them.
const Controller = AbortController;
const { aborted, reason } = Object.getOwnPropertyDescriptors(AbortSignal.prototype);
const { defineProperties } = Object;

/**
 * Makes a signal.
 *
 * @param look Looks whether the signal is to be aborted: then it returns the reason in a list.
 */
export function makeLiveSignal(look: () => [reason: unknown] | undefined): LiveSignal {
  const controller = new Controller();
  const { signal } = controller;
  /** What was found: what a signal has said stays so. */
  let found: [reason: unknown] | undefined;
  let isFired = false;
  const isAborted = () => isFired || (found ??= look()) !== undefined;
  defineProperties(signal, {
    aborted: { configurable: true, get: () => isFired ? aborted.get!.call(signal) : isAborted() },
    reason: { configurable: true, get: () => isFired ? reason.get!.call(signal) : isAborted() ? found![0] : undefined },
    throwIfAborted: {
      configurable: true,
      value: () => {
        if (signal.aborted) throw signal.reason;
      },
    },
  });
  return {
    signal,
    fire() {
      if (!isAborted()) return;
      // First: Deno aborts no signal that says it is.
      isFired = true;
      controller.abort(found![0]);
    },
  };
}
