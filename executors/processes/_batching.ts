/**
 * How many tasks a child gets at once, and how long it may keep what it has not begun: the policy, without pipes.
 *
 * A message there and back takes longer than a small task, so a child gets several quick ones at once. One of them
 * runs; the others must be recalled before they can be cancelled, or run by another child.
 *
 * @module
 */

import type { Task } from "../_queue/consumer.ts";
import { TaskFlag } from "../_queue/protocol.ts";
import type { EncodedSections } from "../_values/encoded.ts";

/** A task whose payload stays bytes on its way through the broker. */
export type EncodedTask = Task<EncodedSections>;

/** How many tasks a child gets at once, at the most. */
const MAX_AT_ONCE = 256;

/** A function is quick while as many tasks as a child gets at once take no longer than this, in milliseconds. */
const QUICK_MS = 1;

/** Tasks that came at once and are not done after this time are recalled, except the one that runs, in milliseconds. */
const RECALL_MS = 4;

/**
 * A single task that has not begun after this time is recalled, in milliseconds; after twice as long where it was
 * recalled before, and so on.
 */
const HELD_UP_MS = 16;

/** How often that is doubled, at the most. */
const MAX_DOUBLINGS = 6;

/**
 * For how long no other child is started for a task that was recalled because its child has begun nothing, in
 * milliseconds. On a busy machine most such children come back, before another one would have started.
 */
export const AWAY_MS = 300;

/**
 * For how long a child that starts is waited for, while an idle one would have to start a thread for the task, in
 * milliseconds. Both take as long, and that one has begun. The idle one gets the task when that time is over.
 */
export const STARTING_MS = 1_000;

/**
 * How many bytes of a task a child reads within a millisecond, on a busy machine. A large task begins long after it was
 * written, and to send it again would take as long.
 */
const TAKEN_IN_PER_MS = 100_000;

/** How often the broker looks for what is to be recalled, in milliseconds. */
export const RECALL_LOOK_MS = RECALL_MS;

/** What the policy knows of the tasks that a child has. */
export interface Batch {
  readonly tasks: readonly EncodedTask[];
  /** When the child got them, and when all of them had been written; infinite as long as they have not. */
  readonly givenAt: number;
  readonly writtenAt: number;
  /** How many bytes it got with them that are bound to their functions. */
  readonly boundBytes: number;
}

/** What is known of the pace of functions, and of tasks that were recalled. */
export class Batching {
  /** How many tasks of a kind of work a child gets at once. */
  readonly #atOnce = new Map<number, number>();
  /** How often a task was recalled from a child that had begun nothing. */
  readonly #recalls = new WeakMap<EncodedTask, number>();

  /** How many such tasks a child gets at once. */
  sizeFor(task: EncodedTask): number {
    // One with a timeout is alone with its child, which may have to be killed for it.
    if (hasTimeout(task)) return 1;
    return this.#atOnce.get(workOf(task)) ?? 1;
  }

  /** Learns how quick a function is from the last task of a batch, and how long the whole batch took. */
  learn(last: EncodedTask, ms: number, wasRecalled: boolean): void {
    if (hasTimeout(last)) return;
    const size = this.sizeFor(last);
    const isQuick = ms <= QUICK_MS && !wasRecalled;
    this.#atOnce.set(workOf(last), isQuick ? Math.min(MAX_AT_ONCE, size * 2) : Math.max(1, size >> 2));
  }

  /** Tasks have waited behind one that is not quick: the next ones come one by one. */
  onSlow(tasks: readonly EncodedTask[]): void {
    for (const task of tasks) this.#atOnce.set(workOf(task), 1);
  }

  /** A child has begun none of its tasks, of which this is the first: something else holds it up. */
  onHeldUp(first: EncodedTask): void {
    this.#recalls.set(first, (this.#recalls.get(first) ?? 0) + 1);
  }

  /** When the tasks that a child has not begun by then are recalled. */
  recallAt({ tasks, givenAt, writtenAt, boundBytes }: Batch): number {
    const [first] = tasks;
    const arrivalMs = (first.payload.room + boundBytes) / TAKEN_IN_PER_MS;
    if (tasks.length > 1) return arrivalMs < 1 ? givenAt + RECALL_MS : writtenAt + arrivalMs;
    const doublings = Math.min(this.#recalls.get(first) ?? 0, MAX_DOUBLINGS);
    return writtenAt + (HELD_UP_MS + arrivalMs) * 2 ** doublings;
  }
}

/** Whether a task may only run for so long. */
export function hasTimeout({ flags }: EncodedTask): boolean {
  return (flags & TaskFlag.TIMEOUT) !== 0;
}

/** Tells kinds of work apart that take different times: the tasks of a function, and its chunks. */
function workOf({ fn, flags }: EncodedTask): number {
  return (flags & TaskFlag.CHUNK) === 0 ? fn : -1 - fn;
}

/** How often the broker looks at a child that owes an answer, in milliseconds. */
export const LOOK_MS = 500;

/** After how many looks a child that does not give back recalled tasks is killed, with `onWorkerCrash: "replace"`. */
const MAX_LOOKS = 10;

/** How long a child may take to say which tasks it has not begun: its reading thread could, whatever a task does. */
export class Patience {
  #looks = 0;
  #written: number | undefined;

  /** The child was asked just now. */
  begin(): void {
    this.#looks = 0;
  }

  /**
   * Looks at a child that has not answered.
   *
   * @param written How much of what was sent to it is in its pipe; `undefined` when all is.
   * @returns Whether it has had its time.
   */
  isAtEnd(written: number | undefined): boolean {
    // The request may lie behind a large task, which takes its time to arrive.
    if (written !== undefined && this.#written !== undefined && written > this.#written) this.#looks = 0;
    this.#written = written;
    return ++this.#looks >= MAX_LOOKS;
  }
}
