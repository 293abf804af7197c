/** How many tasks may wait: who is told of room, and what of their times is measured. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Future, QueueFullError } from "@concurrent/futures";
import { RecordType, TaskFlag, TaskState } from "../../executors/_queue/protocol.ts";
import { PASSED_ON } from "../../executors/_queue/posted.ts";
import { Histogram } from "../../executors/_owner/_histogram.ts";
import { IdleEnd } from "../../executors/_owner/_idle_end.ts";
import { Room } from "../../executors/_owner/_room.ts";
import { Tally } from "../../executors/_owner/_tally.ts";
import { EMPTY } from "../../executors/_values/encoded.ts";
import { SEQUENCE } from "../../futures/bell.ts";
import { timers } from "../../futures/builtins.ts";
import { BOUND, sleep, test, until, within } from "../_helpers.ts";
import { atEachStep, Bench, Interruption } from "./_kit.ts";

/** A room for one task, which a consumer has taken and not begun, or has given to a process that has not. */
async function fullRoom(how: string) {
  const bench = new Bench(1);
  const { queue, consumers: [consumer] } = bench;
  await consumer.begin();
  bench.push(3);
  const task = {
    ...consumer.take() as Exclude<ReturnType<typeof consumer.take>, Promise<unknown> | undefined>,
    flags: TaskFlag.BOUNDED,
  };
  if (how !== "starts") assert(consumer.start(task, TaskState.PREFETCHED));
  const room = new Room({
    name: "pool",
    limit: 1,
    unfinished: () => 1,
    begun: () => Atomics.load(queue.slots, 3) > TaskState.PREFETCHED ? 1 : 0,
    watch: (isWatched) => queue.setWatched(isWatched),
  });
  return { bench, consumer, task, room };
}

for (const how of ["starts", "is begun by a process"]) {
  test(`Room.wait() misses no task that ${how}, whenever that is`, async () => {
    let [seen, rung] = [0, 0];
    await atEachStep(async (at) => {
      const { bench, consumer, task, room } = await fullRoom(how);
      const before = Atomics.load(bench.bell, SEQUENCE);
      const interruption = new Interruption(at, () => {
        if (how === "starts") assert(consumer.start(task));
        else consumer.setState(task, TaskState.RUNNING);
      });
      const waiter = room.wait(false);
      const { happened } = interruption;
      interruption[Symbol.dispose]();
      if (happened) {
        const isRung = Atomics.load(bench.bell, SEQUENCE) !== before;
        assert(waiter.done() || isRung, `nobody hears of it, at step ${at}`);
        if (waiter.done()) seen++;
        if (isRung) rung++;
      }
      return happened;
    });
    assert(seen > 0 && rung > 0, `seen ${seen} times, rung ${rung} times`);
  });

  test(`Room.wait() hears of a task that ${how}, at whichever step of that it comes`, async () => {
    await atEachStep(async (at) => {
      const { bench, consumer, task, room } = await fullRoom(how);
      const before = Atomics.load(bench.bell, SEQUENCE);
      let waiter: Future<void> | undefined;
      const interruption = new Interruption(at, () => waiter = room.wait(false));
      if (how === "starts") assert(consumer.start(task));
      else consumer.setState(task, TaskState.RUNNING);
      const { happened } = interruption;
      interruption[Symbol.dispose]();
      if (happened) {
        assert(waiter!.done() || Atomics.load(bench.bell, SEQUENCE) !== before, `nobody hears of it, at step ${at}`);
      }
      return happened;
    });
  });
}

test("Room.take() lets in who was told of room, once, although a task came back since or a map took it", async () => {
  let [unfinished, begun] = [3, 0];
  const room = new Room({ name: "pool", limit: 2, unfinished: () => unfinished, begun: () => begun, watch: () => {} });
  for (const how of ["is there", "comes back", "is taken"]) {
    [unfinished, begun] = [3, how === "is there" ? 2 : 0];
    const told = room.wait(false);
    begun = 2;
    room.look();
    await within(told);
    if (how === "is taken") {
      assertEquals(room.offer(), 1);
      room.take(1);
      unfinished = 4;
    } else begun = 1;
    room.assertFree(1);
    room.take(1);
    unfinished++;
    assertThrows(() => room.assertFree(1), QueueFullError, undefined, "it has used its room");
    await sleep(1);
    assertThrows(() => room.take(1), QueueFullError);
  }
  // One who was told, and does not submit at once.
  [unfinished, begun] = [3, 2];
  await within(room.wait(false));
  await sleep(1);
  begun = 1;
  assertThrows(() => room.take(1), QueueFullError);
});

