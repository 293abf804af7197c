/**
 * The work of every row, written once for all contestants in JavaScript: a contestant only says how its pool runs a
 * task. `python.py` does the same work in Python.
 *
 * @module
 */

import { createHash } from "node:crypto";
import process from "node:process";
import * as tasks from "./tasks.mjs";

/**
 * How a contestant runs the tasks of `tasks.mjs`. A task `move` is `echo` of a value that is moved there and back.
 *
 * @typedef {object} Pool
 * @property {(task: string, argument?: unknown) => PromiseLike<unknown>} run Runs a task.
 * @property {boolean} [moves] Whether it can `move`.
 * @property {(task: string, argument?: unknown) => unknown} [block] The same, blocking, where it can.
 * @property {(task: string, count: number) => unknown[] | Promise<unknown[]>} [runAll] Starts so many and then waits
 * for all.
 * @property {(task: string, items: number[]) => unknown[] | Promise<unknown[]>} [map] By its own function for many
 * items.
 * @property {(count: number) => unknown} [startAll] Makes sure that so many workers are there.
 * @property {() => unknown} [begin] Called before each round, outside of what is timed.
 * @property {() => unknown} [end] Called after each round.
 * @property {() => unknown} close Ends its workers.
 *
 * @typedef {object} Contestant
 * @property {(group: "threads" | "processes", workers: number) => Pool | Promise<Pool>} open Makes a pool.
 * @property {Record<string, (params: any) => Promise<() => unknown>>} [works] Works of its own.
 *
 * @typedef {{ value: number, detail?: unknown }} Outcome
 * @typedef {{ run(): Promise<Outcome>, close(): Promise<void> }} Opened
 */

/** A contestant has no such thing. */
export class Cannot extends Error {}

const PAYLOADS = {
  nothing: () => undefined,
  text: (size) => "x".repeat(size),
  bytes: (size) => new Uint8Array(size).fill(7),
  buffer: (size) => new Uint8Array(size).fill(7).buffer,
};

/** What is looked at for each result; the last one is compared in full after the clock was stopped. */
function sizeOf(value) {
  return value === undefined || value === null ? 0 : value.byteLength ?? value.length;
}

function expectSame(result, value, size) {
  if (typeof value === "string" ? result === value : sizeOf(result) === size) {
    if (size === 0 || typeof value === "string") return;
    const bytes = new Uint8Array(result.buffer ?? result);
    if (bytes.every((byte) => byte === 7)) return;
  }
  throw new Error("Another value came back");
}

function expectEqual(actual, expected) {
  if (actual !== expected) throw new Error(`Wanted ${expected}, and got ${actual}`);
}

const range = (length) => Array.from({ length }, (_, i) => i);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function runAll(pool, task, count) {
  if (pool.runAll) return pool.runAll(task, count);
  return Promise.all(range(count).map(() => pool.run(task)));
}

async function startAll(pool, count) {
  if (pool.startAll) await pool.startAll(count);
  else await Promise.all(range(count).map(() => pool.run("hold", 100)));
}

