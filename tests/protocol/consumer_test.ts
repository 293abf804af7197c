/**
 * Consumers: how they rest and are woken, at each moment at which the owner may come in between.
 *
 * Over 400 lines: the races of a consumer share the steps at which they are forced.
 */
import { assert, assertEquals } from "@std/assert";
import { Encoded, Encoding } from "../../executors/_values/encoded.ts";
import type { Task } from "../../executors/_queue/consumer.ts";
import { type ConsumerMessage, RecordType, Status, TaskFlag, TaskState } from "../../executors/_queue/protocol.ts";
import { decodeArguments, encodeArguments } from "../../executors/_values/codec.ts";
import { test, within } from "../_helpers.ts";
import { atEachStep, Bench, Interruption, numberPayload } from "./_kit.ts";

/** How long a consumer may take to wake up, in milliseconds: one that sleeps on is noticed after it. */
const SOON = 2_000;

/** The message of a task that is given directly, with its slot as its number. */
function assignment(slot: number): ConsumerMessage {
  const { encoding, text, number, buffers, shared } = numberPayload(slot);
  return { type: "assign", slot, fn: 0, flags: 0, payload: { encoding, text, number, buffers, shared } };
}

/** A consumer that takes one task and never comes to its end. */
async function takeOne({ consumers }: Bench, index: number): Promise<Task> {
  for (;;) {
    const task = consumers[index].take();
    if (task !== undefined) return await task;
    await consumers[index].waitForWork();
  }
}

/** Lets a consumer begin and fall asleep, without looking for work first. */
function park(bench: Bench, index: number): Promise<Task> {
  void bench.consumers[index].begin();
  assert(bench.queue.parking.startSpinning(1));
  const taking = takeOne(bench, index);
  bench.queue.parking.stopSpinning();
  return taking;
}

/** Does something just before a step of a consumer that looks for a task; or after all steps, when there are fewer. */
function takeOneInterrupted(bench: Bench, index: number, at: number, action: () => void) {
  using interruption = new Interruption(at, action);
  const taking = takeOne(bench, index);
  const { happened } = interruption;
  interruption[Symbol.dispose]();
  if (!happened) action();
  return { taking, happened };
}

