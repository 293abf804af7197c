/**
 * Runs the downloads of `../flags.ts` on a cluster. The task is the same function; only the executor differs.
 *
 * ```sh
 * deno run -A examples/cluster/flags.ts --redis redis://127.0.0.1:6379
 * ```
 *
 * It needs a server and a node that knows the module `_flags_common`; `start.ts` starts both. Each node saves its flags
 * on its own machine.
 *
 * @module
 */

import { ClusterExecutor } from "@concurrent/futures/cluster";
import { downloadOne, POP20, type Settings, startServer } from "../_flags_common.ts";
import { commandLine, directory, readOptions, REDIS } from "../_options.ts";

async function main(): Promise<void> {
  const { redis, dest } = readOptions(COMMAND);
  await Deno.mkdir(dest, { recursive: true });
  using server = await startServer({ port: 0, delay: [200, 200], errorRate: 0, seed: 0 });
  const settings: Settings = { baseUrl: server.baseUrl, dest, quiet: true };
  const start = performance.now();
  await using pool = new ClusterExecutor({ redis }); // there: new ThreadPoolExecutor(workers)
  const codes: string[] = [];
  for await (const cc of pool.map(downloadOne, POP20.toSorted(), POP20.map(() => settings), { chunksize: 1 })) {
    codes.push(cc);
  }
  const seconds = (performance.now() - start) / 1000;
  console.log(`${codes.join(" ")}\n${codes.length} flags downloaded in ${seconds.toFixed(2)}s`);
}

export const COMMAND = commandLine({
  about: "Download the flags of the 20 most populous countries on a cluster.",
  command: "deno run -A examples/cluster/flags.ts",
  example: "--redis redis://127.0.0.1:6379",
  options: {
    redis: REDIS,
    dest: { short: "o", value: "DIR", text: "where nodes save the flags", reads: directory, default: "downloads/" },
  },
});

if (import.meta.main) await main();
