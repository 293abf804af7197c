/**
 * What became of the tasks of a pool, and how long they took and waited.
 *
 * To look at the clock takes a good part of what a quick task costs. So of many tasks that follow each other within a
 * millisecond only some are measured: the first ones, then fewer and fewer, one of 128 at the least. Each counts for
 * those before it that were not. Items of a map that travel together are measured together.
 *
 * @module
 */

import { sharedNow } from "../../futures/builtins.ts";
import { type Future, internals } from "../../futures/future.ts";
import { lookedAt } from "../../futures/wakeup.ts";
import type { ChunkOutcome } from "../_map/map.ts";
import { msOf, type TaskTimes } from "../_queue/protocol.ts";
import type { PoolTimes } from "../pool_stats.ts";
import { Histogram } from "./_histogram.ts";

const { timeOrigin } = performance;

/** So many tasks that follow each other quickly are all measured. */
const ALL_OF_FIRST = 4;

/** After those, at most so many tasks are skipped between two that are measured. */
const MAX_SKIPPED = 127;

/** What comes later than this after the last measured task is measured, in milliseconds. */
const PAUSE_MS = 1;

/** A chunk of so many items is always measured: that costs each of them next to nothing. */
const MANY_ITEMS = 32;

/** What is known of a task that is measured, or is a chunk of a map. */
export interface Measured {
  /** When it was submitted, by the clock that all threads share; 0 where it is not measured. */
  readonly at: number;
  /** The number of its function; `undefined` where it never had one. */
  readonly fn: number | undefined;
  /** How many items of a map it stands for. */
  readonly items: number;
  /** Whether it is a chunk of a map, whose result is a `ChunkOutcome`. */
  readonly isChunk: boolean;
  /** For how many tasks its times count. */
  readonly weight: number;
}

/** How a task ended. */
export type Ending = "returned" | "threw" | "stopped" | "cancelled";

/** How many of the tasks that a future stands for have ended in a way, in the order of the items. */
export type Endings = readonly (readonly [ending: Ending, count: number])[];

/** Hears of each task that ends, as a trace does. */
export type Witness = (
  task: Measured,
  endings: Endings,
  times: TaskTimes | undefined,
  future: Future<unknown>,
) => void;

/** Counts the tasks of one pool; each item of a map is one. */
export class Tally {
  /** Tasks that were submitted, and those that returned, failed and were cancelled. */
  #submitted = 0;
  #done = 0;
  #failed = 0;
  #cancelled = 0;
  #lost = 0;
  readonly #witnesses = new Set<Witness>();
  /** How many tasks are skipped after the one that was measured last, how many of them are left, and when it came. */
  #skips = 0;
  #left = 0;
  /** How many items those stand for that were skipped since then. */
  #skippedItems = 0;
  /** How many tasks were measured without a pause in between. */
  #streak = 0;
  #lastAt = -Infinity;
  readonly #runTime = new Histogram();
  readonly #waitTime = new Histogram();

  /** Adds who wants to hear of each task that is submitted from now on. */
  addWitness(witness: Witness): void {
    this.#witnesses.add(witness);
  }

  /** Ends {@linkcode addWitness}. */
  removeWitness(witness: Witness): void {
    this.#witnesses.delete(witness);
  }

