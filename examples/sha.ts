/**
 * Computes SHA-256 in 1, 2, … processes or threads, and prints how much faster more of them are.
 *
 * ```sh
 * deno run --allow-read=. --allow-run examples/sha.ts                # processes, 1 to as many as there are cores
 * deno run --allow-read=. examples/sha.ts --executor threads         # the same in threads
 * deno run --allow-read=. --allow-run examples/sha.ts --workers 1,4  # with 1 and with 4 workers
 * ```
 *
 * The counterpart of sha_futures.py in "Fluent Python": 12 jobs, each of which makes 1 MiB of random bytes in memory
 * and hashes it with the system's library. That takes milliseconds here, so each job does it `--rounds` times. Unlike
 * in the book's table 17-1, the times leave out the start of the workers: each runs one job before the clock starts.
 *
 * @module
 */

import { ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, EXECUTOR, readOptions, rounds, workersFor } from "./_options.ts";
import { createHash } from "node:crypto";

const JOBS = 12;
const SIZE = 2 ** 20;

/** The job. Only numbers go to the worker, and only a text comes back: the bytes are made where they are needed. */
export function sha(seed: number, rounds: number): string {
  const words = new Uint32Array(SIZE / 4);
  const hash = createHash("sha256");
  let random = seed;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < words.length; i++) {
      // Marsaglia's xorshift: random enough, and the same bytes for the same seed.
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      words[i] = random;
    }
    hash.update(words);
  }
  return hash.digest("hex");
}

/** The executors differ in nothing that matters here. */
const EXECUTORS = { processes: ProcessPoolExecutor, threads: ThreadPoolExecutor };

/** Runs all jobs with that number of workers. */
function measure(executor: keyof typeof EXECUTORS, workers: number, rounds: number) {
  using pool = new EXECUTORS[executor](workers);
  const seeds = Array.from({ length: JOBS }, (_, i) => i + 1);
  const rounded = seeds.map(() => rounds);
  // The first job of each worker also waits for its start, and for its code to be compiled.
  for (const _ of pool.map(sha, seeds.slice(0, workers), rounded, { chunksize: 1 }));
  const start = performance.now();
  const digests = [...pool.map(sha, seeds, rounded, { chunksize: 1 })];
  return { seconds: (performance.now() - start) / 1000, digests };
}

function main() {
  const { executor, workers, rounds } = readOptions(COMMAND);
  console.log(`${JOBS} SHA-256 jobs of ${rounds} MiB each, on ${executor}\n`);
  console.log("workers  seconds  speed-up");
  let first: ReturnType<typeof measure> | undefined;
  for (const count of workers) {
    const { seconds, digests } = measure(executor, count, rounds);
    first ??= { seconds, digests };
    if (`${digests}` !== `${first.digests}`) throw new Error(`${count} workers computed other digests`);
    console.log(
      `${count}`.padStart(7),
      seconds.toFixed(2).padStart(8),
      `${(first.seconds / seconds).toFixed(2)}x`.padStart(9),
    );
  }
}

export const COMMAND = commandLine({
  about: "Compute SHA-256 in 1, 2, … processes or threads, and print how much faster more of them are.",
  command: "deno run --allow-read=. --allow-run examples/sha.ts",
  example: "--workers 1,4",
  options: {
    executor: EXECUTOR,
    workers: workersFor(JOBS),
    rounds: rounds("MiB that each job hashes"),
  },
});

// The workers import this module too: only the program itself is to start.
if (import.meta.main) main();