test("Room.offer() lets in who submits what it has offered, although a task came back since", () => {
  let [unfinished, begun] = [4, 3];
  const room = new Room({ name: "pool", limit: 3, unfinished: () => unfinished, begun: () => begun, watch: () => {} });
  assertEquals(room.offer(), 2);
  // While the items were copied.
  begun = 1;
  assertThrows(() => room.take(3), QueueFullError);
  room.take(2);
  unfinished = 6;
  assertThrows(() => room.take(1), QueueFullError);
  unfinished = 4;
  room.look();
  assertThrows(() => room.take(1), QueueFullError, undefined, "results were collected since");
});

test("Room.wait() offers one place to one after the other: who was told may not use it", async () => {
  let unfinished = 1;
  const watched: boolean[] = [];
  const room = new Room({
    name: "pool",
    limit: 1,
    unfinished: () => unfinished,
    begun: () => 0,
    watch: (isWatched) => watched.push(isWatched),
  });
  const told: number[] = [];
  const waiters = [0, 1, 2, 3].map(async (i) => {
    await room.wait(false);
    told.push(i);
    // The second one uses the place.
    if (i === 1) unfinished++;
  });
  unfinished = 0;
  room.look();
  await within(Promise.all(waiters.slice(0, 2)), "the first two");
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(told, [0, 1]);
  unfinished = 0;
  room.look();
  await within(Promise.all(waiters), "all four");
  assertEquals(told, [0, 1, 2, 3]);
  assertEquals(watched.at(-1), false, "nobody waits any more");
});

test("Room.wait() lets nobody overtake, offers what is free at once to one alone, and ends with the pool", async () => {
  let unfinished = 1;
  let isWatched = false;
  const room = new Room({
    name: "pool",
    limit: 1,
    unfinished: () => unfinished,
    begun: () => 0,
    watch: (isWanted) => isWatched = isWanted,
  });
  const first = room.wait(false);
  // There is room by now, and nobody has looked.
  unfinished = 0;
  const second = room.wait(false);
  assertEquals([first.done(), second.done()], [true, false]);
  // The first one does not use it.
  await within(second);
  await sleep(1);
  // There is room when it comes, and another one comes before it could use that.
  const third = room.wait(false);
  const fourth = room.wait(false);
  assertEquals([third.done(), fourth.done()], [true, false]);
  await within(fourth, "a place that was not used");
  await sleep(1);
  unfinished = 1;
  const fifth = room.wait(false);
  assertEquals(isWatched, true);
  room.close(() => new Error("the end"));
  assertEquals([String(fifth.exception(0)), isWatched], ["Error: the end", false]);
  room.close(() => new Error("again"));
});

test("IdleEnd looks when a worker may have been idle for long enough, and no sooner, however far that is", async () => {
  let [looks, idle, workers] = [0, 0, 1];
  const end = new IdleEnd({
    timeout: 40,
    endIdle: (ms) => {
      looks++;
      const isDue = idle >= ms;
      if (isDue) workers--;
      return isDue && workers > 0;
    },
    longest: () => idle,
    hasWorkers: () => workers > 0,
  });
  end.begin();
  end.begin();
  await until(() => looks === 1, "the first look");
  // It sleeps for half of the time when that comes.
  idle = 20;
  await until(() => looks === 2, "the second look");
  idle = 40;
  await until(() => workers === 0, "its end");
  await sleep(60);
  assertEquals(looks, 3, "nobody is left to look at");
  workers = 1;
  idle = 0;
  end.begin();
  end.stop();
  const far = new IdleEnd({ timeout: 1e15, endIdle: () => ++looks < 0, longest: () => 0, hasWorkers: () => true });
  far.begin();
  await sleep(60);
  assertEquals(looks, 3, "none of these two is due");
  far.stop();
});

