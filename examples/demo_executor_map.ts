/**
 * Watches `map` at work: five tasks that do nothing but wait, in a pool of three threads.
 *
 * ```sh
 * deno run --allow-read=. examples/demo_executor_map.ts              # waits 0, 1, 2, 3 and 4 seconds
 * deno run --allow-read=. examples/demo_executor_map.ts 3 1 1        # other waits
 * deno run --allow-read=. examples/demo_executor_map.ts --workers 5  # all at once
 * ```
 *
 * The counterpart of examples 17-6 and 17-7 in "Fluent Python". Lines of the same second may change places from run to
 * run, as they come from four threads.
 *
 * @module
 */

import { ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, readOptions, wholeNumber } from "./_options.ts";

/** Prints a line that starts with the time, to the second. */
function display(...what: unknown[]) {
  console.log(`[${new Date().toTimeString().slice(0, 8)}]`, ...what);
}

/**
 * The task. It is exported, so that the threads can import it and find `display` as well.
 *
 * While it awaits the timer it keeps its thread: a thread runs one task at a time.
 */
export async function loiter(seconds: number): Promise<number> {
  const indent = "\t".repeat(seconds);
  display(`${indent}loiter(${seconds}): doing nothing for ${seconds}s...`);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  display(`${indent}loiter(${seconds}): done.`);
  return seconds * 10;
}

function main(workers: number, waits: number[]) {
  display("Script starting.");
  using pool = new ThreadPoolExecutor(workers);
  // Returns at once. As many tasks start as there are threads; the others follow as threads become free.
  const results = pool.map(loiter, waits);
  display(`results: ${results}`); // An iterator: nothing has been waited for.
  display("Waiting for individual results:");
  let i = 0;
  // In the order of the tasks: each step blocks until the next result is there, whatever else is ready.
  for (const result of results) display(`result ${i++}: ${result}`);
}

export const COMMAND = commandLine({
  about: "Watch map at work: tasks that do nothing but wait, in a pool of threads.",
  command: "deno run --allow-read=. examples/demo_executor_map.ts",
  example: "--workers 2 3 1 1",
  options: {
    workers: { short: "w", value: "N", text: "how many threads the pool has", reads: wholeNumber(1, 99), default: "3" },
  },
  operands: {
    value: "SECONDS",
    text: "how long each task waits, from 0 to 9 (default 0 1 2 3 4)",
    reads: { ...wholeNumber(0, 9), wanted: "a whole number of seconds from 0 to 9" },
  },
});

// The threads import this module too: only the program itself is to start.
if (import.meta.main) {
  const { workers, operands: waits } = readOptions(COMMAND);
  main(workers, waits.length === 0 ? [0, 1, 2, 3, 4] : waits);
}