/** Lets messages of another thread arrive later than what it wrote to shared memory. */
function messageLater(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function statusesOf({ queue }: Bench): number[] {
  return [...queue.parking.statuses];
}

// ---- states -------------------------------------------------------------------------------------------------------

test("Consumer's status is STARTING, AWAY, ACTIVE, SPINNING, PARKED, WOKEN and ACTIVE in turn", async () => {
  const bench = new Bench(1);
  const { queue, consumers: [consumer] } = bench;
  assertEquals(statusesOf(bench), [Status.STARTING]);
  await consumer.begin();
  assertEquals(statusesOf(bench), [Status.AWAY]);
  assertEquals(consumer.take(), undefined);
  assertEquals(statusesOf(bench), [Status.ACTIVE]);
  const seen: number[] = [];
  const look = () => {
    if (seen.at(-1) !== queue.parking.statuses[0]) seen.push(queue.parking.statuses[0]);
  };
  let resting: Promise<void> | undefined;
  {
    using interruption = new Interruption(Infinity, () => {});
    interruption.atEach = look;
    resting = consumer.waitForWork();
  }
  look();
  const spinning = navigator.hardwareConcurrency > 1 ? [Status.SPINNING, Status.ACTIVE] : [];
  assertEquals(seen, [Status.ACTIVE, ...spinning, Status.PARKED]);
  bench.push(7, 42);
  assertEquals(statusesOf(bench), [Status.WOKEN]);
  await within(resting!, "the rest", SOON);
  assertEquals(statusesOf(bench), [Status.WOKEN], "other callbacks may come before who has awaited this");
  const task = await consumer.take();
  assertEquals(statusesOf(bench), [Status.ACTIVE]);
  assertEquals([task!.slot, task!.payload.number], [7, 42]);
});

test("Parking.assign() takes consumers that start, spin or sleep, and refuses the others", async () => {
  const bench = new Bench(1);
  const { queue, consumers: [consumer] } = bench;
  const tryFrom = (status: number): [boolean, number] => {
    queue.parking.statuses[0] = status;
    return [queue.parking.assign(0), queue.parking.statuses[0]];
  };
  assertEquals(tryFrom(Status.STARTING), [true, Status.ASSIGNED]);
  assertEquals(tryFrom(Status.SPINNING), [true, Status.ASSIGNED]);
  assertEquals(tryFrom(Status.FINISHED), [true, Status.ASSIGNED]);
  assertEquals(tryFrom(Status.ACTIVE), [false, Status.ACTIVE]);
  assertEquals(tryFrom(Status.ASSIGNED), [false, Status.ASSIGNED]);
  assertEquals(tryFrom(Status.AWAY), [false, Status.AWAY], "it may never come back");
  assertEquals(tryFrom(Status.WOKEN), [false, Status.WOKEN], "it may not answer");
  queue.parking.statuses[0] = Status.STARTING;
  assertEquals(queue.parking.assign(0, false), false, "it may have an initializer");
  queue.parking.statuses[0] = Status.ACTIVE;
  const resting = consumer.waitForWork();
  assert(resting !== undefined);
  assertEquals([queue.parking.assign(0), queue.parking.statuses[0]], [true, Status.ASSIGNED]);
  consumer.receive(assignment(5));
  await within(resting!, "the rest", SOON);
  assertEquals(statusesOf(bench), [Status.AWAY]);
  assertEquals((await consumer.take())?.slot, 5);
  assertEquals(statusesOf(bench), [Status.ACTIVE]);
  assertEquals(consumer.take(), undefined, "it is given once");
});

test("Consumer.begin() takes what was assigned while it was starting, before or after the message", async () => {
  for (const early of [true, false]) {
    const bench = new Bench(1);
    const [consumer] = bench.consumers;
    assert(bench.queue.parking.assign(0));
    if (early) consumer.receive(assignment(5));
    let hasBegun = false;
    const begun = consumer.begin().then(() => hasBegun = true);
    await messageLater();
    assertEquals(hasBegun, early, "it waits for the message");
    if (!early) consumer.receive(assignment(5));
    await within(begun, "begin()", SOON);
    assertEquals(statusesOf(bench), [Status.AWAY]);
    assertEquals((await consumer.take())?.slot, 5);
    assertEquals(statusesOf(bench), [Status.ACTIVE]);
  }
});

// ---- no task is left lying ----------------------------------------------------------------------------------------

test("Consumer.waitForWork() misses no task that waits for nobody else, whenever it is pushed", async () => {
  const steps = await atEachStep(async (at) => {
    const bench = new Bench(1);
    await bench.consumers[0].begin();
    // As the owner does that has seen all other tasks finished.
    const { taking, happened } = takeOneInterrupted(bench, 0, at, () => bench.push(3, at, 1));
    const task = await within(taking, `the task that was pushed before step ${at}`, SOON);
    assertEquals([task.slot, task.payload.number], [3, at]);
    return happened;
  });
  assert(steps > 5, `${steps} steps`);
});

test("Parking.wake() wakes a sleeper only when there are more tasks than consumers that work", async () => {
  const bench = new Bench(3);
  const { queue } = bench;
  queue.parking.statuses[0] = queue.parking.statuses[1] = Status.ACTIVE;
  assert(queue.parking.park(1, Status.ACTIVE));
  bench.push(1, 0, 1);
  assertEquals(statusesOf(bench), [Status.ACTIVE, Status.PARKED, Status.STARTING], "the first one has just finished");
  bench.push(2, 0, 2);
  assertEquals(statusesOf(bench), [Status.ACTIVE, Status.WOKEN, Status.STARTING]);
  assert(queue.parking.park(1, Status.WOKEN));
  await bench.consumers[0].yieldToEventLoop(() => {
    assertEquals(statusesOf(bench)[0], Status.AWAY);
    assertEquals(statusesOf(bench)[1], Status.WOKEN, "what is queued does not wait for who is away");
    assert(queue.parking.park(1, Status.WOKEN));
    bench.push(3, 0, 1);
    assertEquals(statusesOf(bench)[1], Status.WOKEN, "nor what comes then");
    return Promise.resolve();
  });
  assertEquals(statusesOf(bench)[0], Status.AWAY, "until it looks");
});

test("Consumer.waitForWork() that has found a task lets nothing come before the look at the queue", async () => {
  let found = 0;
  await atEachStep(async (at) => {
    const bench = new Bench(1);
    const [consumer] = bench.consumers;
    await consumer.begin();
    assertEquals(consumer.take(), undefined);
    // As a callback that a task has left behind.
    let hasBeenCalled = false;
    queueMicrotask(() => hasBeenCalled = true);
    let resting: Promise<void> | undefined;
    let happened: boolean;
    {
      using interruption = new Interruption(at, () => bench.push(3, at, 1));
      resting = consumer.waitForWork();
      ({ happened } = interruption);
    }
    if (resting === undefined) {
      found++;
      assertEquals(statusesOf(bench), [Status.ACTIVE]);
      const task = consumer.take();
      assert(task !== undefined && !(task instanceof Promise) && task.slot === 3 && !hasBeenCalled);
    } else {
      if (!happened) bench.push(3, at, 1);
      await within(resting, "the rest", SOON);
      assert(hasBeenCalled && statusesOf(bench)[0] === Status.WOKEN, "meanwhile nobody counted on it");
    }
    return happened;
  });
  if (navigator.hardwareConcurrency > 1) assert(found > 0);
});

test("Consumer.waitForWork() misses no task, whenever it is pushed", async () => {
  const steps = await atEachStep(async (at) => {
    const bench = new Bench(1);
    await bench.consumers[0].begin();
    const { taking, happened } = takeOneInterrupted(bench, 0, at, () => bench.push(3, at));
    const task = await within(taking, `the task that was pushed before step ${at}`, SOON);
    assertEquals([task.slot, task.payload.number], [3, at]);
    assertEquals(statusesOf(bench), [Status.ACTIVE]);
    return happened;
  });
  assert(steps > 10, `${steps} steps`);
});

test("TaskQueue.push() misses no consumer, whenever that goes to rest", async () => {
  for (const spins of [true, false]) {
    await atEachStep(async (at) => {
      const bench = new Bench(2);
      const { queue } = bench;
      const taking: Promise<Task>[] = [];
      const rest = () => {
        if (spins) void bench.consumers[0].begin();
        taking.push(spins ? takeOne(bench, 0) : park(bench, 0));
      };
      const interruption = new Interruption(at, rest);
      bench.push(3);
      const { happened } = interruption;
      interruption[Symbol.dispose]();
      if (!happened) rest();
      const task = await within(taking[0], `a task whose consumer went to rest at step ${at} of push()`, SOON);
      assertEquals(task.slot, 3);
      assert(queue.isEmpty());
      return happened;
    });
  }
});

test("Consumer.waitForWork() misses no task, whenever it is assigned", async () => {
  const outcomes = new Set<boolean>();
  await atEachStep(async (at) => {
    const bench = new Bench(1);
    const { queue, consumers: [consumer] } = bench;
    await consumer.begin();
    let assigned = false;
    const { taking, happened } = takeOneInterrupted(
      bench,
      0,
      at,
      () => outcomes.add(assigned = queue.parking.assign(0)),
    );
    if (!assigned) assigned = queue.parking.assign(0);
    assert(assigned, "a consumer that rests can be assigned a task");
    await messageLater();
    consumer.receive(assignment(5));
    const task = await within(taking, `the task that was assigned before step ${at}`, SOON);
    assertEquals(task.slot, 5);
    assertEquals(statusesOf(bench), [Status.ACTIVE]);
    return happened;
  });
  assertEquals(outcomes, new Set([true, false]));
});

test("Consumer.reply() frees a consumer for the next task, which it misses at no step", async () => {
  for (const way of ["assigned", "pushed", "assigned and pushed"]) {
    const outcomes = new Set<boolean>();
    await atEachStep(async (at) => {
      const bench = new Bench(1);
      const { queue, consumers: [consumer] } = bench;
      await consumer.begin();
      bench.push(1);
      const task = await consumer.take()!;
      assert(consumer.start(task));
      let isAssigned = false;
      const act = () => {
        if (way !== "pushed") outcomes.add(isAssigned = queue.parking.assign(0));
        if (way !== "assigned") bench.push(6, 0, 1);
      };
      let taking: Promise<Task>;
      let happened: boolean;
      {
        using interruption = new Interruption(at, act);
        consumer.reply(task, 0, numberPayload(2), 0, true, Status.FINISHED);
        taking = takeOne(bench, 0);
        ({ happened } = interruption);
      }
      if (!happened) act();
      if (way !== "pushed" && !isAssigned) bench.push(5);
      await messageLater();
      if (isAssigned) {
        assertEquals(queue.parking.assign(0), false, "it is given one at a time");
        consumer.receive(assignment(5));
      }
      const taken = [(await within(taking, `what was ${way} before step ${at}`, SOON)).slot];
      if (way === "assigned and pushed") taken.push((await within(takeOne(bench, 0), "the other one", SOON)).slot);
      assertEquals(taken.sort(), { "assigned": [5], "pushed": [6], "assigned and pushed": [5, 6] }[way]);
      assertEquals(statusesOf(bench), [Status.ACTIVE]);
      return happened;
    });
    assertEquals(outcomes, new Set(way === "pushed" ? [] : [true, false]));
  }
});

test("Consumer.yieldToEventLoop() lets nobody assign a second task", async () => {
  const bench = new Bench(1);
  const { queue, consumers: [consumer] } = bench;
  await consumer.begin();
  queue.parking.statuses[0] = Status.FINISHED;
  assert(queue.parking.assign(0));
  const away = consumer.yieldToEventLoop(() => {
    assertEquals(queue.parking.assign(0), false, "during the turn");
    return Promise.resolve();
  });
  await messageLater();
  assertEquals(queue.parking.assign(0), false, "after it");
  consumer.receive(assignment(5));
  await within(away, "the turn", SOON);
  assertEquals((await within(takeOne(bench, 0), "the assigned task", SOON)).slot, 5);
});

test("Consumer.yieldToEventLoop() keeps what was assigned to who has just finished", async () => {
  await atEachStep(async (at) => {
    const bench = new Bench(1);
    const { queue, consumers: [consumer] } = bench;
    await consumer.begin();
    queue.parking.statuses[0] = Status.FINISHED;
    let isAssigned = false;
    let happened: boolean;
    let away: Promise<void>;
    {
      using interruption = new Interruption(at, () => isAssigned = queue.parking.assign(0));
      away = consumer.yieldToEventLoop(() => Promise.resolve());
      ({ happened } = interruption);
    }
    if (!happened) isAssigned = queue.parking.assign(0);
    if (isAssigned) {
      await messageLater();
      consumer.receive(assignment(5));
    }
    await within(away, `the turn at step ${at}`, SOON);
    if (isAssigned) assertEquals((await within(takeOne(bench, 0), "the assigned task", SOON)).slot, 5);
    return happened;
  });
});

test("Parking.wake() wakes another consumer when the one that it woke has not answered", async () => {
  const bench = new Bench(3);
  const { queue } = bench;
  // A callback of a finished task computes there: it has a sleeper's status and does nothing.
  queue.parking.statuses[0] = Status.ACTIVE;
  assert(queue.parking.park(0, Status.ACTIVE));
  const [one, two] = [park(bench, 1), park(bench, 2)];
  bench.push(4, 0, 1);
  assertEquals(statusesOf(bench), [Status.WOKEN, Status.PARKED, Status.PARKED]);
  // Whoever looks next, with the same number of tasks or more.
  assert(queue.parking.wake(1));
  assertEquals((await within(one, "the task of who has not answered", SOON)).slot, 4);
  bench.push(5, 0, 2);
  assertEquals((await within(two, "the next task", SOON)).slot, 5);
  assertEquals(queue.parking.wake(3), false, "there is nobody left");
  assertEquals([queue.parking.lacksConsumers(3, 3), queue.parking.lacksConsumers(2, 3)], [true, false]);
});

test("Consumer.reply() of a task that was ended in its midst has the next one wait for nobody", async () => {
  await atEachStep(async (at) => {
    const bench = new Bench(2);
    const { queue, consumers: [consumer] } = bench;
    const other = park(bench, 1);
    await consumer.begin();
    Atomics.store(queue.slots, 1, TaskState.PENDING);
    const task = { slot: 1, fn: 0, flags: 0, payload: numberPayload(1) };
    assert(consumer.start(task));
    // As the owner counts: what consumers have finished is no longer under way.
    const push = () => bench.push(6, 0, queue.finished === 0 ? 2 : 1);
    let happened: boolean;
    {
      using interruption = new Interruption(at, push);
      consumer.reply(task, RecordType.ERROR, numberPayload(2), 0, true, Status.AWAY);
      ({ happened } = interruption);
    }
    if (!happened) push();
    assertEquals(statusesOf(bench)[0], Status.AWAY);
    // The first consumer never comes back from its task.
    assertEquals((await within(other, `the task that was pushed before step ${at}`, SOON)).slot, 6);
    return happened;
  });
});

test("Consumer that comes back from where nobody counts on it misses no task", async () => {
  for (const way of ["take()", "waitForWork()", "yieldToEventLoop()"]) {
    await atEachStep(async (at) => {
      const bench = new Bench(1);
      const { queue, consumers: [consumer] } = bench;
      await consumer.begin();
      Atomics.store(queue.slots, 1, TaskState.PENDING);
      const task = { slot: 1, fn: 0, flags: 0, payload: numberPayload(1) };
      assert(consumer.start(task));
      consumer.reply(task, 0, numberPayload(2), 0, true, Status.AWAY);
      let happened: boolean;
      let taking: Promise<Task>;
      {
        using interruption = new Interruption(at, () => bench.push(6, 0, 1));
        if (way === "take()") taking = takeOne(bench, 0);
        else {
          const back = way === "waitForWork()"
            ? Promise.resolve(consumer.waitForWork())
            : consumer.yieldToEventLoop(() => Promise.resolve());
          taking = back.then(() => takeOne(bench, 0));
        }
        ({ happened } = interruption);
      }
      if (!happened) bench.push(6, 0, 1);
      assertEquals((await within(taking, `the task that was pushed before step ${at} of ${way}`, SOON)).slot, 6);
      assertEquals(statusesOf(bench), [Status.ACTIVE]);
      return happened;
    });
  }
});

test("Consumer.take() is away while what a task mentions has not arrived: it could be cancelled", async () => {
  for (const isMovedOut of [false, true]) {
    const bench = new Bench(1);
    const { queue, consumers: [consumer] } = bench;
    await consumer.begin();
    const memory = new SharedArrayBuffer(64);
    // The arguments lie in shared memory, or mention some.
    const payload = isMovedOut
      ? new Encoded(Encoding.GRAPH, JSON.stringify([0, Encoding.NONE]), 0, [], [memory])
      : encodeArguments([memory], { root: "args", sameProcess: true });
    payload.sharedIds = [8];
    Atomics.store(queue.slots, 5, TaskState.PENDING);
    assert(queue.push(5, 0, payload.encoding, isMovedOut ? TaskFlag.SHARED : 0, payload));
    const taking = Promise.resolve(consumer.take());
    assertEquals(statusesOf(bench), [Status.AWAY]);
    consumer.receive({ type: "share", id: 8, memory });
    const task = await within(taking, "the task", SOON);
    assert(consumer.start(task!));
    assertEquals(statusesOf(bench), [Status.ACTIVE]);
  }
});

test("Consumer.waitForWork() misses neither task when one is assigned and one pushed, whenever that is", async () => {
  await atEachStep(async (at) => {
    const bench = new Bench(2);
    const { queue, consumers } = bench;
    const other = park(bench, 1);
    await consumers[0].begin();
    let assigned = false;
    const { taking, happened } = takeOneInterrupted(bench, 0, at, () => {
      assigned = queue.parking.assign(0);
      bench.push(6);
    });
    await messageLater();
    if (assigned) consumers[0].receive(assignment(5));
    else bench.push(5);
    const taken = await within(Promise.all([taking, other]), `both tasks of step ${at}`, SOON);
    assertEquals(taken.map(({ slot }) => slot).sort(), [5, 6]);
    return happened;
  });
});

test("Consumer.take() wakes another consumer for what was pushed while it alone was looking", async () => {
  // One consumer goes to rest, two sleep; three long tasks come at once.
  await atEachStep(async (at) => {
    const bench = new Bench(3);
    const others = [park(bench, 1), park(bench, 2)];
    await bench.consumers[0].begin();
    const push = () => [4, 5, 6].forEach((slot) => bench.push(slot));
    const { taking, happened } = takeOneInterrupted(bench, 0, at, push);
    const taken = await within(
      Promise.all([taking, ...others]),
      `three tasks that were pushed before step ${at}`,
      SOON,
    );
    assertEquals(taken.map(({ slot }) => slot).sort(), [4, 5, 6]);
    return happened;
  });
});

test("Parking.wake() wakes one sleeping consumer for each task, and none while one is looking", async () => {
  const bench = new Bench(3);
  const others = [park(bench, 0), park(bench, 1), park(bench, 2)];
  const { queue } = bench;
  assert(queue.parking.startSpinning(1));
  assertEquals(queue.parking.startSpinning(1), false, "only so many may look at once");
  bench.push(4);
  assertEquals(statusesOf(bench).filter((status) => status === Status.PARKED).length, 3);
  queue.parking.stopSpinning();
  bench.push(5);
  assertEquals(statusesOf(bench).filter((status) => status === Status.PARKED).length, 2);
  bench.push(6);
  assertEquals(statusesOf(bench).filter((status) => status === Status.PARKED).length, 1);
  // The two that were woken find the third task queued when they take theirs.
  const taken = await within(Promise.all(others), "three tasks", SOON);
  assertEquals(taken.map(({ slot }) => slot).sort(), [4, 5, 6]);
});

test("Parking.wake() keeps count of the sleeping, whenever others wake the same consumer", async () => {
  await atEachStep(async (at) => {
    const bench = new Bench(2);
    const { queue, consumers } = bench;
    await consumers[0].begin();
    let assigned = false;
    let happened: boolean;
    const resting = consumers[0].waitForWork();
    {
      // Two threads want the same sleeper.
      using interruption = new Interruption(at, () => assigned = queue.parking.assign(0));
      queue.parking.wake();
      happened = interruption.happened;
    }
    if (assigned) consumers[0].receive(assignment(5));
    await within(resting!, "the rest", SOON);
    // If the count were wrong, nobody would wake this one, or all would look for sleepers for ever.
    assert(queue.describe().includes("parked=0"), queue.describe());
    return happened;
  });
});

test("Consumer.waitForWork() leaves the counts of who spins and who sleeps right, whenever a task comes", async () => {
  for (const how of ["push", "assign"]) {
    await atEachStep(async (at) => {
      const bench = new Bench(1);
      const { queue, consumers: [consumer] } = bench;
      await consumer.begin();
      let assigned = false;
      const act = () => {
        if (how === "push") bench.push(5);
        else assigned = queue.parking.assign(0);
        assert(!queue.describe().includes("parked=-"), "who wakes counts down, so who sleeps was counted");
      };
      const { taking, happened } = takeOneInterrupted(bench, 0, at, act);
      if (how === "assign" && !assigned) act();
      if (assigned) consumer.receive(assignment(5));
      await within(taking, `a task by ${how}`, SOON);
      assert(queue.describe().includes("spinning=0 parked=0"), queue.describe());
      return happened;
    });
  }
});

test("Parking.forgetConsumers() makes room for others in the places of those that were stopped asleep", async () => {
  const bench = new Bench(2);
  const { queue } = bench;
  for (const index of [0, 1]) assert(queue.parking.park(index, Status.STARTING));
  queue.parking.forgetConsumers();
  assertEquals(statusesOf(bench), [Status.STARTING, Status.STARTING]);
  assert(queue.describe().includes("spinning=0 parked=0"), queue.describe());
  const other = park(bench, 1);
  bench.push(5);
  assertEquals((await within(other, "the task", SOON)).slot, 5);
});

for (const way of ["alone", "and then a task is pushed", "just after one was pushed"]) {
  test(`Parking.leave(): who is let go while it comes to rest takes nothing more, ${way}`, async () => {
    const outcomes = new Set<boolean>();
    await atEachStep(async (at) => {
      const bench = new Bench(1);
      const { queue, consumers: [consumer] } = bench;
      await consumer.begin();
      let isGone = false;
      const { taking, happened } = takeOneInterrupted(bench, 0, at, () => {
        if (way === "just after one was pushed") bench.push(5);
        isGone = queue.parking.leave(0);
        if (way === "and then a task is pushed") bench.push(5);
      });
      outcomes.add(isGone);
      await messageLater();
      if (isGone) {
        assertEquals(statusesOf(bench), [Status.LEFT]);
        assert(queue.describe().includes("spinning=0 parked=0"), queue.describe());
        // Another one takes its place, and everything that is queued.
        bench.enter(0);
        await bench.consumers[0].begin();
      }
      if (way === "alone") bench.push(5);
      const taken = isGone ? takeOne(bench, 0) : taking;
      assertEquals((await within(taken, `the task, with the consumer let go before step ${at}`, SOON)).slot, 5);
      assert(queue.describe().includes("spinning=0 parked=0"), queue.describe());
      return happened;
    });
    assertEquals(outcomes, new Set(way === "just after one was pushed" ? [false] : [true, false]));
  });
}

test("a consumer that was woken is given up or takes the task, and never both, whenever it answers", async () => {
  const outcomes = new Set<boolean>();
  await atEachStep(async (at) => {
    const bench = new Bench(1);
    const { queue } = bench;
    const taking = park(bench, 0);
    bench.push(5);
    assertEquals(statusesOf(bench), [Status.WOKEN]);
    let [isGone, isTaken, happened] = [false, false, false];
    void taking.then(() => isTaken = true);
    {
      using interruption = new Interruption(at, () => isGone = queue.parking.move(0, Status.WOKEN, Status.LEFT));
      for (let turn = 0; turn < 10 && !isTaken; turn++) await messageLater();
      ({ happened } = interruption);
    }
    if (!happened) isGone = queue.parking.move(0, Status.WOKEN, Status.LEFT);
    outcomes.add(isGone);
    assertEquals([isTaken, statusesOf(bench)], [!isGone, [isGone ? Status.LEFT : Status.ACTIVE]], `before step ${at}`);
    if (isGone) {
      bench.enter(0);
      await bench.consumers[0].begin();
    }
    const taken = isGone ? takeOne(bench, 0) : taking;
    assertEquals((await within(taken, `the task, with the consumer given up before step ${at}`, SOON)).slot, 5);
    assert(queue.describe().includes("spinning=0 parked=0"), queue.describe());
    return happened;
  });
  assertEquals(outcomes, new Set([true, false]));
});

test("Parking.leave(): who comes to rest is let go or assigned a task, and never both", async () => {
  const outcomes = new Set<string>();
  for (const first of ["assign", "leave"]) {
    await atEachStep(async (at) => {
      const bench = new Bench(1);
      const { queue, consumers: [consumer] } = bench;
      await consumer.begin();
      let [isAssigned, isGone] = [false, false];
      const { taking, happened } = takeOneInterrupted(bench, 0, at, () => {
        if (first === "assign") isAssigned = queue.parking.assign(0);
        isGone = queue.parking.leave(0);
        if (first === "leave") isAssigned = queue.parking.assign(0);
      });
      outcomes.add(`${isAssigned} ${isGone}`);
      await messageLater();
      if (isGone) {
        bench.enter(0);
        assert(queue.parking.assign(0), "the next one can be assigned a task while it starts");
        bench.consumers[0].receive(assignment(5));
        await within(bench.consumers[0].begin(), "the next one", SOON);
      } else if (isAssigned) consumer.receive(assignment(5));
      else bench.push(5);
      const taken = isGone ? takeOne(bench, 0) : taking;
      assertEquals((await within(taken, `the task, with the consumer let go before step ${at}`, SOON)).slot, 5);
      assert(queue.describe().includes("spinning=0 parked=0"), queue.describe());
      return happened;
    });
  }
  assert(outcomes.has("true false") && outcomes.has("false true") && !outcomes.has("true true"), [...outcomes].join());
});

test("Parking.wake() wakes another consumer, and counts right, whenever the owner lets one go", async () => {
  await atEachStep(async (at) => {
    const bench = new Bench(2);
    const { queue } = bench;
    const takings = [park(bench, 0), park(bench, 1)];
    let isGone = false;
    let happened: boolean;
    {
      using interruption = new Interruption(at, () => isGone = queue.parking.leave(0));
      bench.push(5);
      ({ happened } = interruption);
    }
    const isWoken = statusesOf(bench).map((status) => status === Status.WOKEN);
    assertEquals(isWoken, isGone ? [false, true] : [true, false], `let go before step ${at}`);
    assert(queue.describe().includes(`parked=${isGone ? 0 : 1} `), queue.describe());
    assertEquals((await within(takings[isGone ? 1 : 0], "the task", SOON)).slot, 5);
    if (!isGone) {
      assertEquals(queue.parking.leave(0), false, "it is awake");
      assert(queue.parking.leave(1));
    }
    assert(queue.describe().includes("spinning=0 parked=0"), queue.describe());
    return happened;
  });
});

test("Consumer.take() has copied the arguments when the owner can use their memory again", async () => {
  let filled = 0;
  await atEachStep(async (at) => {
    const bench = new Bench(1);
    const { queue, consumers: [consumer] } = bench;
    bench.push(5, 42);
    // The queue is full, so that the next push takes the memory of the oldest task.
    while (bench.push(6, 1));
    const interruption = new Interruption(at, () => {
      while (filled < 1_000 && bench.push(7, 2)) filled++;
    });
    const task = await consumer.take();
    interruption[Symbol.dispose]();
    assertEquals([task!.slot, task!.payload.number], [5, 42], `before step ${at}`);
    assert(!queue.isEmpty());
    return interruption.happened;
  });
  assert(filled > 0);
});

test("Consumer tells an owner that has tasks waiting when it has made room, or can be assigned one", async () => {
  // Whenever the owner says that it waits: it is rung for, or finds the consumer at rest when it looks again.
  await atEachStep(async (at) => {
    const bench = new Bench(1);
    const { queue, consumers: [consumer] } = bench;
    await consumer.begin();
    let found = false;
    let rings = 0;
    const { taking, happened } = takeOneInterrupted(bench, 0, at, () => {
      rings = bench.bell[1];
      queue.parking.setWaiting(true);
      found = queue.parking.assign(0);
    });
    assert(found || bench.bell[1] > rings, `at step ${at} the owner is not told of an idle consumer`);
    if (!found) assert(queue.parking.assign(0));
    consumer.receive(assignment(5));
    await within(taking, "the task", SOON);
    return happened;
  });
  // Whenever the owner says that it waits: it is rung for, or finds the note on the cancelled task when it looks again.
  await atEachStep(async (at) => {
    const bench = new Bench(1);
    const { queue, consumers: [consumer] } = bench;
    await consumer.begin();
    bench.push(5);
    queue.slots[5] = TaskState.CANCELLED;
    let found = false;
    let rings = 0;
    const interruption = new Interruption(at, () => {
      rings = bench.bell[1];
      queue.parking.setWaiting(true);
      found = bench.rings[0].peek() !== undefined;
    });
    const task = await consumer.take();
    assertEquals(consumer.start(task!), false);
    const { happened } = interruption;
    interruption[Symbol.dispose]();
    assert(!happened || found || bench.bell[1] > rings, `at step ${at} the owner is not told of room`);
    return happened;
  });
});

test("Consumer.take() waits for functions and shared memory that are mentioned before they are known", async () => {
  const bench = new Bench(1);
  const [consumer] = bench.consumers;
  const definition = { kind: "test" } as never;
  const waiting = consumer.definition(3);
  consumer.receive({ type: "define", fn: 2, definition: { kind: "other" } as never });
  await messageLater();
  consumer.receive({ type: "define", fn: 3, definition });
  assert(await within(waiting, "the definition", SOON) === definition);
  assert(await consumer.definition(3) === definition);

  const memory = new SharedArrayBuffer(8);
  const payload = encodeArguments([memory], { root: "args", sameProcess: true });
  payload.sharedIds = [8];
  Atomics.store(bench.queue.slots, 5, TaskState.PENDING);
  assert(bench.queue.push(5, 0, payload.encoding, 0, payload));
  const taking = Promise.resolve(consumer.take());
  await messageLater();
  consumer.receive({ type: "share", id: 7, memory: new SharedArrayBuffer(16) });
  await messageLater();
  consumer.receive({ type: "share", id: 8, memory });
  const task = await within(taking, "the task", SOON);
  assert(decodeArguments(task!.payload)[0] === memory);
});
