/**
 * Compares this checkout with another one: whether what both can do takes as long as there.
 *
 * Both are loaded into this program, and take turns in short rounds, each time in another order. So a load of the
 * machine hits both alike, and the lower quartile of many rounds hides most of it. The three parts of row 3 differ the
 * least from run to run: what this thread and another one do for a task, while the other one has nothing to do.
 *
 *     git worktree add --detach ../before main
 *     deno task bench against ../before
 *
 * @module
 */

import process from "node:process";
import { fromFileUrl, resolve, toFileUrl } from "@std/path";
import { begin, echo, end, hold, noop } from "./drivers/tasks.mjs";

type Future<T> = import("@concurrent/futures").Future<T>;
type Library = typeof import("@concurrent/futures");
type Pool = InstanceType<Library["ThreadPoolExecutor"] | Library["ProcessPoolExecutor"]>;

/** Does the work of a round; returns microseconds a task or item. */
type Work = (pool: Pool, library: Library) => number | Promise<number>;

const ITEMS = Array.from({ length: 100_000 }, (_, i) => i);
const TRIPS = 20;

/** The best of some round trips: on a busy machine few are not disturbed. */
async function bestTrip(trip: () => unknown): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < TRIPS; i++) {
    const start = performance.now();
    const value = trip();
    if (value instanceof Promise) await value;
    best = Math.min(best, performance.now() - start);
  }
  return best * 1_000;
}

const TEXT = "x".repeat(2 ** 10);
const LARGE_TEXT = "x".repeat(2 ** 20);

