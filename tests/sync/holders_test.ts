/** What a holder had that has died hangs nobody: it is broken within a second, and the error names the holder. */
import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { type Future, ThreadPoolExecutor, TimeoutError } from "@concurrent/futures";
import { Barrier, BrokenLockError, Condition, Event, Lock, Queue, RLock, Semaphore } from "@concurrent/futures/sync";
import { BOUND, sleep, test, until, within } from "../_helpers.ts";
import { A_WHILE } from "./_ways.ts";

/** How long it takes at the most until who waits knows of it, in milliseconds; more on a busy machine. */
const SOON = 5_000;

type Task = (lock: Lock, held: Event) => unknown;

const deaths: Record<string, [task: Task, end: (future: Future<unknown>) => unknown]> = {
  "Deno.exit()": [(lock, held) => {
    lock.acquire();
    held.set();
    Deno.exit(3);
  }, () => {}],
  "Deno.exit() behind an await": [async (lock, held) => {
    await lock.acquireAsync();
    held.set();
    await Promise.resolve();
    Deno.exit(3);
  }, () => {}],
  "an error in a timer": [async (lock, held) => {
    lock.acquire();
    held.set();
    setTimeout(() => {
      throw new Error("late");
    });
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  }, () => {}],
  "abort() while it computes": [(lock, held) => {
    lock.acquire();
    held.set();
    while (held.isSet());
  }, (future) => future.abort()],
  "abort() while it awaits": [async (lock, held) => {
    lock.acquire();
    held.set();
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  }, (future) => future.abort()],
};

for (const [how, [task, end]] of Object.entries(deaths)) {
  for (const Class of [Lock, RLock, Semaphore]) {
    test(`${Class.name}: a task that holds it and ends by ${how} breaks it, for who waits and who comes`, async () => {
      using pool = new ThreadPoolExecutor({ maxWorkers: 1, threadNamePrefix: "t" });
      const [lock, held] = [new Class() as Lock, new Event()];
      const future = pool.with({ name: "greedy", grace: 10 }).submit(task, lock, held);
      assert(await held.waitAsync(BOUND));
      const wait = lock.acquireAsync();
      end(future);
      const errors = [
        await within(wait.catch((error) => error), "who waits", SOON),
        await within(lock.acquireAsync().catch((error) => error), "who comes", SOON),
      ];
      for (const error of errors) {
        assertInstanceOf(error, BrokenLockError);
        assertMatch(
          error.message,
          new RegExp(`^The ${Class.name} is broken: it was held by t_0 for task greedy, which`),
        );
      }
      await future.exception(BOUND);
      held.clear(); // the one that computes on
    });
  }
}

for (
  const [how, wait] of Object.entries({
    "a block": (condition: Condition, waits: Event) => {
      using _ = condition.hold();
      waits.set();
      condition.wait();
    },
    "try and finally": (condition: Condition, waits: Event) => {
      condition.acquire();
      try {
        waits.set();
        condition.wait();
      } finally {
        condition.release();
      }
    },
  })
) {
  test(`Condition: who waits in ${how} learns that the lock is broken, and nothing hides it`, async () => {
    for (const lock of [new Lock(), new RLock()]) {
      using pool = new ThreadPoolExecutor(2);
      const [condition, waits, held] = [new Condition(lock), new Event(), new Event()];
      const waiter = pool.submit(wait, condition, waits);
      assert(await waits.waitAsync(BOUND));
      const holder = pool.submit(
        async (condition, held) => {
          condition.acquire();
          held.set();
          await new Promise((resolve) => setTimeout(resolve, 60_000));
        },
        condition,
        held,
      );
      assert(await held.waitAsync(BOUND));
      holder.abort();
      const error = await within(waiter.catch((error) => error), "who waits", SOON);
      assertInstanceOf(error, BrokenLockError, lock.constructor.name);
    }
  });
}

test("Queue: a stopped task that waits for an item takes none from another one", async () => {
  using pool = new ThreadPoolExecutor(2);
  const [queue, begun] = [new Queue<number>(), new Event()];
  const take = async (queue: Queue<number>, begun: Event) => {
    const item = queue.getAsync();
    begun.set();
    return await item;
  };
  const stopped = pool.with({ grace: 10 }).submit(take, queue, begun);
  assert(await begun.waitAsync(BOUND));
  stopped.abort();
  assertInstanceOf(stopped.exception(BOUND), DOMException);
  // They take the place of the one that was stopped.
  const futures = [1, 2].map(() => pool.submit(take, queue, begun));
  for (const n of [1, 2]) queue.put(n);
  assertEquals((await within(Promise.all(futures))).sort(), [1, 2]);
  assert(queue.empty());
});

