/**
 * How long a program takes to submit its first task, and to have its result: prints both as JSON, in milliseconds.
 * `deno run -P=test drivers/first.ts <URL of a mod.ts>`
 *
 * @module
 */

import { noop } from "./tasks.mjs";

if (import.meta.main) {
  const { ThreadPoolExecutor }: typeof import("@concurrent/futures") = await import(Deno.args[0]);
  const start = performance.now();
  using pool = new ThreadPoolExecutor(2);
  const future = pool.submit(noop);
  const submitted = performance.now() - start;
  future.result();
  console.log(JSON.stringify([submitted, performance.now() - start]));
}
