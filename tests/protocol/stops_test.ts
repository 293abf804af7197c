/** Tasks that are to end: the owner's mark on a slot, and what consumers do about it at the same time. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { EMPTY } from "../../executors/_values/encoded.ts";
import type { Task } from "../../executors/_queue/consumer.ts";
import { PASSED_ON } from "../../executors/_queue/posted.ts";
import {
  clock,
  RecordType,
  runningBy,
  serialOf,
  STATE_MASK,
  stoppingFrom,
  TaskState,
} from "../../executors/_queue/protocol.ts";
import { addSource, blockUntil, lookAgainAfter, removeSource } from "../../futures/wakeup.ts";
import { sleep, test, until } from "../_helpers.ts";
import { atEachStep, Bench, Interruption } from "./_kit.ts";

/** Takes the next task, and starts it. */
function startNext(bench: Bench, as?: number): Task {
  const task = bench.consumers[0].take() as Task;
  assert(bench.consumers[0].start(task, as));
  return task;
}

/** The types of the results that are there. */
function resultsOf({ rings: [ring] }: Bench): number[] {
  const types: number[] = [];
  for (let record = ring.peek(); record !== undefined; record = ring.peek()) {
    ring.drop();
    types.push(record.type);
  }
  return types;
}

test("TaskQueue.stop() marks what runs or was given to a process, once, and nothing else", () => {
  const { queue } = new Bench(1);
  const { FREE, PENDING, PREFETCHED, DONE, CANCELLED, ABANDONED, STOPPING } = TaskState;
  for (const state of [FREE, PENDING, DONE, CANCELLED, ABANDONED, STOPPING, stoppingFrom(runningBy(5))]) {
    Atomics.store(queue.slots, 3, state);
    assertStrictEquals(queue.stop(3), undefined);
    assertStrictEquals(queue.slots[3], state);
  }
  for (const word of [PREFETCHED, runningBy(0), runningBy(12_345)]) {
    Atomics.store(queue.slots, 3, word);
    const stopping = queue.stop(3);
    assertStrictEquals(stopping, queue.slots[3]);
    assertEquals([stopping! & STATE_MASK, serialOf(stopping!)], [STOPPING, serialOf(word)]);
    assertStrictEquals(queue.stop(3), undefined);
  }
});

test("TaskQueue.stop() while the task is replied: one of the two comes first, at each step", async () => {
  const first = new Set<string>();
  await atEachStep((at) => {
    const bench = new Bench(1);
    bench.push(9, 1);
    const task = startNext(bench);
    let word: number | undefined;
    let stateThen = -1;
    const interruption = new Interruption(at, () => {
      stateThen = bench.queue.slots[9] & STATE_MASK;
      word = bench.queue.stop(9);
    });
    bench.consumers[0].reply(task, RecordType.VALUE, EMPTY);
    const { happened } = interruption;
    interruption[Symbol.dispose]();
    assertStrictEquals(bench.queue.slots[9], TaskState.DONE, `at step ${at}`);
    assertEquals(resultsOf(bench), [RecordType.VALUE], `at step ${at}`);
    if (happened) {
      assertStrictEquals(word !== undefined, stateThen === TaskState.RUNNING, `at step ${at}`);
      first.add(word === undefined ? "result" : "stop");
    }
    return happened;
  });
  assertEquals([...first].sort(), ["result", "stop"]);
});

test("TaskQueue.stop() while a broker takes the task back: it waits again, or is to end and never begins", async () => {
  const outcomes = new Set<string>();
  for (const state of [TaskState.RUNNING, TaskState.PREFETCHED]) {
    await atEachStep((at) => {
      const bench = new Bench(1, PASSED_ON);
      const { queue, consumers: [broker] } = bench;
      bench.push(9, 1);
      const task = startNext(bench, state);
      let word: number | undefined;
      const interruption = new Interruption(at, () => word = queue.stop(9));
      const waits = broker.setState(task, TaskState.PENDING);
      const { happened } = interruption;
      interruption[Symbol.dispose]();
      assertStrictEquals(waits, word === undefined, `at step ${at}`);
      assertStrictEquals(queue.slots[9], waits ? TaskState.PENDING : TaskState.STOPPING, `at step ${at}`);
      outcomes.add(waits ? "waits" : "stopped");
      const rung = bench.bell[1];
      assertStrictEquals(broker.start(task), waits);
      if (!waits) {
        assertEquals(resultsOf(bench), [RecordType.CANCELLED]);
        assert(bench.bell[1] > rung, "the owner is told: its future has not failed yet");
      }
      return happened;
    });
  }
  assertEquals([...outcomes].sort(), ["stopped", "waits"]);
});

