/**
 * Four threads contend for one object of each class with 100,000 operations: nothing is lost, nothing comes twice, and
 * all come to an end.
 */
import { assert, assertEquals } from "@std/assert";
import { ThreadPoolExecutor } from "@concurrent/futures";
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
import { sleep, test, within } from "../_helpers.ts";
import * as tasks from "./_contention.ts";
import { notes, seen, THREADS } from "./_contention.ts";

const OPERATIONS = 100_000;
const EACH = OPERATIONS / THREADS;
/** How long one row may take, in milliseconds. It takes a second or two where nothing else runs. */
const BOUND = 60_000;

const four = Array.from({ length: THREADS }, (_, i) => i);

/** Registers a row. */
function contend(name: string, run: (pool: ThreadPoolExecutor) => Promise<void>): void {
  test(`${name}: four threads, ${OPERATIONS.toLocaleString("en")} operations`, async () => {
    await using pool = new ThreadPoolExecutor(THREADS);
    await within(run(pool), name, BOUND);
  }, { bound: BOUND });
}

contend("Lock", async (pool) => {
  const [lock, noted] = [new Lock(), notes(3)];
  await Promise.all(four.map(() => pool.submit(tasks.countLocked, lock, noted, EACH)));
  assertEquals(seen(noted), { count: OPERATIONS, most: 1 });
  assert(!lock.locked());
});

contend("Lock, half of the threads awaiting it", async (pool) => {
  const [lock, noted] = [new Lock(), notes(3)];
  const ways = [tasks.countLocked, tasks.countLockedAsync];
  await Promise.all(four.map((i) => pool.submit(ways[i % 2], lock, noted, EACH)));
  assertEquals(seen(noted), { count: OPERATIONS, most: 1 });
  assert(!lock.locked());
});

contend("RLock", async (pool) => {
  const [lock, noted] = [new RLock(), notes(3)];
  // Each time is two.
  await Promise.all(four.map(() => pool.submit(tasks.countLockedTwice, lock, noted, EACH / 2)));
  assertEquals(seen(noted), { count: OPERATIONS / 2, most: 1 });
  assert(!lock.locked());
});

for (const Class of [Lock, RLock]) {
  contend(`Condition of ${Class.name === "Lock" ? "a Lock" : "an RLock"}`, async (pool) => {
    const [condition, place, counts] = [new Condition(new Class()), notes(1), notes(OPERATIONS / 2 + 1)];
    const end = counts.length;
    await Promise.all([
      ...[1, 2].map((first) => pool.submit(tasks.produce, condition, place, first, 2, end)),
      ...[1, 2].map(() => pool.submit(tasks.consume, condition, place, counts, EACH)),
    ]);
    assertEquals(counts.findIndex((count, i) => count !== (i === 0 ? 0 : 1)), -1, "an item was lost, or came twice");
  });
}

for (const Class of [Semaphore, BoundedSemaphore]) {
  contend(Class.name, async (pool) => {
    const [semaphore, noted] = [new Class(2), notes(3)];
    await Promise.all(four.map(() => pool.submit(tasks.countPermitted, semaphore, noted, EACH)));
    const { count, most } = seen(noted);
    assertEquals(count, OPERATIONS);
    assert(most <= 2, `${most} at once`);
    assertEquals([0, 0, 0].map((timeout) => semaphore.acquire(timeout)), [true, true, false]);
  });
}

contend("Barrier", async (pool) => {
  const [barrier, arrived, places] = [new Barrier(THREADS), notes(THREADS), notes(EACH)];
  const early = await Promise.all(four.map((i) => pool.submit(tasks.pass, barrier, arrived, places, i, EACH)));
  assertEquals(early, [0, 0, 0, 0], "times that a thread went on before all had come");
  assertEquals(places.findIndex((sum) => sum !== 0x1111), -1, "two had the same place");
  assertEquals([barrier.nWaiting, barrier.broken], [0, false]);
});

contend("Event", async (pool) => {
  // Two pairs, of which each sets as often as it waits.
  const events = four.map(() => new Event());
  const noted = [notes(1), notes(1)];
  const faults = await Promise.all(
    four.map((i) => pool.submit(tasks.rally, events[i], events[i ^ 1], noted[i >> 1], i & 1, EACH / 2)),
  );
  assertEquals(faults, [0, 0, 0, 0]);
  assertEquals(noted.map(([count]) => count), [EACH, EACH]);
});

for (const Class of [Queue, LifoQueue, PriorityQueue]) {
  for (const maxsize of Class === Queue ? [0, 1] : [10]) {
    contend(`${Class.name} with a maxsize of ${maxsize}`, async (pool) => {
      const [queue, counts] = [new Class(maxsize) as Queue, notes(OPERATIONS / 2)];
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

test("Lock: nobody starves where all hold it for nearly all of the time", async () => {
  await using pool = new ThreadPoolExecutor(THREADS);
  const [lock, isEnough] = [new Lock(), new Event()];
  const futures = four.map(() => pool.submit(tasks.hog, lock, isEnough));
  await sleep(1_500);
  isEnough.set();
  const times = await within(Promise.all(futures));
  assert(times.every((count) => count >= 20), `times that each one had it: ${times}`);
});