/** The median of some round trips, where it matters how the threads get on with each other. */
function medianTrip(make: (pool: Pool, library: Library) => () => Future<unknown>, wait: "block" | "await"): Work {
  return async (pool, library) => {
    const times: number[] = [];
    for (const submit of Array.from({ length: TRIPS }, () => make(pool, library))) {
      const start = performance.now();
      const future = submit();
      if (wait === "block") future.result();
      else await future;
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[TRIPS >> 1] * 1_000;
  };
}

const text = (pool: Pool) => () => pool.submit(echo<string>, TEXT);
const largeText = (pool: Pool) => () => pool.submit(echo<string>, LARGE_TEXT);
/** Only there: back, it would need the `transfer()` of its library. */
const moved = (pool: Pool, { transfer }: Library) => {
  const bytes = new Uint8Array(2 ** 20).fill(7);
  return () => pool.submit(noop as (bytes: Uint8Array) => void, transfer(bytes, [bytes.buffer]));
};

function burst(count: number): Work {
  return (pool) => {
    const start = performance.now();
    const futures = Array.from({ length: count }, () => pool.submit(noop));
    for (const future of futures) future.result();
    return (performance.now() - start) * 1_000 / count;
  };
}

/** What a part of a burst takes in one thread: to submit tasks, to run them, or to take their results. */
function part(what: "submit" | "run" | "take"): Work {
  const count = 1_000;
  return async (pool) => {
    const memory = new SharedArrayBuffer(16);
    const words = new Int32Array(memory);
    const first = pool.submit(begin, memory);
    while (Atomics.load(words, 0) !== 1) await pause();
    let start = performance.now();
    const futures = Array.from({ length: count }, () => pool.submit(noop));
    const submitted = performance.now() - start;
    const last = pool.submit(end, memory);
    Atomics.store(words, 0, 2);
    while (Atomics.load(words, 0) !== 3);
    start = performance.now();
    for (const future of futures) future.result();
    const taken = performance.now() - start;
    await Promise.all([first, last]);
    return { submit: submitted, run: new Float64Array(memory)[1], take: taken }[what] * 1_000 / count;
  };
}

const blocking: Work = (pool) => bestTrip(() => pool.submit(noop).result());
const awaited: Work = (pool) => bestTrip(async () => await pool.submit(noop));
const map: Work = (pool) => {
  const start = performance.now();
  let sum = 0;
  for (const n of pool.map(echo<number>, ITEMS)) sum += n;
  if (sum !== 4_999_950_000) throw new Error(`The sum is ${sum}`);
  return (performance.now() - start) * 1_000 / ITEMS.length;
};

type Kind = "threads" | "processes" | "thread";

/** The rows of the benchmark, and how many rounds each has. */
const WORKS: [row: string, kind: Kind, rounds: number, work: Work][] = [
  ["1: round trip, blocking", "threads", 200, blocking],
  ["2: round trip, awaited", "threads", 200, awaited],
  ["3: pipelined no-op, 10,000", "threads", 60, burst(10_000)],
  ["3: pipelined no-op, 200", "threads", 400, burst(200)],
  ["3: to submit a no-op", "thread", 300, part("submit")],
  ["3: to run it", "thread", 300, part("run")],
  ["3: to take its result", "thread", 300, part("take")],
  ["4: map over 100,000 numbers", "threads", 60, map],
  ["5: echo of 1 KiB of text, blocking", "threads", 200, medianTrip(text, "block")],
  ["5: echo of 1 KiB of text, awaited", "threads", 200, medianTrip(text, "await")],
  ["7: 1 MiB of bytes, moved there, blocking", "threads", 100, medianTrip(moved, "block")],
  ["7: 1 MiB of bytes, moved there, awaited", "threads", 100, medianTrip(moved, "await")],
  ["13: round trip, blocking", "processes", 100, blocking],
  ["14: pipelined no-op, 10,000", "processes", 40, burst(10_000)],
  ["15: map over 100,000 numbers", "processes", 60, map],
  ["16: echo of 1 MiB of text, blocking", "processes", 40, medianTrip(largeText, "block")],
  ["16: echo of 1 MiB of text, awaited", "processes", 40, medianTrip(largeText, "await")],
];

async function open(library: Library, kind: Kind): Promise<Pool> {
  const Executor = kind === "processes" ? library.ProcessPoolExecutor : library.ThreadPoolExecutor;
  const workers = kind === "thread" ? 1 : 2;
  const pool = new Executor(workers);
  await Promise.all(Array.from({ length: workers }, () => pool.submit(hold, 100)));
  return pool;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

function lowerQuartile(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 2];
}

function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** How many programs of each checkout are started to see how long their first task takes. */
const PROGRAMS = 15;

/** The kind of workers, how many there are, and how many tasks come first. */
type First = readonly [kind: "threads" | "processes", workers: number, tasks: number];

const FIRST: readonly First[] = [["threads", 2, 1], ["processes", 1, 1], ["processes", 2, 2]];

/** Milliseconds that a new program takes to submit its first tasks, and to have their results. */
async function firstTasks(mod: string, first: First): Promise<[submitted: number, result: number]> {
  const config = fromFileUrl(new URL("./deno.json", mod));
  const driver = fromFileUrl(new URL("./drivers/first.ts", import.meta.url));
  const args = ["run", "-A", "--quiet", "--no-check", `--config=${config}`, driver, mod, ...first.map(String)];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function compareFirstTasks(mods: string[], first: First): Promise<void> {
  const times = mods.map(() => ({ submitted: [] as number[], result: [] as number[] }));
  for (let round = 0; round < PROGRAMS; round++) {
    for (const side of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const [submitted, result] = await firstTasks(mods[side], first);
      times[side].submitted.push(submitted);
      times[side].result.push(result);
    }
  }
  const [old, now] = times;
  const [kind, , tasks] = first;
  for (const [what, key] of [["submitted", "submitted"], ["to the results", "result"]] as const) {
    const ratios = [least, lowerQuartile].map((of) => (of(now[key]) / of(old[key])).toFixed(2));
    const best = [old, now].map((side) => least(side[key]).toPrecision(3)).join(" → ");
    console.log(`${kind}, the first tasks of a program (${tasks}), ${what}: ${ratios.join(", ")} (best ${best} ms)`);
  }
}

function least(numbers: number[]): number {
  return Math.min(...numbers);
}

/** Prints for each row how many times as long this checkout takes as the one in a folder. */
export async function compareWith(folder: string): Promise<void> {
  const here: Library = await import("@concurrent/futures");
  const mods = [toFileUrl(resolve(folder, "mod.ts")).href, new URL("../../mod.ts", import.meta.url).href];
  const there: Library = await import(mods[0]);
  console.log(
    `This checkout divided by ${folder}: best rounds, lower quartiles, those of the CPU time of this process`,
  );
  for (const first of FIRST) await compareFirstTasks(mods, first);
  for (const [row, kind, rounds, work] of WORKS) {
    const sides = await Promise.all([there, here].map(async (library) => {
      return { library, pool: await open(library, kind), times: [] as number[], cpu: [] as number[] };
    }));
    // Functions run unoptimized at first.
    for (let round = -10; round < rounds; round++) {
      for (const { library, pool, times, cpu } of round % 2 === 0 ? sides : sides.toReversed()) {
        const before = cpuTime();
        const time = await work(pool, library);
        if (round >= 0) {
          times.push(time);
          cpu.push(cpuTime() - before);
        }
        await pause();
      }
    }
    for (const { pool } of sides) await pool.shutdown();
    const [old, now] = sides;
    const ratios = [
      least(now.times) / least(old.times),
      lowerQuartile(now.times) / lowerQuartile(old.times),
      lowerQuartile(now.cpu) / lowerQuartile(old.cpu),
    ].map((ratio) => ratio.toFixed(2));
    const micros = [old, now].map(({ times }) => least(times).toPrecision(3)).join(" → ");
    console.log(`${kind} ${row}: ${ratios.join(", ")} (best ${micros} µs)`);
  }
  console.log(`Load: ${Deno.loadavg().map((load) => load.toFixed(1)).join(", ")}`);
}
