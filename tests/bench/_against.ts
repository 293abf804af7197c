/**
 * Compares this checkout with another one: whether what both can do takes as long as there.
 *
 * Both are loaded into this program, and take turns in short rounds, each time in another order. So a load of the
 * machine hits both alike.
 *
 *     git worktree add --detach ../before main
 *     deno task bench against ../before
 *
 * @module
 */

import process from "node:process";
import { resolve, toFileUrl } from "@std/path";
import { median } from "./_measure.ts";
import { echo, hold, noop } from "./drivers/tasks.mjs";

type Library = typeof import("@concurrent/futures");
type Pool = InstanceType<Library["ThreadPoolExecutor"] | Library["ProcessPoolExecutor"]>;

/** Does the work of a round; returns microseconds a task or item. */
type Work = (pool: Pool) => number | Promise<number>;

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

function burst(count: number): Work {
  return (pool) => {
    const start = performance.now();
    const futures = Array.from({ length: count }, () => pool.submit(noop));
    for (const future of futures) future.result();
    return (performance.now() - start) * 1_000 / count;
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

/** The rows of the benchmark, and how many rounds each has. */
const WORKS: [row: string, kind: "threads" | "processes", rounds: number, work: Work][] = [
  ["1: round trip, blocking", "threads", 200, blocking],
  ["2: round trip, awaited", "threads", 200, awaited],
  ["3: pipelined no-op, 10,000", "threads", 60, burst(10_000)],
  ["3: pipelined no-op, 200", "threads", 400, burst(200)],
  ["4: map over 100,000 numbers", "threads", 60, map],
  ["13: round trip, blocking", "processes", 100, blocking],
  ["14: pipelined no-op, 10,000", "processes", 40, burst(10_000)],
  ["15: map over 100,000 numbers", "processes", 60, map],
];

async function open(library: Library, kind: "threads" | "processes"): Promise<Pool> {
  const pool = kind === "threads" ? new library.ThreadPoolExecutor(2) : new library.ProcessPoolExecutor(2);
  await Promise.all([pool.submit(hold, 100), pool.submit(hold, 100)]);
  return pool;
}

function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Prints for each row how many times as long this checkout takes as the one in a folder. */
export async function compareWith(folder: string): Promise<void> {
  const here: Library = await import("@concurrent/futures");
  const there: Library = await import(toFileUrl(resolve(folder, "mod.ts")).href);
  console.log(`This checkout divided by ${folder}: best rounds, medians, medians of the CPU time of this process`);
  for (const [row, kind, rounds, work] of WORKS) {
    const sides = await Promise.all([there, here].map(async (library) => {
      return { pool: await open(library, kind), times: [] as number[], cpu: [] as number[] };
    }));
    // Functions run unoptimized at first.
    for (let round = -10; round < rounds; round++) {
      for (const { pool, times, cpu } of round % 2 === 0 ? sides : sides.toReversed()) {
        const before = cpuTime();
        const time = await work(pool);
        if (round >= 0) {
          times.push(time);
          cpu.push(cpuTime() - before);
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    for (const { pool } of sides) await pool.shutdown();
    const [old, now] = sides;
    const ratios = [
      Math.min(...now.times) / Math.min(...old.times),
      median(now.times) / median(old.times),
      median(now.cpu) / median(old.cpu),
    ].map((ratio) => ratio.toFixed(2));
    const micros = [old, now].map(({ times }) => `${Math.min(...times).toPrecision(3)}`).join(" → ");
    console.log(`${kind} ${row}: ${ratios.join(", ")} (best ${micros} µs)`);
  }
  console.log(`Load: ${Deno.loadavg().map((load) => load.toFixed(1)).join(", ")}`);
}
