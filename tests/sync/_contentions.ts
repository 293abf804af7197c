/**
 * What four threads do with one object of each class until all have come to an end, and what must be true then: nothing
 * is lost, and nothing comes twice. `contention_test.ts` has 8,000 operations each, the soak a million.
 */
import { assert, assertEquals } from "@std/assert";
import type { ThreadPoolExecutor } from "@concurrent/futures";
import {
  Barrier,
  BoundedSemaphore,
  Condition,
  Event,
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  RLock,
  Semaphore,
} from "@concurrent/futures/sync";
import * as tasks from "./_contention.ts";
import { notes, seen, THREADS } from "./_contention.ts";

/** Runs in a pool of four threads so many operations, a multiple of eight. */
type Contend = (pool: ThreadPoolExecutor, operations: number) => Promise<void>;

/** By the name of the object. */
export const CONTENTIONS: { [name: string]: Contend } = {};

const four = Array.from({ length: THREADS }, (_, i) => i);

function contend(name: string, run: Contend): void {
  CONTENTIONS[name] = run;
}

contend("Lock", async (pool, operations) => {
  const [lock, noted] = [new Lock(), notes(3)];
  await Promise.all(four.map(() => pool.submit(tasks.countLocked, lock, noted, operations / THREADS)));
  assertEquals(seen(noted), { count: operations, most: 1 });
  assert(!lock.locked());
});

contend("Lock, half of the threads awaiting it", async (pool, operations) => {
  const [lock, noted] = [new Lock(), notes(3)];
  const ways = [tasks.countLocked, tasks.countLockedAsync];
  await Promise.all(four.map((i) => pool.submit(ways[i % 2], lock, noted, operations / THREADS)));
  assertEquals(seen(noted), { count: operations, most: 1 });
  assert(!lock.locked());
});

contend("RLock", async (pool, operations) => {
  const [lock, noted] = [new RLock(), notes(3)];
  // Each time is two.
  await Promise.all(four.map(() => pool.submit(tasks.countLockedTwice, lock, noted, operations / THREADS / 2)));
  assertEquals(seen(noted), { count: operations / 2, most: 1 });
  assert(!lock.locked());
});

for (const Class of [Lock, RLock]) {
  contend(`Condition of ${Class.name === "Lock" ? "a Lock" : "an RLock"}`, async (pool, operations) => {
    const [condition, place, counts] = [new Condition(new Class()), notes(1), notes(operations / 2 + 1)];
    const end = counts.length;
    await Promise.all([
      ...[1, 2].map((first) => pool.submit(tasks.produce, condition, place, first, 2, end)),
      ...[1, 2].map(() => pool.submit(tasks.consume, condition, place, counts, operations / THREADS)),
    ]);
    assertEquals(counts.findIndex((count, i) => count !== (i === 0 ? 0 : 1)), -1, "an item was lost, or came twice");
  });
}

for (const Class of [Semaphore, BoundedSemaphore]) {
  contend(Class.name, async (pool, operations) => {
    const [semaphore, noted] = [new Class(2), notes(3)];
    await Promise.all(four.map(() => pool.submit(tasks.countPermitted, semaphore, noted, operations / THREADS)));
    const { count, most } = seen(noted);
    assertEquals(count, operations);
    assert(most <= 2, `${most} at once`);
    assertEquals([0, 0, 0].map((timeout) => semaphore.acquire(timeout)), [true, true, false]);
  });
}

contend("Barrier", async (pool, operations) => {
  const [barrier, arrived, places] = [new Barrier(THREADS), notes(THREADS), notes(operations / THREADS)];
  const early = await Promise.all(
    four.map((i) => pool.submit(tasks.pass, barrier, arrived, places, i, operations / THREADS)),
  );
  assertEquals(early, [0, 0, 0, 0], "times that a thread went on before all had come");
  assertEquals(places.findIndex((sum) => sum !== 0x1111), -1, "two had the same place");
  assertEquals([barrier.nWaiting, barrier.broken], [0, false]);
});

contend("Event", async (pool, operations) => {
  // Two pairs, of which each sets as often as it waits.
  const events = four.map(() => new Event());
  const noted = [notes(1), notes(1)];
  const faults = await Promise.all(
    four.map((i) => pool.submit(tasks.rally, events[i], events[i ^ 1], noted[i >> 1], i & 1, operations / THREADS / 2)),
  );
  assertEquals(faults, [0, 0, 0, 0]);
  assertEquals(noted.map(([count]) => count), [operations / THREADS, operations / THREADS]);
});

for (const Class of [Queue, LifoQueue, PriorityQueue]) {
  for (const maxsize of Class === Queue ? [0, 1] : [10]) {
    contend(`${Class.name} with a maxsize of ${maxsize}`, async (pool, operations) => {
      const [queue, counts] = [new Class(maxsize) as Queue, notes(operations / 2)];
      const hasPriority = Class === PriorityQueue as unknown;
      const getters = [0, 1].map(() => pool.submit(tasks.getAll, queue, hasPriority, counts));
      await Promise.all([0, 1].map((first) => pool.submit(tasks.putAll, queue, hasPriority, first, 2, counts.length)));
      assert(await queue.joinAsync(), "each item is done");
      queue.shutdown();
      const behind = await Promise.all(getters);
      assertEquals(counts.findIndex((count) => count !== 1), -1, "an item was lost, or came twice");
      if (Class === Queue) assertEquals(behind, [0, 0], "items that came behind later ones");
      assert(queue.empty());
    });
  }
}
