/**
 * The signals among the arguments of a child's tasks: the child is told when they are aborted.
 *
 * @module
 */

import { abortedReason, whenAborted } from "../_values/signal_memory.ts";
import type { EncodedTask } from "./_batching.ts";

/** A signal that a child follows. */
interface Followed {
  readonly number: number;
  /** How many of its tasks have it. */
  users: number;
  readonly callOff: () => void;
}

/** See above. */
export class Signals {
  readonly #tell: (number: number, reason: string) => void;
  readonly #followed = new Map<SharedArrayBuffer, Followed>();
  #last = 0;

  /** @param tell Tells the child that a signal was aborted, before anything that is sent to it later. */
  constructor(tell: (number: number, reason: string) => void) {
    this.#tell = tell;
  }

  /** A task is sent next: what the child calls its signals. */
  begin({ payload }: EncodedTask): number[] {
    return payload.shared.map((memory) => {
      let followed = this.#followed.get(memory);
      if (followed === undefined) {
        const number = ++this.#last;
        followed = { number, users: 0, callOff: whenAborted(memory, (reason) => this.#tell(number, reason)) };
        this.#followed.set(memory, followed);
      } else {
        // The child forgets those that none of its tasks has any more.
        const reason = abortedReason(memory);
        if (reason !== undefined) this.#tell(followed.number, reason);
      }
      followed.users++;
      return followed.number;
    });
  }

  /** Tasks have left the child. */
  forget(tasks: readonly EncodedTask[]): void {
    if (this.#followed.size === 0) return;
    for (const { payload: { shared } } of tasks) {
      for (const memory of shared) {
        const followed = this.#followed.get(memory);
        if (followed === undefined || --followed.users > 0) continue;
        followed.callOff();
        this.#followed.delete(memory);
      }
    }
  }
}
