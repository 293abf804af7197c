/**
 * Tasks under control: an endless loop is stopped, Ctrl-C ends a program in two steps, tasks say how far they have
 * come, and a server refuses what is too much for it.
 *
 * ```sh
 * deno run -P examples/control.ts            # the four parts below
 * deno run -P examples/control.ts loop       # stops an endless loop
 * deno run -P examples/control.ts interrupt  # press Ctrl-C once or twice
 * deno run -P examples/control.ts progress   # a bar for four processes
 * deno run -P examples/control.ts server     # answers 503 at times
 * deno run -P examples/control.ts -x threads
 * deno run -P examples/control.ts --help
 * ```
 *
 * Processes can stop any task, because they can be killed. Threads cannot be killed, so a task there should look at
 * `currentTask().signal`, or hand it on to what it awaits.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import {
  asCompleted,
  currentTask,
  type Future,
  ProcessPoolExecutor,
  QueueFullError,
  reportProgress,
  ThreadPoolExecutor,
} from "@concurrent/futures";
import { progress } from "@concurrent/futures/progress";
import { commandLine, EXECUTOR, numberFrom, oneOf, readOptions, runParts, wholeNumber } from "./_options.ts";

// ---- tasks --------------------------------------------------------------------------------------------------------

/** Never ends, and never looks whether it should. Only the end of its process stops it. */
export function loop(): never {
  for (;;);
}

/** Never ends by itself, and looks in each round whether it should. */
export function loopUntilStopped(): never {
  const { signal } = currentTask()!;
  for (;;) signal.throwIfAborted();
}

/** Counts the prime numbers from one number up to another one, and says how many numbers it has tried. */
export function countPrimes(from: number, to: number): number {
  let count = 0;
  for (let n = Math.max(from, 2); n < to; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor++;
    if (divisor * divisor > n) count++;
    if (n % 1_000 === 999) reportProgress(n + 1 - from);
  }
  return count;
}

/** Says that it has started, and waits. What it awaits gets its signal, so it ends at once when it is stopped. */
export async function rest(ms: number): Promise<void> {
  reportProgress("started");
  await sleep(ms, undefined, { signal: currentTask()!.signal });
}

// ---- four parts ---------------------------------------------------------------------------------------------------

/** What the command line says. */
interface Settings {
  executor: "processes" | "threads";
  numbers: number;
  seconds: number;
  patience: number;
}

function makePool(executor: Settings["executor"], maxWorkers: number, maxQueued?: number) {
  const options = { maxWorkers, maxQueued };
  return executor === "threads" ? new ThreadPoolExecutor(options) : new ProcessPoolExecutor(options);
}

/** A task that runs for too long is stopped, and no other task suffers from that. */
async function stopLoop({ executor }: Settings) {
  console.log("An endless loop may run for a second, beside tasks that end");
  await using pool = makePool(executor, 2);
  const endless = pool.with({ timeout: 1_000, name: "endless" }).submit(
    executor === "threads" ? loopUntilStopped : loop,
  );
  const futures = [1, 2, 3, 4].map((n) => pool.submit(countPrimes, 0, n * 100_000));

  for await (const future of asCompleted([endless, ...futures])) {
    const error = future.exception();
    console.log(error === null ? `a task found ${future.result()} primes` : String(error));
  }
  console.log(`afterwards a task found ${await pool.submit(countPrimes, 0, 1_000)} primes`);
  console.log(pool);
}

/** At the first Ctrl-C the tasks that run may finish; at the second one, or after a while, they are stopped. */
async function interrupt({ executor, seconds, patience }: Settings) {
  console.log(`Six tasks of ${seconds} s on two workers: press Ctrl-C`);
  await using pool = makePool(executor, 2);
  const stop = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onInterrupt = () => {
    Deno.exitCode = 130;
    if (timer !== undefined) return stop.abort(new Error("Ctrl-C was pressed again"));
    timer = setTimeout(() => stop.abort(new Error(`the ${patience} s are over`)), patience * 1_000);
    console.log(`Ctrl-C: what runs may finish within ${patience} s. Press Ctrl-C again to stop it`);
    pool.shutdown({ cancelFutures: true, wait: false });
  };
  Deno.addSignalListener("SIGINT", onInterrupt);

  const futures = [1, 2, 3, 4, 5, 6].map((n) => {
    const future = pool.with({ signal: stop.signal, name: `task ${n}` }).submit(rest, seconds * 1_000);
    future.addProgressCallback((text) => console.log(`task ${n} ${text}`));
    future.addDoneCallback(() => console.log(`task ${n} ${outcomeOf(future)}`));
    return future;
  });
  await Promise.allSettled(futures);
  clearTimeout(timer);
  Deno.removeSignalListener("SIGINT", onInterrupt);
}

