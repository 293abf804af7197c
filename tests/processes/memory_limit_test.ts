/** `maxMemoryPerChild`: a process that holds more memory after a task is replaced. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProcessPoolExecutor } from "@concurrent/futures";
import { Ledger, sleep, test, until, within } from "../_helpers.ts";
import { echoLater, record, square } from "../fixtures/tasks.ts";
import { leaveMemory, pid, replaceMemoryUsage } from "../fixtures/process_tasks.ts";

/** More than a process takes that has run small tasks, and what a task leaves behind that goes beyond. */
const LIMIT = 250 * 2 ** 20;
const LEFT = 300 * 2 ** 20;

test("ProcessPoolExecutor refuses a maxMemoryPerChild that is no integer of at least 1, and names it", () => {
  for (const value of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => new ProcessPoolExecutor({ maxMemoryPerChild: value }), RangeError, "maxMemoryPerChild");
    assertThrows(() => new ProcessPoolExecutor({ maxMemoryPerChild: value }), RangeError, String(value));
  }
  for (const value of ["3", null, {}, [], true, 1n]) {
    assertThrows(
      () => new ProcessPoolExecutor({ maxMemoryPerChild: value as number }),
      TypeError,
      "maxMemoryPerChild",
    );
  }
});

for (const onWorkerCrash of ["break", "replace"] as const) {
  test(`ProcessPoolExecutor replaces a process that holds too much after a task, with ${onWorkerCrash}`, async () => {
    const pool = new ProcessPoolExecutor({ maxWorkers: 1, maxMemoryPerChild: LIMIT, onWorkerCrash });
    const first = await within(pool.submit(pid));
    for (let i = 0; i < 3; i++) assertEquals(await within(pool.submit(pid)), first, "small tasks share a process");
    assertEquals(await within(pool.submit(leaveMemory, LEFT)), first);
    const second = await within(pool.submit(pid));
    assert(second !== first, "another process has taken its place");
    assertEquals(pool.stats().restarts, 1);
    assertEquals(pool.stats().workers, 1);
    // A task may not hide it.
    await within(pool.submit(replaceMemoryUsage));
    assertEquals(await within(pool.submit(leaveMemory, LEFT)), second);
    assert(await within(pool.submit(pid)) !== second);
    assertEquals(pool.stats().restarts, 2);
    await within(pool.shutdown());
  });

  test(`ProcessPoolExecutor runs each task once where each is too much for it, with ${onWorkerCrash}`, async () => {
    const pool = new ProcessPoolExecutor({ maxWorkers: 2, maxMemoryPerChild: 1, onWorkerCrash });
    const ledger = new Ledger();
    const numbers = Array.from({ length: 6 }, (_, i) => i);
    const futures = numbers.map((n) => pool.submit(record<number>, ledger.path, n));
    assertEquals(await within(Promise.all(futures)), numbers);
    assertEquals(ledger.numbers(), numbers);
    await until(() => pool.stats().idle === pool.stats().workers, "nobody is started for nothing");
    await sleep(100);
    const { workers, restarts, done, failed } = pool.stats();
    assertEquals([done, failed], [6, 0]);
    assert(workers + restarts <= 6 && restarts >= 4, `${workers} processes, and ${restarts} that took a place`);
    await within(pool.shutdown());
  });
}

test("ProcessPoolExecutor loses no task that was given to a process with the one that was too much", async () => {
  const pool = new ProcessPoolExecutor({ maxWorkers: 1, maxMemoryPerChild: LIMIT });
  // So that it gets many at once.
  for (let i = 0; i < 300; i++) pool.submit(square, i);
  const ledger = new Ledger();
  const first = await within(pool.submit(pid));
  const all = Array.from({ length: 300 }, (_, i) => {
    if (i === 100) void pool.submit(leaveMemory, LEFT);
    return pool.submit(record<number>, ledger.path, i);
  });
  const later = pool.submit(echoLater, "later", 10);
  assertEquals(await within(Promise.all(all)), all.map((_, i) => i));
  assertEquals(ledger.numbers(), all.map((_, i) => i), "each has run once");
  assertEquals(await within(later), "later");
  assert(await within(pool.submit(pid)) !== first);
  assertEquals(pool.stats().failed, 0);
  await within(pool.shutdown());
});

test("ProcessPoolExecutor counts processes that have run maxTasksPerChild tasks as restarts", async () => {
  const pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 2 });
  for (let i = 0; i < 5; i++) await within(pool.submit(square, i));
  assertEquals([pool.stats().restarts, pool.stats().done], [2, 5]);
  await within(pool.shutdown());
});
