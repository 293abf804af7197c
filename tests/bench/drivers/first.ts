/**
 * How long a program takes to submit its first tasks, and to have their results: prints both as JSON, in milliseconds.
 * `deno run -P=test drivers/first.ts <URL of a mod.ts> <threads or processes> <how many workers> <how many tasks>`
 *
 * @module
 */

import { noop } from "./tasks.mjs";

if (import.meta.main) {
  const [mod, kind, workers, tasks] = Deno.args;
  const { ThreadPoolExecutor, ProcessPoolExecutor }: typeof import("@concurrent/futures") = await import(mod);
  const start = performance.now();
  using pool = new (kind === "processes" ? ProcessPoolExecutor : ThreadPoolExecutor)(Number(workers));
  const futures = Array.from({ length: Number(tasks) }, () => pool.submit(noop));
  const submitted = performance.now() - start;
  for (const future of futures) future.result();
  console.log(JSON.stringify([submitted, performance.now() - start]));
}
