/**
 * The rows about growth that only this library takes part in.
 *
 * @module
 */

import { asCompleted, Future, ThreadPoolExecutor, wait } from "@concurrent/futures";
import { echo } from "./tasks.mjs";

/** Holds its worker until the first of the numbers is not 0. */
export function holdUntil(numbers: Int32Array): void {
  Atomics.wait(numbers, 0, 0);
}

interface Growth {
  value: number;
  detail: Record<number | string, number>;
}

function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** Bytes of resident memory that each queued task adds; its argument is a small number, which needs none. */
async function queuedMemory({ queued }: { queued: number }): Promise<Growth> {
  using pool = new ThreadPoolExecutor(2);
  for (const _ of pool.map(echo, Array(1_000).keys())); // what the pool needs anyway
  const numbers = new Int32Array(new SharedArrayBuffer(4));
  const held = [pool.submit(holdUntil, numbers), pool.submit(holdUntil, numbers)];
  const futures: Future<unknown>[] = Array(queued);
  collectGarbage();
  const before = Deno.memoryUsage();
  for (let i = 0; i < queued; i++) futures[i] = pool.submit(echo, i);
  collectGarbage();
  const after = Deno.memoryUsage();
  Atomics.store(numbers, 0, 1);
  Atomics.notify(numbers, 0);
  await wait(held);
  for (let i = 0; i < queued; i++) {
    if (futures[i].result() !== i) throw new Error(`Another result than ${i} came back`);
  }
  const detail = { rss: (after.rss - before.rss) / queued, heap: (after.heapUsed - before.heapUsed) / queued };
  return { value: detail.rss, detail };
}

/** Microseconds a future: nothing but waiting for it and completing it. */
async function waitFor(how: "wait" | "asCompleted", count: number): Promise<number> {
  const futures = Array.from({ length: count }, () => new Future<number>());
  const start = performance.now();
  if (how === "wait") {
    const waiting = wait(futures);
    for (const [i, future] of futures.entries()) future.setResult(i);
    const { done } = await waiting;
    if (done.size !== count) throw new Error(`${done.size} futures are done instead of ${count}`);
  } else {
    const completed = asCompleted(futures);
    for (const [i, future] of futures.entries()) future.setResult(i);
    let seen = 0;
    for await (const _ of completed) seen++;
    if (seen !== count) throw new Error(`${seen} futures completed instead of ${count}`);
  }
  return (performance.now() - start) * 1000 / count;
}

/** How much more a future costs in the worst of the numbers of futures than in the first. */
async function waits({ how, counts }: { how: "wait" | "asCompleted"; counts: number[] }): Promise<Growth> {
  const detail: Record<number, number> = {};
  const most = Math.max(...counts);
  for (const count of counts) {
    let total = 0;
    const rounds = most / count;
    for (let i = 0; i < rounds; i++) total += await waitFor(how, count);
    detail[count] = total / rounds;
  }
  return { value: Math.max(...Object.values(detail)) / detail[counts[0]], detail };
}

// deno-lint-ignore no-explicit-any -- the parameters come from rows.ts, as JSON
export const growthWorks: Record<string, (params: any) => Promise<() => Promise<Growth>>> = {
  queuedMemory: (params) => Promise.resolve(() => queuedMemory(params)),
  waits: (params) => Promise.resolve(() => waits(params)),
};
