/** What the queues do, after Python 3.14's test_queue. A test is named after the class and what it proves. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { InvalidStateError, ThreadPoolExecutor } from "@concurrent/futures";
import {
  LifoQueue,
  PriorityQueue,
  Queue,
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
} from "@concurrent/futures/sync";
import { BOUND, test, within } from "../_helpers.ts";
import { A_WHILE, testBothWays } from "./_ways.ts";

const orders = { Queue: [1, 2, 3], LifoQueue: [3, 2, 1], PriorityQueue: [1, 2, 3] };
for (const Class of [Queue, LifoQueue, PriorityQueue]) {
  const { name } = Class;
  // Those by priority get pairs, which are put in backwards.
  const item = (n: number): unknown => Class === PriorityQueue ? [n, `item ${n}`] : n;
  const make = (maxsize?: number) => new Class(maxsize) as Queue<unknown>;

  testBothWays(`${name}: items come out in its order`, async (call) => {
    const queue = make(3);
    assertEquals([queue.empty(), queue.full(), queue.qsize(), queue.maxsize], [true, false, 0, 3]);
    const numbers = Class === PriorityQueue ? [2, 3, 1] : [1, 2, 3];
    for (const n of numbers) await call(queue, "put", item(n));
    assertEquals([queue.empty(), queue.full(), queue.qsize()], [false, true, 3]);
    for (const n of orders[name as keyof typeof orders]) assertEquals(await call(queue, "get"), item(n));
    assert(queue.empty());
  });

  testBothWays(`${name}: full and empty, it waits for its timeout, and for another thread`, async (call) => {
    const queue = make(1);
    await assertRejects(() => call(queue, "get", 0), QueueEmptyError, "The queue is empty");
    await assertRejects(() => call(queue, "get", A_WHILE), QueueEmptyError);
    assertThrows(() => queue.getNowait(), QueueEmptyError);
    await call(queue, "put", item(1));
    await assertRejects(() => call(queue, "put", item(2), 0), QueueFullError, "as many items as it can have: 1");
    await assertRejects(() => call(queue, "put", item(2), A_WHILE), QueueFullError);
    assertThrows(() => queue.putNowait(item(2)), QueueFullError);
    using pool = new ThreadPoolExecutor(1);
    const future = pool.submit((queue) => queue.get(), queue);
    await call(queue, "put", item(2), BOUND);
    assertEquals(await within(future), item(1));
    const next = pool.submit((queue, item) => queue.put(item), queue, item(3));
    assertEquals(await call(queue, "get", BOUND), item(2));
    assertEquals(await call(queue, "get", BOUND), item(3));
    await within(next);
  });

  testBothWays(`${name}: join waits until each item is done`, async (call) => {
    const queue = make();
    assertEquals(await call(queue, "join"), true);
    assertThrows(() => queue.taskDone(), InvalidStateError, "called more often");
    for (const n of [1, 2]) queue.put(item(n));
    assertEquals(await call(queue, "join", A_WHILE), false);
    using pool = new ThreadPoolExecutor(1);
    const work = (queue: Queue) => {
      for (let i = 0; i < 2; i++) {
        queue.get();
        queue.taskDone();
      }
    };
    const future = pool.submit(work, queue);
    assertEquals(await call(queue, "join", BOUND), true);
    await within(future);
    assertThrows(() => queue.taskDone(), InvalidStateError);
  });

  testBothWays(`${name}: after a shutdown nothing goes in, and what is there comes out`, async (call) => {
    const queue = make(2);
    for (const n of [1, 2]) queue.put(item(n));
    const wait = queue.putAsync(item(3));
    queue.shutdown();
    await assertRejects(() => within(wait), QueueShutDownError, "The queue was shut down");
    await assertRejects(() => call(queue, "put", item(3)), QueueShutDownError);
    for (let i = 0; i < 2; i++) await call(queue, "get");
    await assertRejects(() => call(queue, "get"), QueueShutDownError);
    await assertRejects(() => call(queue, "get", 0), QueueShutDownError);
    assertEquals(await call(queue, "join", 0), false);
    for (let i = 0; i < 2; i++) queue.taskDone();
    assertEquals(await call(queue, "join"), true);
  });

  test(`${name}: an immediate shutdown drops the items, and ends all waits`, async () => {
    const queue = make(2);
    for (const n of [1, 2]) queue.put(item(n));
    const [put, join] = [queue.putAsync(item(3)), queue.joinAsync()];
    queue.shutdown(true);
    await assertRejects(() => within(put), QueueShutDownError);
    assertEquals(await within(join), true);
    assertThrows(() => queue.get(), QueueShutDownError);
    assert(queue.empty());
    const other = make();
    const getter = other.getAsync();
    other.shutdown();
    await assertRejects(() => within(getter), QueueShutDownError);
    other.shutdown(true);
  });

  test(`${name}: loops take items until it is shut down and empty`, async () => {
    for (const how of ["for", "for await"]) {
      const queue = make();
      for (const n of [1, 2, 3]) queue.put(item(n));
      queue.shutdown();
      const items: unknown[] = [];
      if (how === "for") { for (const each of queue) items.push(each); }
      else for await (const each of queue) items.push(each);
      assertEquals(items, orders[name as keyof typeof orders].map(item));
    }
  });

  test(`${name}: bad arguments are refused`, () => {
    for (const maxsize of [1.5, NaN, Infinity, 2 ** 31]) assertThrows(() => make(maxsize), RangeError);
    assertThrows(() => make("1" as never), TypeError);
    for (const maxsize of [0, -1, undefined]) assertEquals(make(maxsize).maxsize, 0);
    const withMemory = (memory: unknown) => new Class(0, { memory } as { memory: number });
    for (const memory of [0, -1, 1.5, NaN, 2 ** 30 + 1]) assertThrows(() => withMemory(memory), RangeError);
    assertThrows(() => withMemory("1"), TypeError);
  });
}

test("LifoQueue, PriorityQueue: a class that extends one has its order", () => {
  class Stack extends LifoQueue<string> {}
  class Agenda extends PriorityQueue<string> {}
  const [stack, agenda] = [new Stack(), new Agenda()];
  for (const item of ["first", "last"]) stack.put(item);
  assertEquals(stack.get(0), "last");
  for (const item of [[2, "later"], [1, "now"]] as const) agenda.put([...item]);
  assertEquals(agenda.get(0), [1, "now"]);
});

test("PriorityQueue: equal priorities come out in the order of their coming, whatever they are", () => {
  const queue = new PriorityQueue<number>();
  const priorities = Array.from({ length: 200 }, (_, i) => [-Infinity, -0.5, 0, 1e300][i * 7 % 4]);
  for (const [i, priority] of priorities.entries()) queue.put([priority, i]);
  const expected = priorities.map((priority, i) => [priority, i]).sort(([a, i], [b, j]) => a === b ? i - j : a - b);
  assertEquals(expected.map(() => queue.get()), expected);
  for (const item of [1, [1], [1, 2, 3], ["1", 2]]) assertThrows(() => queue.put(item as never), TypeError);
  assertThrows(() => queue.put([NaN, 1]), RangeError);
});

test("Queue: items are copied when they are put in, and carry what arguments carry", () => {
  const queue = new Queue();
  const item = { list: [1, undefined, -0], map: new Map([[1n, new Date(5)]]), text: "ü\ud800".repeat(5_000) };
  queue.put(item);
  item.list.push(2);
  queue.put(new Float64Array([1, 2]));
  assertEquals(queue.get(), { ...item, list: [1, undefined, -0] });
  const view = queue.get();
  assertInstanceOf(view, Float64Array);
  assertEquals([...view], [1, 2]);
});

test("Queue: full memory counts as a full queue, and is one piece again when it is empty", () => {
  const queue = new Queue<Uint8Array>(0, { memory: 65_536 });
  let count = 0;
  const fill = () => {
    for (;; count++) queue.putNowait(new Uint8Array(10));
  };
  assertThrows(fill, QueueFullError, "The memory of the queue is full");
  assert(count > 100, `${count} items`);
  assertThrows(() => queue.put(new Uint8Array(70_000)), RangeError, "The item is too large for the memory");
  while (!queue.empty()) queue.get();
  queue.putNowait(new Uint8Array(30_000));
  assertEquals(queue.get().length, 30_000);
});
