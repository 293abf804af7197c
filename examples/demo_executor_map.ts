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
import { parseArgs } from "@std/cli/parse-args";

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

function parseOptions() {
  const fail = (given: string, wanted: string) => {
    console.error(`Cannot use ${given}: expected ${wanted}`);
    Deno.exit(2);
  };
  const { workers, _: waits } = parseArgs(Deno.args, {
    string: ["workers", "_"],
    default: { workers: "3" },
    unknown: (arg, key) => key === undefined || fail(arg, "seconds and --workers N"),
  });
  if (!/^[1-9]\d?$/.test(workers)) fail(`--workers "${workers}"`, "a whole number from 1 to 99");
  for (const wait of waits) {
    if (!/^\d$/.test(String(wait))) fail(`"${wait}"`, "a whole number of seconds from 0 to 9");
  }
  return { workers: Number(workers), waits: waits.length === 0 ? [0, 1, 2, 3, 4] : waits.map(Number) };
}

// The threads import this module too: only the program itself is to start.
if (import.meta.main) {
  const { workers, waits } = parseOptions();
  main(workers, waits);
}
