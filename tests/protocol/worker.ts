/** A thread for the tests of the worker protocol: plays the part that its first message names. */
import { ring } from "../../futures/bell.ts";
import { Consumer } from "../../executors/_queue/consumer.ts";
import { DECODED } from "../../executors/_queue/posted.ts";
import type { ConsumerStart, PoolMemory } from "../../executors/_queue/protocol.ts";
import { TaskQueue } from "../../executors/_queue/task_queue.ts";
import { isFilled, numberPayload } from "./_kit.ts";

export type Part =
  | { part: "claim"; memory: PoolMemory; seen: Uint8Array; totals: Float64Array; index: number; done: Int32Array }
  | { part: "echo"; bell: Int32Array; ball: Int32Array; rounds: number }
  | { part: "ring"; bell: Int32Array; counter: Int32Array; times: number; pause: number }
  | { part: "consume"; start: ConsumerStart };

const BOUND = 20_000;

let consumer: Consumer | undefined;

self.addEventListener("message", async (event) => {
  const { data } = event as MessageEvent;
  if (consumer !== undefined) return consumer.receive(data);
  const answer = await play(data);
  (self as unknown as Worker).postMessage(answer);
});

async function play(data: Part): Promise<string> {
  try {
    switch (data.part) {
      case "claim":
        return claim(data);
      case "echo":
        return echo(data);
      case "ring":
        return ringOften(data);
      case "consume":
        return await consume(data);
    }
  } catch (error) {
    return String(error);
  }
}

/** Claims records until the owner is done; the bytes of each record's payload are the low 8 bits of its `fn`. */
function claim({ memory, seen, totals, index, done }: Part & { part: "claim" }): string {
  const queue = new TaskQueue(memory);
  const end = performance.now() + BOUND;
  let spins = 0;
  for (;;) {
    const isDone = Atomics.load(done, 0) === 1;
    const record = queue.claim();
    if (record === undefined) {
      if (isDone) return "ok";
      if (performance.now() > end) return "the owner did not come to an end";
      if (++spins > 100) Atomics.wait(done, 0, 0, 0.1);
      continue;
    }
    spins = 0;
    // Sometimes slowly, so that others give back before.
    if ((record.fn & 63) === 0) { for (let i = 0; i < 2000; i++) Atomics.load(done, 0); }
    if (!isFilled(queue.memory, record.offset, record.byteLength, record.fn & 255)) {
      return `record ${record.fn} was overwritten before it was given back`;
    }
    if (Atomics.add(seen, record.fn, 1) !== 0) return `record ${record.fn} was claimed twice`;
    totals[index] += record.fn + record.byteLength;
    queue.giveBack(record);
  }
}

/** Waits until `ball[1]` is the next number, copies it to `ball[0]`, rings. */
function echo({ bell, ball, rounds }: Part & { part: "echo" }): string {
  for (let i = 1; i <= rounds; i++) {
    for (let spins = 0; spins < 200 && Atomics.load(ball, 1) !== i; spins++);
    if (Atomics.load(ball, 1) !== i && Atomics.wait(ball, 1, i - 1, BOUND) === "timed-out") return `no ball ${i}`;
    Atomics.store(ball, 0, i);
    ring(bell);
  }
  return "ok";
}

/** Counts up and rings, so many times, each after some milliseconds. */
function ringOften({ bell, counter, times, pause }: Part & { part: "ring" }): string {
  for (let i = 0; i < times; i++) {
    if (pause > 0) Atomics.wait(counter, 1, 0, pause);
    Atomics.add(counter, 0, 1);
    ring(bell);
  }
  return "ok";
}

/** A consumer whose tasks answer with their number plus one. */
async function consume({ start }: Part & { part: "consume" }): Promise<never> {
  consumer = new Consumer(start, DECODED);
  await consumer.begin();
  for (;;) {
    const task = await consumer.take();
    if (task === undefined) await consumer.waitForWork();
    else if (consumer.start(task)) consumer.reply(task, 0, numberPayload(task.payload.number + 1));
  }
}
