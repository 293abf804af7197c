/**
 * What the programs of this folder share: options, and the table that compares 1, 2, … workers.
 *
 * @module
 */

import { wholeNumber } from "../_options.ts";

/** Options of a program that can compare. */
export const WORKERS = {
  workers: {
    short: "w",
    value: "N",
    text: "how many threads",
    reads: wholeNumber(1, 64),
    default: `${Math.min(navigator.hardwareConcurrency, 64)}`,
  },
  compare: {
    short: "c",
    text: "do it with 1, 2, … and so many threads, and print the seconds and the speed-up of each",
  },
};

/** Does some work with 1 worker, with 2, and so on, and prints a table of the times. */
export async function compareWorkers(most: number, work: (workers: number) => unknown): Promise<void> {
  console.log("workers  seconds  speed-up");
  let first: number | undefined;
  for (let workers = 1; workers <= most; workers++) {
    const start = performance.now();
    await work(workers);
    const seconds = (performance.now() - start) / 1000;
    first ??= seconds;
    console.log(
      `${workers}`.padStart(7),
      seconds.toFixed(2).padStart(8),
      `${(first / seconds).toFixed(2)}x`.padStart(9),
    );
  }
}
