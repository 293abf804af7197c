/**
 * Threads and processes in one loop: futures come in the order in which they finish, whoever runs them.
 *
 * ```sh
 * deno run --allow-read=. --allow-run examples/mixed.ts
 * ```
 *
 * Threads start fast and cost little, so they suit tasks that wait. Processes share nothing with the program, so they
 * suit tasks that compute much or that may crash.
 *
 * @module
 */

import { asCompleted, type Future, ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, readOptions } from "./_options.ts";

/** What a task did, and in which process. */
interface Done {
  what: string;
  pid: number;
}

/** Stands for a download. */
export async function wait(ms: number): Promise<Done> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return { what: `waited ${ms} ms`, pid: Deno.pid };
}

/** Counts the prime numbers below a limit, the slow way. */
export function countPrimes(limit: number): Done {
  let count = 0;
  for (let n = 2; n < limit; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor++;
    if (divisor * divisor > n) count++;
  }
  return { what: `counted ${count} primes below ${limit}`, pid: Deno.pid };
}

function main() {
  using threads = new ThreadPoolExecutor(3);
  using processes = new ProcessPoolExecutor(2);

  const kinds = new Map<Future<Done>, string>();
  for (const ms of [200, 400, 900]) kinds.set(threads.submit(wait, ms), "thread");
  for (const limit of [200_000, 1_000_000, 2_000_000]) kinds.set(processes.submit(countPrimes, limit), "process");

  // asCompleted takes the futures of any executors.
  for (const future of asCompleted(kinds.keys(), { timeout: 60_000 })) {
    const { what, pid } = future.result();
    const where = pid === Deno.pid ? "this process" : `process ${pid}`;
    console.log(`${kinds.get(future)!.padEnd(7)}  ${what}, in ${where}`);
  }
}

/** It has no options but `--help`. */
export const COMMAND = commandLine({
  about: "Run tasks in threads and in processes, and print them in the order in which they finish.",
  command: "deno run --allow-read=. --allow-run examples/mixed.ts",
});

// The workers import this module too: only the program itself is to start.
if (import.meta.main) {
  readOptions(COMMAND);
  main();
}
