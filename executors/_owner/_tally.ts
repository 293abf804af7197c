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

/** So many tasks that follow each other quickly are all measured. */
const ALL_OF_FIRST = 16;

/** Of those behind them, so many are not measured between two that are, at the most. */
const MAX_SKIPPED = 127;

/** What comes later than this after the last measured task is measured, in milliseconds. */
const PAUSE_MS = 1;

/** A task that is measured. */
export interface Measured {
  /** When it was submitted, by the clock that all threads share. */
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
  /** Tasks that are measured, and have not ended. */
  readonly #measured = new WeakMap<Future<unknown>, Measured>();
  readonly #witnesses = new Set<Witness>();
  /** How many tasks are skipped after the one that was measured last, how many of them are left, and when it came. */
  #skips = 0;
  #left = 0;
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
   * {@linkcode countSubmitted}.
   */
  isNextMeasured(): boolean {
    if (this.#left === 0 || this.#witnesses.size > 0) return true;
    this.#left--;
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

  /** Counts a task that was submitted at a time, by the clock that all threads share. */
  measure(future: Future<unknown>, at: number, fn: number, items: number, isChunk: boolean): void {
    this.#submitted += items;
    let weight = items;
    if (!isChunk) {
      const now = at - performance.timeOrigin;
      weight += this.#skips - this.#left;
      this.#streak = now - this.#lastAt < PAUSE_MS ? this.#streak + 1 : 1;
      const isLong = this.#streak > ALL_OF_FIRST;
      this.#skips = this.#left = isLong ? Math.min(MAX_SKIPPED, this.#skips * 2 + 1) : 0;
      this.#lastAt = now;
    }
    this.#measured.set(future, { at, fn, items, isChunk, weight });
  }

  /** How many tasks a future stands for. */
  itemsOf(future: Future<unknown>): number {
    return this.#measured.get(future)?.items ?? 1;
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
    const task = this.#measured.get(future);
    if (task === undefined) {
      this.countSettled(hasReturned);
      return;
    }
    this.#measured.delete(future);
    const { items, isChunk, at, weight } = task;
    const endings = isChunk && hasReturned ? endingsOf(value as ChunkOutcome, items) : [[ending, items]] as const;
    for (const [ending, count] of endings) {
      if (ending === "returned") this.#done += count;
      else if (ending === "cancelled") this.#cancelled += count;
      else this.#failed += count;
    }
    const hasRun = times !== undefined && times.began > 0;
    if (hasRun) {
      this.#waitTime.add(Math.max(0, times.began - at), weight);
      this.#runTime.add(isChunk && steps > 0 ? msOf(steps) : Math.max(0, times.ended - times.began), weight);
    }
    this.#tell(task, endings, hasRun ? times : undefined, future);
  }

  /** A task was cancelled. */
  cancel(future: Future<unknown>): void {
    const task = this.#measured.get(future);
    this.#cancelled += task?.items ?? 1;
    if (task === undefined) return;
    this.#measured.delete(future);
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

/** How the items of a chunk have ended, by its result. */
function endingsOf([results, ...error]: ChunkOutcome, items: number): Endings {
  if (error.length === 0) return [["returned", items]];
  if (results.length === items) {
    // A failure ended nothing there: the places of the items that threw follow.
    const failed = (error[0] as readonly number[]).length;
    return [["returned", items - failed], ["threw", failed]];
  }
  // Those behind the item that threw have never run.
  return [["returned", results.length], ["threw", 1], ["cancelled", items - results.length - 1]];
}
