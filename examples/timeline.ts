/**
 * Runs a mixed load with `trace()`, and draws what each worker did: a row for each worker, a bar for each task.
 *
 * ```sh
 * deno run -P examples/timeline.ts                     # in processes
 * deno run -P examples/timeline.ts --executor threads  # in threads
 * ```
 *
 * One of the tasks hangs and is stopped by its timeout, one kills its process, and some are not wanted any more before
 * they start. The others suffer from none of that. The program writes two files: the trace, which `chrome://tracing`
 * and {@link https://ui.perfetto.dev} show, and a picture of it.
 *
 * @module
 */

import { currentTask, type Future, ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, directory, EXECUTOR, readOptions, wholeNumber } from "./_options.ts";
import { drawTimeline, type Wording } from "./_timeline_svg.ts";

/** Stands for a download. */
export async function fetchPage(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Computes for some time. */
export function compute(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Throws after a while. */
export async function parse(ms: number): Promise<void> {
  await fetchPage(ms);
  throw new SyntaxError("Unexpected end of input");
}

/** Never ends by itself. A process that runs it is killed; a thread cannot be killed, so there it heeds its signal. */
export function hang(heeds: boolean): never {
  for (;;) if (heeds) currentTask()!.signal.throwIfAborted();
}

/** Stands for native code that crashes. */
export async function crash(ms: number): Promise<void> {
  await fetchPage(ms);
  Deno.kill(Deno.pid, "SIGKILL");
}

/** Submits all tasks. */
function submitAll(pool: ProcessPoolExecutor | ThreadPoolExecutor): Future<void>[] {
  const isOfProcesses = pool instanceof ProcessPoolExecutor;
  const quick = (count: number) => Array.from({ length: count }, (_, i) => pool.submit(fetchPage, 20 + (i * 37) % 60));
  const unwanted = pool.with({ signal: AbortSignal.timeout(450), name: "unwanted" });
  return [
    ...quick(12),
    pool.with({ timeout: 400, grace: 50 }).submit(hang, !isOfProcesses),
    ...[180, 240, 120].map((ms) => pool.submit(compute, ms)),
    pool.submit(parse, 90),
    ...(isOfProcesses ? [pool.submit(crash, 150)] : []),
    ...quick(16),
    ...[90, 140].map((ms) => pool.submit(compute, ms)),
    ...quick(20),
    ...[1, 2, 3].map((ms) => unwanted.submit(fetchPage, ms)),
  ];
}

/** What the outcomes are called in the picture. */
const WORDING: Record<"processes" | "threads", Wording> = {
  processes: { workers: "processes", stopped: "stopped: its process was killed" },
  threads: { workers: "threads", stopped: "stopped" },
};

async function main() {
  const { executor, workers, dest } = readOptions(COMMAND);
  await using pool = executor === "processes"
    ? new ProcessPoolExecutor({ maxWorkers: workers, onWorkerCrash: "replace" })
    : new ThreadPoolExecutor({ maxWorkers: workers, threadNamePrefix: "thread" });
  // The picture begins when the workers are there.
  await Promise.all(Array.from({ length: workers }, () => pool.submit(fetchPage, 50)));

  using trace = pool.trace();
  await Promise.allSettled(submitAll(pool));

  await Deno.mkdir(dest, { recursive: true });
  const [json, svg] = ["json", "svg"].map((type) => `${dest.replace(/\/+$/, "")}/timeline.${type}`);
  await Deno.writeTextFile(json, JSON.stringify(trace));
  await Deno.writeTextFile(svg, drawTimeline(trace.toJSON(), WORDING[executor]));
  console.log(String(pool));
  console.log(`${json} is for chrome://tracing or https://ui.perfetto.dev`);
  console.log(`${svg} is for a browser`);
}

/** The options of this program. */
export const COMMAND = commandLine({
  about: "Run tasks of many kinds, and draw when each of them waited, ran and ended.",
  command: "deno run -P examples/timeline.ts",
  example: "--executor threads",
  options: {
    executor: { ...EXECUTOR, text: "what runs the tasks: processes or threads" },
    workers: { short: "w", value: "N", text: "how many of them", reads: wholeNumber(1, 16), default: "4" },
    dest: { short: "o", value: "DIR", text: "where to save the files", reads: directory, default: "downloads/" },
  },
});

// The workers import this module too: only the program itself is to start.
if (import.meta.main) await main();
