/**
 * Functions and loops that run on all cores, without a pool in sight: the two programs that "Fluent Python" sends its
 * readers to, and what Java has for several tasks.
 *
 * ```sh
 * deno run -P examples/parallel.ts              # the three parts below
 * deno run -P examples/parallel.ts parallel     # a function whose calls return at once
 * deno run -P examples/parallel.ts parallelize  # the body of a loop, on all cores
 * deno run -P examples/parallel.ts invoke       # the results of all tasks, or of the first one
 * deno run -P examples/parallel.ts -x processes # in processes, as in Python
 * ```
 *
 * The Python libraries are lelo, with its decorator `@parallel`, and python-parallelize, with its loop
 * `for item in parallelize(items)`. Both run in processes that they fork. Here it is threads by default.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { currentTask, ProcessPoolExecutor } from "@concurrent/futures";
import { invokeAll, invokeAny, parallel, parallelize, type ParallelOptions } from "@concurrent/futures/parallel";
import { commandLine, EXECUTOR, oneOf, readOptions, runParts } from "./_options.ts";

// ---- tasks --------------------------------------------------------------------------------------------------------

/** Counts the prime numbers from one number up to another one, the slow way. */
export function countPrimes(from: number, to: number): number {
  let count = 0;
  for (let n = Math.max(from, 2); n < to; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor++;
    if (divisor * divisor > n) count++;
  }
  return count;
}

/** Draws a row of the Mandelbrot set: the points with this imaginary part. */
export function drawRow(imaginary: number): string {
  let row = "";
  for (let column = 0; column < 60; column++) {
    const real = -2.1 + column * 0.047;
    let [x, y, steps] = [0, 0, 0];
    for (; x * x + y * y < 4 && steps < 25_000; steps++) [x, y] = [x * x - y * y + real, 2 * x * y + imaginary];
    row += steps === 25_000 ? "#" : steps > 8 ? "+" : steps > 4 ? "." : " ";
  }
  return row.trimEnd();
}

/** Stands for a request to a mirror. What it awaits gets the signal of the task, so it ends when another one wins. */
export async function ask(mirror: string, ms: number): Promise<string> {
  await sleep(ms, undefined, { signal: currentTask()!.signal });
  return mirror;
}

// ---- three parts --------------------------------------------------------------------------------------------------

/** lelo: a function becomes one whose calls run elsewhere. */
function runParallel(options: ParallelOptions) {
  console.log("parallel: each call returns a future at once");
  const countInParallel = parallel(countPrimes, options);
  const futures = [0, 1, 2, 3].map((i) => countInParallel(i * 250_000, (i + 1) * 250_000));
  console.log(`${futures.length} calls have been made, and nobody has waited so far`);
  const counts = futures.map((future) => future.result()); // Blocks; `await future` would not.
  console.log(`${counts.join(" + ")} = ${counts.reduce((a, b) => a + b)} primes below 1000000`);
}

/** python-parallelize: a loop runs on all cores. Its body is a function here, and gives results in their order. */
function runParallelize(options: ParallelOptions) {
  console.log("parallelize: the rows are drawn at the same time, and come in order");
  const rows = Array.from({ length: 17 }, (_, i) => (i - 8) * 0.14);
  for (const row of parallelize(rows, drawRow, options)) console.log(row);
}

/** Java's invokeAll and invokeAny: one future for several tasks. */
async function runInvoke(options: ParallelOptions) {
  console.log("invokeAll: all results, and invokeAny: the first one");
  const [few, axis] = await invokeAll([[countPrimes, 0, 10_000], [drawRow, 0]], { ...options, timeout: 30_000 });
  console.log(`${few} primes below 10000; ${axis.split("#").length - 1} points of the real axis are in the set`);

  const mirrors: [name: string, ms: number][] = [["Nairobi", 60_000], ["Lima", 100], ["Hanoi", 60_000]];
  const first = await invokeAny(mirrors.map(([name, ms]) => [ask, name, ms] as const), options);
  console.log(`${first} was the first to answer, and the others were aborted`);
}

// ---- the command line ---------------------------------------------------------------------------------------------

const PARTS = { parallel: runParallel, parallelize: runParallelize, invoke: runInvoke };

export const COMMAND = commandLine({
  about: "Run functions and loops on all cores, without a pool in sight. Without a PART, it runs all three.",
  command: "deno run -P examples/parallel.ts",
  example: "parallelize -x processes",
  operands: {
    value: "PART",
    text: Object.keys(PARTS).join(", "),
    reads: oneOf(Object.keys(PARTS) as (keyof typeof PARTS)[]),
  },
  options: { executor: { ...EXECUTOR, default: "threads" } },
});

async function main() {
  const { operands, executor } = readOptions(COMMAND);
  // The threads are those that all calls share: nobody makes them, and nobody ends them.
  await using pool = executor === "processes" ? new ProcessPoolExecutor() : undefined;
  await runParts(PARTS, operands, { executor: pool });
}

// The workers import this module too: only the program itself is to start.
if (import.meta.main) await main();
