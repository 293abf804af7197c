/** How the objects of `sync` cross to tasks: everywhere that values can stand, and always as the same object. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { ProcessPoolExecutor, repeat, SerializationError, ThreadPoolExecutor } from "@concurrent/futures";
import {
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  BrokenLockError,
  Condition,
  Event,
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
  RLock,
  Semaphore,
} from "@concurrent/futures/sync";
import { BOUND, test, within } from "../_helpers.ts";
import { initializedWith, setUp } from "../fixtures/sync_tasks.ts";

const objects = {
  Lock: () => new Lock(),
  RLock: () => new RLock(),
  Condition: () => new Condition(),
  Semaphore: () => new Semaphore(2),
  BoundedSemaphore: () => new BoundedSemaphore(3),
  Event: () => new Event(),
  Barrier: () => new Barrier(2),
  Queue: () => new Queue(5),
  LifoQueue: () => new LifoQueue(5),
  PriorityQueue: () => new PriorityQueue(5),
};

test("objects of each class are of that class in the task, the same one wherever they stand, and come back", () => {
  using pool = new ThreadPoolExecutor(1);
  for (const [name, make] of Object.entries(objects)) {
    const object = make();
    const holder = { deep: [object], map: new Map([["key", object]]) };
    const future = pool.submit(
      (object, holder) => ({
        name: (object as object).constructor.name,
        isOne: holder.deep[0] === object && holder.map.get("key") === object,
        object,
      }),
      object as unknown,
      holder,
    );
    const result = future.result(BOUND);
    assertEquals([result.name, result.isOne], [name, true]);
    assertStrictEquals(result.object, object, name);
  }
});

test("an object is the same one in all tasks of a thread, also where the program keeps none", () => {
  using pool = new ThreadPoolExecutor(1);
  const lock = new Lock();
  const keep = (lock: Lock) => {
    const scope = globalThis as { kept?: Lock };
    return (scope.kept ??= lock) === lock;
  };
  for (let i = 0; i < 3; i++) assert(pool.submit(keep, lock).result(BOUND));
  assert(!pool.submit(keep, new Lock()).result(BOUND), "another lock is another object");
});

test("what one thread does to an object, all others see", () => {
  using pool = new ThreadPoolExecutor(2);
  const [lock, event, semaphore, queue] = [new Lock(), new Event(), new Semaphore(0), new Queue<string>()];
  const future = pool.submit(
    (lock, event, semaphore, queue) => {
      event.set();
      semaphore.release(2);
      queue.put("from the task");
      return lock.locked();
    },
    (lock.acquire(), lock),
    event,
    semaphore,
    queue,
  );
  assertEquals(queue.get(BOUND), "from the task");
  assert(future.result(BOUND), "it sees that the lock is held");
  assert(event.isSet());
  assert(semaphore.acquire(0) && semaphore.acquire(0) && !semaphore.acquire(0));
  lock.release();
});

test("a condition has its lock on each thread, and shares it with others", () => {
  using pool = new ThreadPoolExecutor(1);
  const lock = new Lock();
  const [a, b] = [new Condition(lock), new Condition(lock)];
  lock.acquire();
  const areHeld = (a: Condition, b: Condition, lock: Lock) => [a.acquire(0), b.acquire(0), lock.acquire(0)];
  assertEquals(pool.submit(areHeld, a, b, lock).result(BOUND), [false, false, false]);
  lock.release();
  assertEquals(pool.submit(areHeld, a, b, lock).result(BOUND), [true, false, false]);
  lock.release();
});

const wayOf = (name: string) => ({ ordered: name !== "unordered", settled: name === "settled" });
for (const name of ["ordered", "unordered", "settled"]) {
  test(`items of a map carry objects, and so does repeat(), with results that come ${name}`, () => {
    const lock = new Lock();
    const isFree = (lock: Lock, item: { lock: Lock }) => lock === item.lock && !lock.locked();
    const items = Array.from({ length: 20 }, () => ({ lock }));
    for (const first of [repeat(lock), items.map(() => lock)]) {
      // A new pool, whose threads have not loaded the classes.
      using pool = new ThreadPoolExecutor(2);
      const results = [...pool.map(isFree, first, items, wayOf(name) as { ordered: true })] as unknown[];
      const good = name === "settled" ? { status: "fulfilled", value: true } : true;
      assertEquals(results, items.map(() => good));
    }
  });
}

test("an initializer gets objects, too", () => {
  const semaphore = new Semaphore(0);
  using pool = new ThreadPoolExecutor({ maxWorkers: 1, initializer: setUp, initargs: [semaphore] });
  assertEquals(pool.submit(initializedWith).result(BOUND), "Semaphore");
  assert(semaphore.acquire(0));
});

test("a task makes an object and returns it, and the thread that gets it uses the same one", () => {
  using pool = new ThreadPoolExecutor(2);
  const make = async () => {
    const { Queue } = await import("@concurrent/futures/sync");
    const queue = new Queue<number>(2);
    queue.put(7);
    return queue;
  };
  const queue = pool.submit(make).result(BOUND);
  assertInstanceOf(queue, Queue);
  assertEquals([queue.maxsize, queue.qsize()], [2, 1]);
  assertEquals(pool.submit((queue) => queue.get(), queue).result(BOUND), 7);
  assert(queue.empty());
});

test("a pool of a task shares objects with the program", async () => {
  using pool = new ThreadPoolExecutor(1);
  const event = new Event();
  const nested = async (event: Event) => {
    const { ThreadPoolExecutor } = await import("@concurrent/futures");
    await using inner = new ThreadPoolExecutor(1);
    return await inner.submit((event: Event) => event.wait(), event);
  };
  const future = pool.submit(nested, event);
  event.set();
  assert(await within(future));
});

test("an object is refused by a process, with the reason and what to do", () => {
  using pool = new ProcessPoolExecutor(1);
  for (const [name, make] of Object.entries(objects)) {
    const future = pool.submit((holder: unknown) => holder, { list: [make()] });
    const error = future.exception(BOUND);
    assertInstanceOf(error, SerializationError);
    assertEquals(error.path, "args[0].list[0]");
    assertMatch(error.message, new RegExp(`an object of the class ${name}, which only threads of one program`));
    assertMatch(error.message, /To fix it, use a ThreadPoolExecutor/);
  }
});

test("an object in an item of a queue is refused, with the reason and what to do", () => {
  const queue = new Queue();
  for (const item of [new Lock(), { lock: new Lock() }, [new SharedArrayBuffer(8)]]) {
    const error = assertThrows(() => queue.put(item), SerializationError);
    assertMatch(error.message, /which a queue cannot carry. To fix it, give it to the tasks as an argument/);
  }
  assert(queue.empty());
});

test("errors of the objects arrive from a task as instances of their classes", () => {
  using pool = new ThreadPoolExecutor(1);
  const fail = async (name: string): Promise<void> => {
    const sync = await import("@concurrent/futures/sync");
    throw new sync[name as "BrokenLockError"](`a ${name}`);
  };
  for (const Class of [BrokenLockError, BrokenBarrierError, QueueEmptyError, QueueFullError, QueueShutDownError]) {
    const error = pool.submit(fail, Class.name).exception(BOUND);
    assertInstanceOf(error, Class);
    assertEquals([error.name, error.message], [Class.name, `a ${Class.name}`]);
  }
});

test("copies of an object that structuredClone makes are no objects of these classes", () => {
  assert(!(structuredClone(new Lock()) instanceof Lock));
});
