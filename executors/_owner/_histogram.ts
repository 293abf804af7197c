/**
 * How often times of each length were measured, in memory that does not grow.
 *
 * @module
 */

import type { PoolTimes } from "../pool_stats.ts";

/** How many buckets there are from a time to twice that time: a time is known to a ninth part of it, or better. */
const PER_DOUBLING = 8;

/** The first bucket is for times up to this, in milliseconds; the last one ends after more than a year. */
const LEAST_MS = 1e-4;
const DOUBLINGS = 50;

/** Times, and for how many tasks each counts. */
export class Histogram {
  readonly #counts = new Float64Array(PER_DOUBLING * DOUBLINGS);
  #count = 0;
  #sum = 0;
  #least = Infinity;
  #most = 0;

  /** Adds a time in milliseconds that counts for several tasks. */
  add(ms: number, weight: number): void {
    const bucket = Math.floor(Math.log2(Math.max(ms, LEAST_MS) / LEAST_MS) * PER_DOUBLING);
    this.#counts[Math.min(bucket, this.#counts.length - 1)] += weight;
    this.#count += weight;
    this.#sum += ms * weight;
    this.#least = Math.min(this.#least, ms);
    this.#most = Math.max(this.#most, ms);
  }

  /** The mean and two quantiles; 0 while nothing was measured. */
  summary(): PoolTimes {
    if (this.#count === 0) return { mean: 0, p50: 0, p99: 0 };
    return { mean: this.#sum / this.#count, p50: this.#quantile(0.5), p99: this.#quantile(0.99) };
  }

  #quantile(part: number): number {
    let left = part * this.#count;
    const bucket = this.#counts.findIndex((count) => (left -= count) <= 0);
    const ms = LEAST_MS * 2 ** ((bucket + 0.5) / PER_DOUBLING);
    return Math.min(this.#most, Math.max(this.#least, ms));
  }
}