test("TaskQueue.abandon() takes a task that is to end, whose thread then publishes nothing", async () => {
  await atEachStep((at) => {
    const bench = new Bench(1);
    const { queue, consumers: [thread] } = bench;
    bench.push(9, 1);
    const task = startNext(bench);
    assert(queue.stop(9) !== undefined);
    let serial: number | undefined;
    const interruption = new Interruption(at, () => serial = queue.abandon(9));
    thread.reply(task, RecordType.VALUE, EMPTY);
    const { happened } = interruption;
    interruption[Symbol.dispose]();
    assertEquals(resultsOf(bench), serial === undefined ? [RecordType.VALUE] : [], `at step ${at}`);
    assertStrictEquals(queue.slots[9], serial === undefined ? TaskState.DONE : TaskState.ABANDONED);
    return happened;
  });
});

test("Consumer hears of a stop only while the slot's task is its own and is to end", () => {
  const bench = new Bench(1);
  const { queue, consumers: [thread] } = bench;
  const heard: number[][] = [];
  thread.onStop = (...args) => heard.push(args);
  bench.push(9, 1);
  const task = startNext(bench);
  const message = { type: "abort", slot: 9, grace: 5 } as const;
  assert(!thread.isStopping(9));
  // It is of the task before, whose slot this one has.
  thread.receive(message);
  assertEquals(heard, []);
  assert(queue.stop(9) !== undefined);
  assert(thread.isStopping(9), "seen before the message comes");
  thread.receive(message);
  assertEquals(heard, [[9, 5]]);
  queue.abandon(9);
  Atomics.store(queue.slots, 9, TaskState.FREE);
  assert(thread.isStopping(9), "the task of a thread that was given up is to end as long as it runs");
  thread.receive(message);
  thread.reply(task, RecordType.VALUE, EMPTY);
  assertEquals([heard.length, resultsOf(bench).length], [1, 0]);
});

test("TaskQueue tells how long the function of a task has run, from when it is called", async () => {
  const { queue } = new Bench(1);
  queue.setLimits(3, { timeout: 50, grace: 20 });
  assertEquals(queue.limitsOf(3), { timeout: 50, grace: 20 });
  await sleep(5);
  assertStrictEquals(queue.ranFor(3), undefined, "it has not been called");
  queue.setBegun(3);
  await sleep(20);
  const ms = queue.ranFor(3)!;
  assert(ms >= 15 && ms < 5_000, `${ms} ms`);
  queue.setLimits(3, { timeout: 1, grace: 1 });
  assertStrictEquals(queue.ranFor(3), undefined, "the slot is another task's");
  assert(Number.isInteger(clock()));
});

test("lookAgainAfter() keeps the earliest moment that it is asked for, blocked and awaited", async () => {
  const looks: number[] = [];
  const source = {
    collect: () => false,
    lookAgain: () => void looks.push(performance.now()),
    describe: () => "",
  };
  addSource(source);
  try {
    for (const isBlocked of [true, false]) {
      for (const order of [[200_000, 30, 100_000], [30, 200_000], [200_000, 100_000, 30]]) {
        looks.length = 0;
        const start = performance.now();
        for (const ms of order) lookAgainAfter(ms);
        if (isBlocked) blockUntil(() => looks.length > 0, start + 10_000);
        else await until(() => looks.length > 0, "a look");
        const [at] = looks;
        assert(at - start >= 29 && at - start < 9_000, `after ${at - start} ms`);
      }
      // At once, but not in this call.
      looks.length = 0;
      lookAgainAfter(0);
      assertEquals(looks.length, 0);
      if (isBlocked) blockUntil(() => looks.length > 0, performance.now() + 10_000);
      else await until(() => looks.length > 0, "a look");
    }
  } finally {
    removeSource(source);
  }
});
