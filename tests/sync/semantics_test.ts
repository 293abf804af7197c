/**
 * What the objects do, after the tests of Python 3.14: test.lock_tests; queues_test.ts has the
 * queues. A test is named after the class and what it proves.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { InvalidStateError, ThreadPoolExecutor, TimeoutError } from "@concurrent/futures";
import {
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  Condition,
  Event,
  Lock,
  Queue,
  RLock,
  Semaphore,
} from "@concurrent/futures/sync";
import { BOUND, sleep, test, until, within } from "../_helpers.ts";
import { A_WHILE, testBothWays } from "./_ways.ts";

/** How long `action` takes, in milliseconds. */
async function timeOf(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

for (const Class of [Lock, RLock]) {
  const { name } = Class;

  testBothWays(`${name}: it is taken and released, and locked() says so`, async (call) => {
    const lock = new Class();
    assert(!lock.locked());
    assertEquals(await call(lock, "acquire"), true);
    assert(lock.locked());
    lock.release();
    assert(!lock.locked());
    assertEquals(await call(lock, "acquire", 0), true);
    lock.release();
  });

  testBothWays(`${name}: another thread waits until it is released, or for its timeout`, async (call) => {
    const lock = new Class();
    using pool = new ThreadPoolExecutor(1);
    const [held, go] = [new Event(), new Event()];
    const future = pool.submit(
      (lock, held, go) => {
        lock.acquire();
        held.set();
        go.wait();
        lock.release();
      },
      lock,
      held,
      go,
    );
    assert(held.wait(BOUND));
    assertEquals(await call(lock, "acquire", 0), false);
    assertEquals(await call(lock, "acquire", -1), false);
    const waited = await timeOf(async () => assertEquals(await call(lock, "acquire", A_WHILE), false));
    assert(waited >= A_WHILE - 1, `${waited} ms`);
    await assertRejects(() => call(lock, "hold", 0), TimeoutError, "The lock was not free in time: 0 ms");
    go.set();
    assertEquals(await call(lock, "acquire", BOUND), true);
    lock.release();
    await within(future);
  });

  testBothWays(`${name}: hold() releases it once, at the end of the block or by an error`, async (call) => {
    const lock = new Class();
    {
      using hold = await call<typeof lock, Disposable>(lock, "hold");
      assert(lock.locked());
      hold[Symbol.dispose]();
      assert(!lock.locked());
    }
    await assertRejects(async () => {
      using _ = await call<typeof lock, Disposable>(lock, "hold");
      throw new RangeError("out of the block");
    }, RangeError);
    assert(!lock.locked());
  });

  test(`${name}: releasing one that is free throws`, () => {
    const lock = new Class();
    assertThrows(() => lock.release(), InvalidStateError, `Cannot release a`);
    lock.acquire();
    lock.release();
    assertThrows(() => lock.release(), InvalidStateError);
  });
}

test("Lock: any thread can release it", () => {
  const lock = new Lock();
  lock.acquire();
  using pool = new ThreadPoolExecutor(1);
  pool.submit((lock) => lock.release(), lock).result(BOUND);
  assert(lock.acquire(0));
});

test("Lock: taken again by its holder, it waits", () => {
  const lock = new Lock();
  lock.acquire();
  assert(!lock.acquire(0));
});

testBothWays("RLock: its holder takes it again, and it is free after as many releases", async (call) => {
  const lock = new RLock();
  for (let i = 0; i < 3; i++) assertEquals(await call(lock, "acquire", 0), true);
  using pool = new ThreadPoolExecutor(1);
  const isFree = (lock: RLock) => lock.acquire(0);
  for (let i = 0; i < 3; i++) {
    assertEquals(pool.submit(isFree, lock).result(BOUND), false, `after ${i} releases`);
    lock.release();
  }
  assertEquals(pool.submit(isFree, lock).result(BOUND), true);
});

test("RLock: only its holder can release it, and the error names the holder", () => {
  const lock = new RLock();
  lock.acquire();
  using pool = new ThreadPoolExecutor(1);
  const error = pool.submit((lock) => lock.release(), lock).exception(BOUND) as Error;
  assertEquals(error.name, "InvalidStateError");
  assertMatch(error.message, /^Cannot release an RLock that the main thread holds/);
});

for (
  const [name, make] of [["Condition", () => new Condition()], [
    "Condition of a Lock",
    () => new Condition(new Lock()),
  ]] as const
) {
  test(`${name}: wait and notify without the lock throw`, async () => {
    const condition = make();
    assertThrows(() => condition.wait(0), InvalidStateError, "Cannot wait for a Condition whose lock");
    await assertRejects(() => condition.waitAsync(0), InvalidStateError);
    assertThrows(() => condition.notify(), InvalidStateError, "Cannot notify a Condition whose lock");
    assertThrows(() => condition.notifyAll(), InvalidStateError);
  });

  testBothWays(`${name}: a wait ends with false after its timeout, and holds the lock again`, async (call) => {
    const condition = make();
    assert(!condition.locked());
    condition.acquire();
    assert(condition.locked());
    const waited = await timeOf(async () => assertEquals(await call(condition, "wait", A_WHILE), false));
    assert(waited >= A_WHILE - 1, `${waited} ms`);
    condition.notify();
    condition.release();
    assertThrows(() => condition.release(), InvalidStateError);
  });
}

test("Condition: bad numbers of waiters are refused", () => {
  const condition = new Condition();
  using _ = condition.hold();
  condition.notify(0);
  assertThrows(() => condition.notify("1" as unknown as number), TypeError, 'must be a number: "1"');
  for (const n of [-1, 1.5, NaN, Infinity]) {
    assertThrows(() => condition.notify(n), RangeError, `must be an integer of at least 0: ${n}`);
  }
});

test("Condition: notify(n) wakes up n waiters, the first ones first, and notifyAll all of them", async () => {
  const condition = new Condition(new Lock());
  const woken: number[] = [];
  const waits = [0, 1, 2, 3, 4, 5].map(async (i) => {
    condition.acquire();
    assert(await condition.waitAsync());
    woken.push(i);
    condition.release();
  });
  const notify = (tell: () => void) => {
    using _ = condition.hold();
    tell();
  };
  notify(() => condition.notify());
  await until(() => woken.length === 1, "the first one");
  notify(() => condition.notify(2));
  await until(() => woken.length === 3, "two more");
  assertEquals(woken.toSorted(), [0, 1, 2]);
  notify(() => condition.notifyAll());
  await within(Promise.all(waits));
  assertEquals(woken.length, 6);
  notify(() => condition.notify(5)); // nobody waits
});

testBothWays("Condition: waitFor looks until its predicate holds, and says what it gave", async (call) => {
  const condition = new Condition();
  const state = new Int32Array(new SharedArrayBuffer(4));
  using pool = new ThreadPoolExecutor(1);
  const count = (condition: Condition, state: Int32Array) => {
    for (let i = 1; i <= 4; i++) {
      using _ = condition.hold();
      state[0] = i;
      condition.notifyAll();
    }
  };
  await call(condition, "acquire");
  const future = pool.submit(count, condition, state);
  assertEquals(await call(condition, "waitFor", () => state[0] === 4 && "four", BOUND), "four");
  assertEquals(await call(condition, "waitFor", () => "", 5), "");
  condition.release();
  await within(future);
});

test("Condition: a wait releases an RLock however often it is held", () => {
  const condition = new Condition(new RLock());
  condition.acquire();
  condition.acquire();
  using pool = new ThreadPoolExecutor(1);
  const future = pool.submit((condition) => {
    using _ = condition.hold();
    condition.notify();
  }, condition);
  assert(condition.wait(BOUND));
  condition.release();
  condition.release();
  assertThrows(() => condition.release(), InvalidStateError);
  future.result(BOUND);
});

for (const Class of [Semaphore, BoundedSemaphore]) {
  const { name } = Class;

  testBothWays(`${name}: as many take it as there are permits`, async (call) => {
    const semaphore = new Class(3);
    for (let i = 0; i < 3; i++) assertEquals(await call(semaphore, "acquire"), true);
    assertEquals(await call(semaphore, "acquire", 0), false);
    const waited = await timeOf(async () => assertEquals(await call(semaphore, "acquire", A_WHILE), false));
    assert(waited >= A_WHILE - 1, `${waited} ms`);
    semaphore.release(2);
    for (const expected of [true, true, false]) assertEquals(await call(semaphore, "acquire", 0), expected);
    await assertRejects(() => call(semaphore, "hold", 0), TimeoutError, `The ${name} was not free in time: 0 ms`);
    semaphore.release();
    {
      using _ = await call<typeof semaphore, Disposable>(semaphore, "hold", 0);
      assertEquals(await call(semaphore, "acquire", 0), false);
    }
    assertEquals(await call(semaphore, "acquire", 0), true);
  });

  test(`${name}: it has one permit by default, and none if it is asked for`, () => {
    const semaphore = new Class();
    assertEquals([semaphore.acquire(0), semaphore.acquire(0)], [true, false]);
    assert(!new Class(0).acquire(0));
  });

  test(`${name}: bad values are refused`, () => {
    for (const value of [-1, 1.5, NaN, Infinity, 2 ** 31]) assertThrows(() => new Class(value), RangeError);
    for (const value of ["1", null, {}]) assertThrows(() => new Class(value as never), TypeError);
    const semaphore = new Class(1);
    for (const n of [0, -1, 1.5, NaN, Infinity]) assertThrows(() => semaphore.release(n), RangeError);
    assertThrows(() => semaphore.release("1" as never), TypeError);
    assertEquals([semaphore.acquire(0), semaphore.acquire(0)], [true, false]);
  });

  test(`${name}: waiters get permits in the order of their coming`, async () => {
    const semaphore = new Class(1);
    semaphore.acquire();
    const order: number[] = [];
    const waits = [0, 1, 2, 3].map(async (i) => {
      await semaphore.acquireAsync();
      order.push(i);
      semaphore.release();
    });
    semaphore.release();
    await within(Promise.all(waits));
    assertEquals(order, [0, 1, 2, 3]);
  });
}

test("BoundedSemaphore: a class that extends it has its bound, too", () => {
  class Connections extends BoundedSemaphore {}
  assertThrows(() => new Connections(1).release(), RangeError);
});

test("BoundedSemaphore: a release too many throws, and changes nothing", () => {
  const semaphore = new BoundedSemaphore(2);
  assertThrows(() => semaphore.release(), RangeError, "than there were at first: 2");
  semaphore.acquire();
  assertThrows(() => semaphore.release(2), RangeError);
  semaphore.release();
  assertEquals([0, 0, 0].map((timeout) => semaphore.acquire(timeout)), [true, true, false]);
});

testBothWays("Event: who waits goes on when it is set, and at once after that", async (call) => {
  const event = new Event();
  assert(!event.isSet());
  assertEquals(await call(event, "wait", 0), false);
  const waited = await timeOf(async () => assertEquals(await call(event, "wait", A_WHILE), false));
  assert(waited >= A_WHILE - 1, `${waited} ms`);
  using pool = new ThreadPoolExecutor(1);
  const future = pool.submit((event) => event.set(), event);
  assertEquals(await call(event, "wait", BOUND), true);
  await within(future);
  assertEquals([event.isSet(), await call(event, "wait", 0)], [true, true]);
  event.clear();
  assertEquals([event.isSet(), await call(event, "wait", 0)], [false, false]);
});

test("Event: who waits goes on, also where it is cleared at once", async () => {
  const event = new Event();
  const waits = [event.waitAsync(), event.waitAsync()];
  event.set();
  event.clear();
  assertEquals(await within(Promise.all(waits)), [true, true]);
  assert(!event.isSet());
});

test("Barrier: all go on when the last one has come, each with another place, time and again", async () => {
  const barrier = new Barrier(3);
  assertEquals([barrier.parties, barrier.nWaiting, barrier.broken], [3, 0, false]);
  for (let round = 0; round < 3; round++) {
    const first = [barrier.waitAsync(), barrier.waitAsync()];
    assertEquals(barrier.nWaiting, 2);
    assertEquals((await within(Promise.all([...first, barrier.waitAsync()]))).sort(), [0, 1, 2]);
    assertEquals([barrier.nWaiting, barrier.broken], [0, false]);
  }
  assertEquals(new Barrier(1).wait(), 0);
});

testBothWays("Barrier: a timeout breaks it for all, until it is reset", async (call) => {
  const barrier = new Barrier(2);
  const error = await assertRejects(() => call(barrier, "wait", A_WHILE), BrokenBarrierError);
  assertMatch(error.message, /a party waited for longer than its timeout/);
  assert(barrier.broken);
  await assertRejects(() => call(barrier, "wait"), BrokenBarrierError);
  barrier.reset();
  assert(!barrier.broken);
  await assertRejects(() => call(barrier, "wait", 0), BrokenBarrierError);
});

test("Barrier: abort and reset end the waits, and only reset lets it be used again", async () => {
  const barrier = new Barrier(2);
  let wait = barrier.waitAsync();
  barrier.abort();
  await assertRejects(() => within(wait), BrokenBarrierError, "it was aborted");
  assert(barrier.broken);
  assertThrows(() => barrier.wait(), BrokenBarrierError);
  barrier.reset();
  wait = barrier.waitAsync();
  barrier.reset();
  await assertRejects(() => within(wait), BrokenBarrierError, "was reset");
  assertEquals([barrier.broken, barrier.nWaiting], [false, 0]);
  assertEquals((await within(Promise.all([barrier.waitAsync(), barrier.waitAsync()]))).sort(), [0, 1]);
});

test("Barrier: its timeout holds on each thread, for waits that say no other", async () => {
  const barrier = new Barrier(2, A_WHILE);
  using pool = new ThreadPoolExecutor(1);
  const wait = (barrier: Barrier, timeout?: number) => barrier.wait(timeout);
  assertInstanceOf(pool.submit(wait, barrier).exception(BOUND), BrokenBarrierError);
  barrier.reset();
  await assertRejects(() => barrier.waitAsync(), BrokenBarrierError);
  barrier.reset();
  const future = pool.submit(wait, barrier, BOUND);
  await until(() => barrier.nWaiting === 1, "the thread waits");
  await sleep(A_WHILE * 3); // it would have given up by then
  assertEquals([barrier.nWaiting, await within(barrier.waitAsync()), await within(future)], [1, 1, 0]);
  for (const timeout of [NaN, "1"]) assertThrows(() => new Barrier(1, timeout as number));
});

test("Barrier: bad numbers of parties are refused", () => {
  for (const parties of [0, -1, 1.5, NaN, Infinity]) assertThrows(() => new Barrier(parties), RangeError);
  assertThrows(() => new Barrier("2" as never), TypeError);
});

test("bad timeouts are refused before anything happens", async () => {
  const [lock, queue] = [new Lock(), new Queue()];
  const calls: ((timeout: never) => unknown)[] = [
    (timeout) => lock.acquire(timeout),
    (timeout) => lock.acquireAsync(timeout),
    (timeout) => new RLock().hold(timeout),
    (timeout) => new Semaphore().acquire(timeout),
    (timeout) => new Event().wait(timeout),
    (timeout) => new Barrier(1).waitAsync(timeout),
    (timeout) => queue.put(1, timeout),
    (timeout) => queue.putAsync(1, timeout),
    (timeout) => queue.get(timeout),
    (timeout) => queue.join(timeout),
  ];
  for (const call of calls) {
    await assertRejects(async () => await call(NaN as never), RangeError);
    for (const bad of ["1", null]) await assertRejects(async () => await call(bad as never), TypeError);
  }
  assert(!lock.locked() && queue.empty());
});
