/**
 * Runs the SHA-256 jobs of `../sha.ts` on a cluster. The task is the same function; only the executor differs.
 *
 * ```sh
 * deno run -A examples/cluster/sha.ts --redis redis://127.0.0.1:6379
 * ```
 *
 * It needs a server and a node that knows the module `sha`; `start.ts` starts both.
 *
 * @module
 */

import { ClusterExecutor } from "@concurrent/futures/cluster";
import { sha } from "../sha.ts";
import { commandLine, readOptions, REDIS, rounds } from "../_options.ts";

const JOBS = 12;

function main(): void {
  const { redis, rounds } = readOptions(COMMAND);
  using pool = new ClusterExecutor({ redis }); // there: new ProcessPoolExecutor(workers)
  const seeds = Array.from({ length: JOBS }, (_, i) => i + 1);
  const rounded = seeds.map(() => rounds);
  // The first jobs also wait for the processes of the nodes, and for the code to be compiled.
  for (const _ of pool.map(sha, seeds, seeds.map(() => 1), { chunksize: 1 }));
  const start = performance.now();
  const digests = [...pool.map(sha, seeds, rounded, { chunksize: 1 })];
  const seconds = (performance.now() - start) / 1000;
  console.log(`${JOBS} SHA-256 jobs of ${rounds} MiB each: ${seconds.toFixed(2)} s`);
  console.log(`The first digest: ${digests[0]}`);
}

export const COMMAND = commandLine({
  about: "Compute SHA-256 on a cluster.",
  command: "deno run -A examples/cluster/sha.ts",
  example: "--redis redis://127.0.0.1:6379",
  options: {
    redis: REDIS,
    rounds: rounds("MiB that each job hashes"),
  },
});

if (import.meta.main) main();