function outcomeOf(future: Future<unknown>): string {
  if (future.cancelled()) return "never started";
  const error = future.exception();
  return error === null ? "finished" : `was stopped: ${(error as Error).message}`;
}

/** Four tasks say how far they have come. The bar is on stderr, if that is a terminal. */
async function followTasks({ executor, numbers }: Settings) {
  console.log("Four tasks count primes and say how far they have come");
  await using pool = makePool(executor, 4);
  const share = numbers * 1_000;
  const tried = [0, 0, 0, 0];
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b);
  const futures = tried.map((_, i) => pool.submit(countPrimes, i * share, (i + 1) * share));
  // An item for each thousand numbers. A task that is far ahead of what was heard of it gives several at once.
  const thousands = new ReadableStream<number>({
    start(controller) {
      for (const [i, future] of futures.entries()) {
        future.addProgressCallback((value) => {
          for (; tried[i] < (value as number); tried[i] += 1_000) controller.enqueue(i);
        });
      }
      Promise.all(futures).then(() => controller.close(), (error) => controller.error(error));
    },
  });
  for await (const _ of progress(thousands, { total: 4 * share / 1_000, unit: "thousand" }));
  const counts = await Promise.all(futures);
  console.log(`there are ${sum(counts)} primes among the ${sum(tried)} numbers that were tried`);
}

/** A server that has more to do than it can answers 503, before that fills its memory. */
async function serve({ executor }: Settings) {
  console.log("A server has two workers, and four requests may wait for them");
  await using pool = makePool(executor, 2, 4);
  await using server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
    async handler() {
      await pool.submit(rest, 300);
      return new Response("done");
    },
    onError(error) {
      if (!(error instanceof QueueFullError)) return new Response("failed", { status: 500 });
      return new Response("busy", { status: 503, headers: { "retry-after": "1" } });
    },
  });
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${server.addr.port}`);
    return `${response.status} ${await response.text()}`;
  };

  for (const count of [2, 12, 2]) {
    const answers = await Promise.all(Array.from({ length: count }, ask));
    const times = Object.entries(Object.groupBy(answers, (answer) => answer));
    console.log(`${count} requests: ${times.map(([answer, all]) => `${all!.length} times ${answer}`).join(", ")}`);
  }
}

// ---- the command line ---------------------------------------------------------------------------------------------

const PARTS = { loop: stopLoop, interrupt, progress: followTasks, server: serve };

export const COMMAND = commandLine({
  about: "Stop tasks, hear how far they have come, and limit how many may wait. Without a PART, it runs all four.",
  command: "deno run -P examples/control.ts",
  example: "interrupt --seconds 5",
  operands: {
    value: "PART",
    text: Object.keys(PARTS).join(", "),
    reads: oneOf(Object.keys(PARTS) as (keyof typeof PARTS)[]),
  },
  options: {
    executor: EXECUTOR,
    numbers: {
      value: "THOUSANDS",
      text: "how many thousand numbers each task of the part progress tries",
      reads: wholeNumber(1, 100_000),
      default: "750",
    },
    seconds: {
      value: "SECONDS",
      text: "how long a task of the part interrupt takes",
      reads: numberFrom(0, 3_600, "seconds"),
      default: "1",
    },
    patience: {
      value: "SECONDS",
      text: "how long tasks may go on after Ctrl-C",
      reads: numberFrom(0, 3_600, "seconds"),
      default: "5",
    },
  },
});

// The workers import this module too: only the program itself is to start.
if (import.meta.main) {
  const { operands, ...settings } = readOptions(COMMAND);
  await runParts(PARTS, operands, settings);
}
