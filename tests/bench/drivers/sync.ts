/**
 * The rows about locks and queues: what this library takes, and a message and its answer for the same.
 *
 * @module
 */

import { ThreadPoolExecutor } from "@concurrent/futures";
import { Barrier, Lock, Queue } from "@concurrent/futures/sync";
import { EchoWorker } from "../_floors.ts";

interface Params {
  /** A lock that nobody else wants, one that several threads want, or a queue between two threads. */
  how: "free" | "wanted" | "queue";
  /** How many operations there are, of all threads together. */
  count: number;
}

/** How many threads want a lock. */
const THREADS = 4;

/** Takes and releases a lock so many times; the count is what the lock protects. */
export function takeTurns(lock: Lock, start: Barrier, total: Int32Array, times: number): void {
  start.wait();
  for (let i = 0; i < times; i++) {
    lock.acquire();
    total[0]++;
    lock.release();
  }
}

/** Puts so many numbers into a queue. */
export function putAll(queue: Queue<number>, count: number): void {
  for (let n = 0; n < count; n++) queue.put(n);
}

function expectEqual(actual: unknown, wanted: unknown): void {
  if (actual !== wanted) throw new Error(`Wanted ${wanted}, and got ${actual}`);
}

/** Runs it, and returns how many microseconds each operation took. */
async function microseconds(count: number, run: () => void | Promise<void>): Promise<{ value: number }> {
  const start = performance.now();
  await run();
  return { value: (performance.now() - start) * 1_000 / count };
}

function free(count: number): () => Promise<{ value: number }> {
  const lock = new Lock();
  return () =>
    microseconds(count, () => {
      let total = 0;
      for (let i = 0; i < count; i++) {
        lock.acquire();
        total++;
        lock.release();
      }
      expectEqual(total, count);
    });
}

function wanted(count: number): () => Promise<{ value: number }> {
  const pool = new ThreadPoolExecutor(THREADS);
  return async () => {
    const [lock, start] = [new Lock(), new Barrier(THREADS + 1)];
    const total = new Int32Array(new SharedArrayBuffer(4));
    const times = count / THREADS;
    const futures = Array.from({ length: THREADS }, () => pool.submit(takeTurns, lock, start, total, times));
    // Their time begins when the last one comes, which is this one.
    while (start.nWaiting < THREADS) await new Promise((resolve) => setTimeout(resolve, 1));
    const figure = await microseconds(count, () => {
      start.wait();
      for (const future of futures) future.result();
    });
    expectEqual(total[0], count);
    return figure;
  };
}

function queued(count: number): () => Promise<{ value: number }> {
  const pool = new ThreadPoolExecutor(1);
  return async () => {
    const queue = new Queue<number>(1_000);
    let sum = 0;
    const figure = await microseconds(count, () => {
      const future = pool.submit(putAll, queue, count);
      for (let n = 0; n < count; n++) sum += queue.get();
      future.result();
    });
    expectEqual(sum, count * (count - 1) / 2);
    return figure;
  };
}

/** The works of this library. */
export const syncWorks: Record<string, (params: Params) => Promise<() => Promise<{ value: number }>>> = {
  sync: ({ how, count }) => Promise.resolve({ free, wanted, queue: queued }[how](count)),
};

/** The same of `postMessage`: an operation is a message and its answer, as many as take no longer than a second. */
export const syncFloors: typeof syncWorks = {
  sync: ({ count }) => {
    const worker = new EchoWorker();
    const times = Math.min(count, 5_000);
    return Promise.resolve(() =>
      microseconds(times, async () => {
        for (let i = 0; i < times; i++) expectEqual(await worker.send(i), i);
      })
    );
  },
};