  /**
   * Whether the task that is submitted next is to be measured: then it is given to {@linkcode measure}, else to
   * {@linkcode countSubmitted} or {@linkcode countChunk}.
   *
   * @param items How many items of a map it stands for.
   */
  isNextMeasured(items = 1): boolean {
    if (this.#left === 0 || items >= MANY_ITEMS || this.#witnesses.size > 0) return true;
    this.#left--;
    this.#skippedItems += items;
    return false;
  }

  /** Results are collected: after a pause the next task is measured. To look at the clock each time would cost more. */
  endPause(): void {
    if (this.#left > 0 && lookedAt - this.#lastAt >= PAUSE_MS) this.#left = 0;
  }

  /** Counts a task that is not measured. */
  countSubmitted(): void {
    this.#submitted++;
  }

  /** Counts the items of a chunk that is not measured. */
  countChunk(future: Future<unknown>, fn: number, items: number): void {
    this.#note(future, 0, fn, items, true, 0);
  }

  /** Counts a task that was submitted at a time, by the clock that all threads share. */
  measure(future: Future<unknown>, at: number, fn: number, items: number, isChunk: boolean): void {
    let weight = items;
    if (items < MANY_ITEMS) {
      const now = at - timeOrigin;
      weight += this.#skippedItems;
      this.#skippedItems = 0;
      this.#streak = now - this.#lastAt < PAUSE_MS ? this.#streak + 1 : 1;
      const isLong = this.#streak > ALL_OF_FIRST;
      this.#skips = this.#left = isLong ? Math.min(MAX_SKIPPED, this.#skips * 2 + 1) : 0;
      this.#lastAt = now;
    }
    this.#note(future, at, fn, items, isChunk, weight);
  }

  #note(future: Future<unknown>, at: number, fn: number, items: number, isChunk: boolean, weight: number): void {
    // One that has failed on the way was counted as one.
    if (isChunk && internals.failed(future)) items = 1;
    this.#submitted += items;
    internals.note(future, { at, fn, items, isChunk, weight } satisfies Measured);
  }

  /** How many tasks a future stands for. */
  itemsOf(future: Future<unknown>): number {
    return measuredOf(future)?.items ?? 1;
  }

  /** How many tasks have not ended. */
  get unfinished(): number {
    return this.#submitted - this.#done - this.#failed - this.#cancelled;
  }

  // Endings

  /** Tasks ended when they were submitted: they were cancelled, or what they carry cannot be sent. */
  countRefused(future: Future<unknown>, ending: "cancelled" | "threw", items: number, isChunk: boolean): void {
    this.#submitted += items;
    if (ending === "cancelled") this.#cancelled += items;
    else this.#failed += items;
    if (this.#witnesses.size === 0) return;
    this.#tell({ at: sharedNow(), fn: undefined, items, isChunk, weight: 0 }, [[ending, items]], undefined, future);
  }

  /** A task that is not measured has returned, or its future has failed. */
  countSettled(hasReturned: boolean): void {
    if (hasReturned) this.#done++;
    else this.#failed++;
  }

  /**
   * A task's future is settled.
   *
   * @param value What it has returned, where it has.
   * @param times When it ran, where that was measured.
   * @param steps How long an item took, by the measure of who ran it; 0 where that does not tell.
   */
  settle(
    future: Future<unknown>,
    hasReturned: boolean,
    value?: unknown,
    times?: TaskTimes,
    steps = 0,
    ending: Ending = hasReturned ? "returned" : "threw",
  ): void {
    const task = measuredOf(future);
    if (task === undefined) {
      this.countSettled(hasReturned);
      return;
    }
    internals.note(future, undefined);
    const { items, isChunk, at, weight } = task;
    const several = isChunk && hasReturned ? endingsOf(value as ChunkOutcome, items) : undefined;
    if (several === undefined) this.#count(ending, items);
    else for (const [ending, count] of several) this.#count(ending, count);
    const hasRun = at > 0 && times !== undefined && times.began > 0;
    if (hasRun) {
      this.#waitTime.add(Math.max(0, times.began - at), weight);
      this.#runTime.add(isChunk && steps > 0 ? msOf(steps) : Math.max(0, times.ended - times.began), weight);
    }
    if (this.#witnesses.size > 0) this.#tell(task, several ?? [[ending, items]], hasRun ? times : undefined, future);
  }

  #count(ending: Ending, count: number): void {
    if (ending === "returned") this.#done += count;
    else if (ending === "cancelled") this.#cancelled += count;
    else this.#failed += count;
  }

  /** A task was cancelled. */
  cancel(future: Future<unknown>): void {
    const task = measuredOf(future);
    this.#cancelled += task?.items ?? 1;
    if (task === undefined) return;
    internals.note(future, undefined);
    this.#tell(task, [["cancelled", task.items]], undefined, future);
  }

  #tell(...told: Parameters<Witness>): void {
    for (const witness of this.#witnesses) witness(...told);
  }

  /** Settles a future with an error, unless it is done, and counts it. */
  fail(future: Future<unknown>, error: unknown, ending: Ending = "threw", times?: TaskTimes): void {
    if (future.cancelled()) return;
    this.settle(future, false, undefined, times, 0, ending);
    internals.settle(future, false, error);
  }

  /** A thread was given up: its task does not end, and another one takes its place. */
  countLost(): void {
    this.#lost++;
  }

  // What is told

  /** How many tasks have ended, and how. */
  get counts(): { done: number; failed: number; cancelled: number; lost: number } {
    return { done: this.#done, failed: this.#failed, cancelled: this.#cancelled, lost: this.#lost };
  }

  /** How long tasks ran. */
  get runTime(): PoolTimes {
    return this.#runTime.summary();
  }

  /** How long tasks waited before they ran. */
  get waitTime(): PoolTimes {
    return this.#waitTime.summary();
  }
}

/** What is noted about a task that is measured, and has not ended. */
function measuredOf(future: Future<unknown>): Measured | undefined {
  return internals.noteOf(future) as Measured | undefined;
}

/** How the items of a chunk have ended, by its result; `undefined` where all have returned. */
function endingsOf(outcome: ChunkOutcome, items: number): Endings | undefined {
  if (outcome.length === 1) return undefined;
  const [results, ...error] = outcome;
  if (results.length === items) {
    // A failure ended nothing there: the places of the items that threw follow.
    const failed = (error[0] as readonly number[]).length;
    return [["returned", items - failed], ["threw", failed]];
  }
  // Those behind the item that threw have never run.
  return [["returned", results.length], ["threw", 1], ["cancelled", items - results.length - 1]];
}