test("Lock: a thread of a pool inside a task holds it, and the thread of that task is given up", async () => {
  using pool = new ThreadPoolExecutor(1);
  const [lock, held, end] = [new Lock(), new Event(), new Event()];
  const task = async (lock: Lock, held: Event, end: Event) => {
    const { ThreadPoolExecutor } = await import("@concurrent/futures");
    const inner = new ThreadPoolExecutor({ maxWorkers: 1, threadNamePrefix: "inner" });
    inner.with({ name: "greedy" }).submit(
      (lock: Lock, held: Event) => {
        lock.acquire();
        held.set();
      },
      lock,
      held,
    );
    held.wait();
    while (!end.isSet());
  };
  const future = pool.with({ grace: 10 }).submit(task, lock, held, end);
  try {
    assert(await held.waitAsync(BOUND));
    const wait = lock.acquireAsync();
    future.abort();
    const error = await within(wait.catch((error) => error), "who waits", SOON);
    assertInstanceOf(error, BrokenLockError);
    assertMatch(error.message, /^The Lock is broken: it was held by inner_0 for task greedy, which/);
  } finally {
    end.set();
  }
});

/** What a task can block in. */
const STUCK: Record<string, (parts: Parts) => unknown> = {
  "Lock.acquire()": ({ lock }) => lock.acquire(),
  "Condition.wait()": ({ condition }) => {
    using _ = condition.hold();
    condition.wait();
  },
  "Condition.waitFor()": ({ condition, empty }) => {
    using _ = condition.hold();
    condition.waitFor(() => 0);
    empty.put("went on");
  },
  "Semaphore.acquire()": ({ semaphore }) => semaphore.acquire(),
  "Event.wait()": ({ never }) => never.wait(),
  "Barrier.wait()": ({ barrier }) => barrier.wait(),
  "Queue.get()": ({ empty }) => empty.get(),
  "Queue.put()": ({ full }) => full.put("late"),
  "Queue.join()": ({ full }) => full.join(),
};

interface Parts {
  lock: Lock;
  condition: Condition;
  semaphore: Semaphore;
  never: Event;
  barrier: Barrier;
  empty: Queue<string>;
  full: Queue<string>;
}

for (const [what, task] of Object.entries(STUCK)) {
  test(`${what}: a task that is stopped while it blocks there ends soon, and has taken nothing`, async () => {
    using pool = new ThreadPoolExecutor(1);
    const parts: Parts = {
      lock: new Lock(),
      condition: new Condition(),
      semaphore: new Semaphore(0),
      never: new Event(),
      barrier: new Barrier(2),
      empty: new Queue(),
      full: new Queue(1),
    };
    parts.lock.acquire();
    parts.full.put("first");
    await within(pool.submit((parts) => parts.lock.locked(), parts)); // the thread has all that it needs
    const future = pool.with({ grace: 5_000 }).submit(task, parts);
    await until(() => future.running(), "the task runs");
    await sleep(A_WHILE);
    future.abort(new RangeError("enough"));
    assertInstanceOf(await within(future.catch((error) => error), "the task", SOON), RangeError);
    // In the same thread, which was not given up.
    const others = await within(pool.submit((parts) => {
      parts.lock.release();
      parts.semaphore.release();
      parts.empty.put("for another one");
      return [
        [parts.lock.acquire(0), parts.condition.acquire(0), parts.semaphore.acquire(0), parts.barrier.broken],
        [parts.empty.get(0), parts.full.get(0), parts.full.qsize()],
      ];
    }, parts));
    assertEquals(others, [[true, true, true, what.startsWith("Barrier")], ["for another one", "first", 0]]);
    assertEquals(pool.stats().lost, 0);
  });
}

test("Queue.get(): a task whose time is over while it blocks there fails, and its thread goes on", async () => {
  using pool = new ThreadPoolExecutor(1);
  const queue = new Queue<string>();
  const future = pool.with({ timeout: A_WHILE, grace: 5_000 }).submit((queue) => queue.get(), queue);
  assertInstanceOf(await within(future.catch((error) => error), "the task", SOON), TimeoutError);
  queue.put("for another one");
  assertEquals(await within(pool.submit((queue) => queue.get(0), queue)), "for another one");
  assertEquals(pool.stats().lost, 0);
});
