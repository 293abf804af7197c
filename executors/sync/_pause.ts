/**
 * How a thread waits for a word of shared memory to change: blocked, or from its event loop.
 *
 * What waits is written once, as a generator that yields each wait. {@linkcode block} and {@linkcode awaited} are the
 * two ways to run it.
 *
 * @module
 */

import { Atomics, Math, performance } from "../../futures/builtins.ts";
import { hold, lookWhileBlocked, release } from "../../futures/wakeup.ts";
import { holding } from "../_queue/holders.ts";

/** A wait that ends when the word is not the value any more, at the deadline, or after a while. */
export interface Pause {
  readonly words: Int32Array;
  readonly index: number;
  readonly value: number;
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
}

/** What waits: each wait may end without a reason, so the generator looks again, also at the holder. */
export type Steps<R> = Generator<Pause, R, void>;

/** The deadline of who must have a mutex to leave things whole: it never passes, also where the task is stopped. */
export const NEVER = 1e300;

/** Whether what runs now is to end because its task was stopped. */
let isStopped = false;

/** Whether a deadline has passed; where the task was stopped, each has. */
export function isOver(deadline: number): boolean {
  return performance.now() >= deadline || (isStopped && deadline !== NEVER);
}

/** After how many milliseconds a thread that waits looks whether the holder has died. */
const LOOK_MS = 20;
/** The same where the thread has executors, which get no turn of the event loop meanwhile. */
const DELIVER_MS = 4;

/**
 * Runs it, and blocks this thread where it waits.
 *
 * If the task is stopped meanwhile, the wait ends as at its deadline, so that all is left whole. Then this throws the
 * reason, unless the wait has got what it wanted at the last moment.
 */
export function block<R>(steps: Steps<R>): R {
  let stop: [reason: unknown] | undefined;
  for (;;) {
    let step: IteratorResult<Pause, R>;
    isStopped = stop !== undefined;
    try {
      step = steps.next();
    } catch (error) {
      throw stop === undefined ? error : stop[0];
    } finally {
      isStopped = false;
    }
    if (step.done) {
      if (stop !== undefined && step.value === false) throw stop[0];
      return step.value;
    }
    const { words, index, value, deadline } = step.value;
    const most = lookWhileBlocked() ? DELIVER_MS : LOOK_MS;
    Atomics.wait(words, index, value, Math.min(most, deadline - performance.now()));
    stop ??= holding.reasonToStop();
  }
}

/** Runs it, and lets the event loop go on where it waits. */
export async function awaited<R>(steps: Steps<R>): Promise<R> {
  let isHeld = false;
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      if (!isHeld) {
        // A wait alone does not keep the program alive.
        hold();
        isHeld = true;
      }
      const { words, index, deadline } = value;
      const wait = Atomics.waitAsync(words, index, value.value, Math.min(LOOK_MS, deadline - performance.now()));
      if (wait.async) await wait.value;
      else await undefined;
    }
  } finally {
    if (isHeld) release();
  }
}
