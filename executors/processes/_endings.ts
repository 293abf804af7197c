/**
 * The tasks of a child that are to end, and when the child is killed for them.
 *
 * @module
 */

import { whenPassed } from "../../futures/deadline.ts";
import type { EncodedTask } from "./_batching.ts";

/**
 * How long the answer to a recall may take before a child is killed for a task that is to end, in milliseconds: until
 * then it is not known whether that one has begun.
 */
const ANSWER_MS = 500;

/**
 * The same where the child has other tasks: which of those have begun is not known either, and to kill it all the same
 * fails them. A busy machine may take long, and a task that has stopped its process never lets it answer.
 */
const ANSWER_FOR_OTHERS_MS = 5_000;

/** How soon that is looked at again, in milliseconds. */
const LOOK_MS = 5;

/** Why a task is to end. */
export type Why = "abort" | "timeout";

/** What this needs of the child. */
interface Ended {
  /** Whether it is known that the child runs this task, and that it has begun none of those behind it. */
  mayKillFor(task: EncodedTask): boolean;
  /** Whether the child has more than one task. */
  hasOthers(): boolean;
  killFor(why: Why): void;
}

/** When the child is killed for a task. */
interface Ending {
  readonly deadline: number;
  callOff: () => void;
}

/** See above. */
export class Endings {
  readonly #child: Ended;
  readonly #endings = new Map<EncodedTask, Ending>();
  /** Those that are to end now, and not only when their time is over. */
  readonly #aborted = new Set<EncodedTask>();

  constructor(child: Ended) {
    this.#child = child;
  }

  /** Whether a task is to end now. */
  isAborted(task: EncodedTask): boolean {
    return this.#aborted.has(task);
  }

  /** Kills the child at a time, on the clock of `performance.now()`, if it has the task then. The first counts. */
  add(task: EncodedTask, deadline: number, why: Why): void {
    if (why === "abort") this.#aborted.add(task);
    const before = this.#endings.get(task);
    if (before !== undefined && before.deadline <= deadline) return;
    before?.callOff();
    const end = () => {
      const now = performance.now();
      const last = deadline + (this.#child.hasOthers() ? ANSWER_FOR_OTHERS_MS : ANSWER_MS);
      if (now >= last || this.#child.mayKillFor(task)) this.#child.killFor(why);
      else ending.callOff = whenPassed(now + LOOK_MS, end);
    };
    const ending: Ending = { deadline, callOff: whenPassed(deadline, end) };
    this.#endings.set(task, ending);
  }

  /** Tasks have left the child, which is not killed for them. */
  forget(tasks: readonly EncodedTask[]): void {
    if (this.#endings.size === 0) return;
    for (const task of tasks) {
      this.#endings.get(task)?.callOff();
      this.#endings.delete(task);
      this.#aborted.delete(task);
    }
  }
}