/** Milliseconds. */
async function timed(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/**
 * One task after the other, each waited for; stops early when `budget` milliseconds have passed. Microseconds a task.
 */
function oneByOne(pool, { task, payload, size = 0, count, wait, budget = 1_500 }) {
  const blocks = wait !== "await" && pool.block !== undefined;
  if (wait === "block" && !blocks) throw new Cannot("cannot block");
  if (task === "move" && !pool.moves) throw new Cannot("cannot move both ways");
  const mask = count >= 1_000 ? 15 : 0;
  let value = PAYLOADS[payload](size);
  return async () => {
    await pool.begin?.();
    let done = 0;
    let last;
    const start = performance.now();
    while (done < count) {
      last = blocks ? pool.block(task, value) : await pool.run(task, value);
      if (sizeOf(last) !== size) throw new Error(`Wanted ${size} bytes or characters, and got ${sizeOf(last)}`);
      if (task === "move") value = last;
      done++;
      if ((done & mask) === 0 && performance.now() - start > budget) break;
    }
    const elapsed = performance.now() - start;
    await pool.end?.();
    expectSame(last, value, size);
    return { value: elapsed * 1000 / done, detail: { tasks: done } };
  };
}

/** The median no-op of some, with a pause before each, which is not timed. Microseconds. */
function afterPauses(pool, { count, pauseMs, wait }) {
  const blocks = wait !== "await" && pool.block !== undefined;
  if (wait === "block" && !blocks) throw new Cannot("cannot block");
  return async () => {
    const times = [];
    for (let i = 0; i < count; i++) {
      await pause(pauseMs);
      const start = performance.now();
      const result = blocks ? pool.block("noop") : await pool.run("noop");
      times.push(performance.now() - start);
      expectEqual(sizeOf(result), 0);
    }
    times.sort((a, b) => a - b);
    return { value: times[count >> 1] * 1000 };
  };
}

/** Many no-ops, which are submitted before any of them is waited for. Microseconds a task. */
function burst(pool, { count }) {
  return async () => {
    let results;
    const elapsed = await timed(async () => results = await runAll(pool, "noop", count));
    expectEqual(results.length, count);
    if (results.some((result) => sizeOf(result) !== 0)) throw new Error("A no-op returned something");
    return { value: elapsed * 1000 / count };
  };
}

/** Microseconds an item. */
function map(pool, { count }) {
  const items = range(count);
  return async () => {
    let results;
    const elapsed = await timed(async () => {
      results = await (pool.map ? pool.map("echo", items) : Promise.all(items.map((item) => pool.run("echo", item))));
    });
    expectEqual(results.length, count);
    for (let i = 0; i < count; i++) expectEqual(results[i], i);
    return { value: elapsed * 1000 / count };
  };
}

/** A new pool of 2 until so many tasks, submitted together, have returned. Milliseconds. */
function cold(contestant, group, { results }) {
  return async () => {
    const start = performance.now();
    const pool = await contestant.open(group, 2);
    await runAll(pool, "noop", results);
    const value = performance.now() - start;
    await pool.close();
    return { value };
  };
}

/** What each of so many idle workers adds to the resident memory of the process. MiB. */
function memory(contestant, group, { workers }) {
  const settled = async () => {
    await pause(400);
    globalThis.gc?.();
    return process.memoryUsage.rss();
  };
  return async () => {
    const first = await contestant.open(group, 1);
    await startAll(first, 1);
    const before = await settled();
    const pool = await contestant.open(group, workers);
    await startAll(pool, workers);
    // The pools end with this program, which is there for one round only: some take long to close so many workers.
    return { value: (await settled() - before) / workers / 2 ** 20 };
  };
}

/** How many times sooner a pool of 2 is done with the same tasks than a pool of 1. */
async function speedup(contestant, group, { task, size, count }) {
  const expected = tasks[task](size);
  if (task === "sha256") {
    expectEqual(expected, createHash("sha256").update(tasks.someBytes(size)).digest("hex"));
  }
  const pools = [await contestant.open(group, 1), await contestant.open(group, 2)];
  const time = (pool) =>
    timed(async () => {
      const results = await Promise.all(range(count).map(() => pool.run(task, size)));
      for (const result of results) expectEqual(result, expected);
    });
  return {
    run: async () => {
      const one = await time(pools[0]);
      const two = await time(pools[1]);
      return { value: one / two, detail: { one, two } };
    },
    close: async () => {
      for (const pool of pools) await pool.close();
    },
  };
}

/**
 * How many of the queued tasks have ended when the main thread has computed for so long, beginning when all were
 * submitted.
 */
function aside(pool, { count, taskMs, busyMs }) {
  return async () => {
    const promises = range(count).map(() => pool.run("spin", taskMs));
    const end = tasks.spin(busyMs);
    const ends = await Promise.all(promises);
    return { value: ends.filter((at) => at <= end).length };
  };
}

/** How much more a byte costs in the worst of the sizes from 64 KiB on than at 64 KiB. */
function payloads(pool, { sizes, bytes }) {
  const base = 1 << 16;
  return async () => {
    const detail = {};
    for (const size of sizes) {
      const count = Math.max(2, Math.min(50, Math.floor(bytes / size)));
      // The first call makes memory of that size.
      const once = oneByOne(pool, { task: "echo", payload: "bytes", size, count: 1, budget: Infinity });
      await once();
      const often = oneByOne(pool, { task: "echo", payload: "bytes", size, count, budget: Infinity });
      detail[size] = (await often()).value;
    }
    const perByte = sizes.filter((size) => size >= base).map((size) => detail[size] / size);
    return { value: Math.max(...perByte) / (detail[base] / base), detail };
  };
}

/** How much more a queued no-op costs in the worst of the lengths of the queue than in the first. */
function queue(pool, { lengths, total }) {
  return async () => {
    const detail = {};
    for (const length of lengths) {
      const rounds = Math.max(1, total / length);
      const elapsed = await timed(async () => {
        for (let i = 0; i < rounds; i++) expectEqual((await runAll(pool, "noop", length)).length, length);
      });
      detail[length] = elapsed * 1000 / (rounds * length);
    }
    return { value: Math.max(...Object.values(detail)) / detail[lengths[0]], detail };
  };
}

/** How much more a no-op costs with the worst of so many workers than with one. */
function workers(contestant, group, { workers, count }) {
  return async () => {
    const detail = {};
    for (const number of workers) {
      const pool = await contestant.open(group, number);
      await startAll(pool, number);
      await runAll(pool, "noop", count);
      detail[number] = await timed(() => runAll(pool, "noop", count)) * 1000 / count;
      await pool.close();
    }
    return { value: Math.max(...Object.values(detail)) / detail[workers[0]], detail };
  };
}

const IN_A_POOL = { oneByOne, afterPauses, burst, map, aside, payloads, queue };
const WITH_POOLS = { cold, memory, workers };
const nothing = async () => {};

/**
 * Prepares a work. Nothing of that is timed.
 *
 * @param {Contestant} contestant Who does it.
 * @param {{ work: string, group: "threads" | "processes", params: any }} request What to do.
 * @returns {Promise<Opened>} How to run it.
 */
export async function openWork(contestant, { work, group, params }) {
  if (contestant.works?.[work]) return { run: await contestant.works[work](params), close: nothing };
  if (work === "speedup") return await speedup(contestant, group, params);
  if (work in WITH_POOLS) return { run: WITH_POOLS[work](contestant, group, params), close: nothing };
  const pool = await contestant.open(group, 2);
  if (work !== "payloads") await startAll(pool, 2);
  return {
    run: await IN_A_POOL[work](pool, params),
    close: async () => {
      await pool.close();
    },
  };
}