test("IdleEnd waits for what is left of the time, and has one timer at once", async () => {
  const delays: number[] = [];
  const { setTimeout } = timers;
  let [looks, idle] = [0, 0];
  const end = new IdleEnd({
    timeout: 30,
    endIdle: () => {
      looks++;
      // To end one starts another one.
      if (looks === 2) end.begin();
      return false;
    },
    longest: () => idle,
    hasWorkers: () => true,
  });
  timers.setTimeout = ((fn: () => void, ms: number) => {
    delays.push(ms);
    return setTimeout(fn, ms);
  }) as typeof setTimeout;
  try {
    end.begin();
    idle = 20.5;
    for (const end = performance.now() + BOUND; looks < 2 && performance.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    timers.setTimeout = setTimeout;
  }
  // A timer may fire a millisecond early.
  assertEquals(delays, [31, 11, 31]);
  end.stop();
});

test("Histogram tells the mean exactly, and quantiles to five parts in a hundred", () => {
  for (const scale of [1e-3, 0.02, 1, 700, 3e6]) {
    const histogram = new Histogram();
    let sum = 0;
    for (let i = 1; i <= 1_000; i++) {
      histogram.add(i * scale, 1);
      sum += i * scale;
    }
    const { mean, p50, p99 } = histogram.summary();
    assert(Math.abs(mean - sum / 1_000) < 1e-9 * sum);
    for (const [is, wanted] of [[p50, 500 * scale], [p99, 990 * scale]]) {
      assert(Math.abs(is / wanted - 1) < 0.05, `${is} for ${wanted}`);
    }
  }
  const weighted = new Histogram();
  assertEquals(weighted.summary(), { mean: 0, p50: 0, p99: 0 });
  weighted.add(1, 99);
  weighted.add(0, 0);
  weighted.add(100, 1);
  assertEquals(weighted.summary().mean, 1.99);
  assert(weighted.summary().p99 < 1.1);
  const extreme = new Histogram();
  for (const ms of [0, 1e-9, 1e12]) extreme.add(ms, 1);
  assert(Object.values(extreme.summary()).every((ms) => ms >= 0 && Number.isFinite(ms)));
});

/**
 * Submits tasks, or chunks of so many items, so many milliseconds apart; how many are measured, for how many tasks or
 * items these count, and how many are done.
 */
function measured(count: number, apart: number, items = 1): { measured: number; weight: number; done: number } {
  const tally = new Tally();
  let [measured, weight] = [0, 0];
  const weigh = (task: { at: number; weight: number }) => {
    if (task.at > 0) measured++;
    weight += task.weight;
  };
  const isChunk = items > 1;
  const outcome = [Array(items).fill(0)];
  for (let i = 0; i < count; i++) {
    const future = new Future<unknown>();
    if (tally.isNextMeasured(items)) {
      tally.measure(future, performance.timeOrigin + 1_000 + i * apart, 0, items, isChunk);
    } else if (isChunk) tally.countChunk(future, 0, items);
    else tally.countSubmitted();
    tally.addWitness(weigh);
    tally.settle(future, true, outcome, { began: 1, ended: 2, worker: 0 });
    tally.removeWitness(weigh);
  }
  assertEquals(tally.unfinished, 0);
  return { measured, weight, done: tally.counts.done };
}

test("Tally measures every task that comes after a pause, and of a burst one of 128, which counts for all", () => {
  assertEquals(measured(500, 2), { measured: 500, weight: 500, done: 500 });
  const burst = measured(100_000, 0.001);
  assert(burst.measured < 100_000 / 128 + 64, `${burst.measured} are measured`);
  assert(burst.weight > 100_000 - 128 && burst.weight <= 100_000, `and count for ${burst.weight}`);
  assertEquals(burst.done, 100_000);
});

test("Tally measures of many small chunks only some, and all large ones, and counts the items of each", () => {
  const small = measured(10_000, 0.001, 4);
  assert(small.measured < 10_000 / 128 + 64, `${small.measured} are measured`);
  assert(small.weight > 4 * (10_000 - 128) && small.weight <= 40_000, `and count for ${small.weight}`);
  assertEquals(small.done, 40_000);
  assertEquals(measured(1_000, 0.001, 32), { measured: 1_000, weight: 32_000, done: 32_000 });
});

test("a broker tells no times of a task that was lost before it had begun", () => {
  const bench = new Bench(1, PASSED_ON);
  const { queue, consumers: [consumer] } = bench;
  for (const as of [TaskState.RUNNING, TaskState.PREFETCHED]) {
    bench.push(4);
    const taken = consumer.take() as Exclude<ReturnType<typeof consumer.take>, Promise<unknown> | undefined>;
    const task = { ...taken, flags: TaskFlag.MEASURED };
    assert(consumer.start(task, as));
    consumer.reply(task, RecordType.LOST, EMPTY);
    assertEquals(queue.timesOf(4).began > 0, as === TaskState.RUNNING);
  }
});

test("a consumer tells times of tasks that are measured, and of no others", () => {
  const bench = new Bench(1);
  const { queue, consumers: [consumer], rings: [ring] } = bench;
  for (const flags of [0, TaskFlag.MEASURED]) {
    bench.push(4);
    const task = {
      ...consumer.take() as Exclude<ReturnType<typeof consumer.take>, Promise<unknown> | undefined>,
      flags,
    };
    const before = performance.timeOrigin + performance.now();
    assert(consumer.start(task));
    consumer.reply(task, RecordType.VALUE, EMPTY);
    const after = performance.timeOrigin + performance.now();
    const { type } = ring.peek()!;
    ring.drop();
    const { began, ended, worker } = queue.timesOf(4);
    assertEquals(type, flags === 0 ? RecordType.VALUE : RecordType.VALUE | 256);
    assertEquals(worker, 0);
    if (flags === 0) assertEquals([began, ended], [0, 0]);
    else assert(before <= began && began <= ended && ended <= after);
  }
});
