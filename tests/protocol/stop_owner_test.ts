/**
 * Tasks that are to end, as their owner sees it: what it does with their slots, when it looks at threads that compute
 * on, and how a broker's children are killed for them. The test plays the workers.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { TimeoutError } from "@concurrent/futures";
import { RecordType, TaskState } from "../../executors/_queue/protocol.ts";
import { EMPTY } from "../../executors/_values/encoded.ts";
import { Endings, type Why } from "../../executors/processes/_endings.ts";
import type { EncodedTask } from "../../executors/processes/_batching.ts";
import { BOUND, pause, sleep, test, until, untilSync } from "../_helpers.ts";
import { Warnings } from "../_warnings.ts";
import { countingSignal } from "../behaviour/control.ts";
import { atEachStep, Clock, Interruption } from "./_kit.ts";
import { PlayedPool } from "./_played.ts";

/** How long an owner waits for a thread whose task has failed, in milliseconds. */
const GIVE_UP_MS = 200;

test("Pool.stop(): the slot is no other task's until the broker has acknowledged the message", () => {
  using played = new PlayedPool("ask");
  const first = played.submit(1);
  const { worker } = played;
  const task = worker.start();
  const reason = new Error("enough");
  assert(first.abort(reason));
  assertEquals(worker.messages.at(-1), { type: "abort", slot: task.slot, grace: 100 });
  // The broker has not read that when the task ends.
  worker.reply(task, 1);
  assertStrictEquals(first.exception(BOUND), reason);
  const others = Array.from({ length: 50 }, (_, i) => played.submit(i));
  for (const [i, other] of others.entries()) {
    const next = worker.start();
    assert(next.slot !== task.slot, "the message would be about this task");
    worker.reply(next, i);
    assertStrictEquals(other.result(BOUND), i);
  }
  worker.consumer.acknowledgeAbort(task.slot);
  played.pool.collect();
  const later = [1, 2].map((n) => played.submit(n));
  const tasks = later.map(() => worker.start());
  assert(tasks.some(({ slot }) => slot === task.slot), "it is free again");
  tasks.forEach((task, i) => worker.reply(task, i + 1));
  assertEquals(later.map((future) => future.result(BOUND)), [1, 2]);
});

test("Pool.stop(): a broker that acknowledges first frees nothing, and its reply frees the slot", () => {
  using played = new PlayedPool("ask");
  const first = played.submit(1);
  const { worker } = played;
  const task = worker.start();
  assert(first.abort("enough"));
  worker.consumer.acknowledgeAbort(task.slot);
  played.pool.collect();
  const second = played.submit(2);
  const next = worker.start(TaskState.PREFETCHED);
  assert(next.slot !== task.slot);
  worker.consumer.reply(task, RecordType.LOST, EMPTY);
  assertStrictEquals(first.exception(BOUND), "enough");
  const third = played.submit(3);
  assertStrictEquals(worker.start().slot, task.slot);
  assert(!second.done() && !third.done());
  worker.reply(next, 2);
  worker.reply({ ...task }, 3);
  assertEquals([second.result(BOUND), third.result(BOUND)], [2, 3]);
});

test("Stops: at whichever step of the owner's look a late task ends, its future is done once", async () => {
  using _warnings = new Warnings();
  const outcomes = new Set<string>();
  const steps = await atEachStep((at) => {
    using played = new PlayedPool("terminate");
    const future = played.submit(7, { timeout: 1, grace: 0 });
    const { worker } = played;
    const task = worker.start();
    worker.consumer.setBegun(task.slot);
    pause(3);
    const interruption = new Interruption(at, () => worker.reply(task, 7));
    played.pool.lookAgain();
    const { happened } = interruption;
    interruption[Symbol.dispose]();
    if (!happened) worker.reply(task, 7);
    const error = future.exception(BOUND);
    if (error === null) assertStrictEquals(future.result(), 7);
    else assertInstanceOf(error, TimeoutError);
    outcomes.add(error === null ? "result" : "late");
    // Its slot and its thread are used again.
    const next = played.submit(8);
    assertStrictEquals(played.workers.length, 1);
    worker.reply(worker.start(), 8);
    assertStrictEquals(next.result(BOUND), 8);
    const { done, failed, running, queued, lost } = played.pool.watch.stats();
    assertEquals([done + failed, running, queued, lost], [2, 0, 0, 0], `at step ${at}`);
    return happened;
  });
  assert(steps > 5, `${steps} steps`);
  assertEquals([...outcomes].sort(), ["late", "result"]);
});

test("Stops: a task that was stopped has its grace, and then its thread has a while to go on", () => {
  using warnings = new Warnings();
  using clock = new Clock();
  using played = new PlayedPool("terminate");
  const { pool } = played;
  const reason = new Error("enough");
  for (const isQuick of [true, false]) {
    const future = played.submit(1, { grace: 40 });
    const { worker } = played;
    const task = worker.start();
    assert(future.abort(reason));
    assertStrictEquals(future.abort(new Error("another one")), false);
    assertEquals(worker.messages.at(-1), { type: "abort", slot: task.slot, grace: 40 });
    pool.lookAgain();
    assertStrictEquals(future.done(), false);
    clock.pass(39);
    pool.lookAgain();
    assertStrictEquals(future.done(), false);
    clock.pass(1);
    pool.lookAgain();
    assertStrictEquals(future.exception(0), reason);
    // Its thread may go on at once, and is not given up before it could.
    pool.lookAgain();
    assertStrictEquals(worker.isTerminated, false);
    if (isQuick) worker.reply(task, 1);
    pool.collect();
    clock.pass(GIVE_UP_MS - 1);
    pool.lookAgain();
    assertStrictEquals(worker.isTerminated, false);
    clock.pass(1);
    pool.lookAgain();
    assertStrictEquals(worker.isTerminated, !isQuick);
    assertStrictEquals(pool.watch.stats().lost, isQuick ? 0 : 1);
    const next = played.submit(2);
    assertStrictEquals(played.worker !== worker, !isQuick);
    const taken = played.worker.start();
    assertStrictEquals(taken.slot, task.slot);
    played.worker.reply(taken, 2);
    assertStrictEquals(next.result(BOUND), 2);
    // It ends after all.
    if (!isQuick) worker.reply(task, 1);
  }
  pool.collect();
  assertEquals(warnings.texts.length, 1);
  assertMatch(warnings.texts[0], /^played_0 was given up/);
  const { done, failed, lost, running, queued } = pool.watch.stats();
  assertEquals([done, failed, lost, running, queued], [2, 2, 1, 0, 0]);
});

test("Stops: who was stopped before in a slot does not count for the next task of the slot and thread", () => {
  using _warnings = new Warnings();
  using clock = new Clock();
  using played = new PlayedPool("terminate");
  const { pool } = played;
  const first = played.submit(1, { grace: 0 });
  const { worker } = played;
  const task = worker.start();
  assert(first.abort("the first"));
  worker.reply(task, 1);
  assertStrictEquals(first.exception(BOUND), "the first");
  const second = played.submit(2, { grace: 60_000 });
  const next = worker.start();
  assertStrictEquals(next.slot, task.slot);
  assert(second.abort("the second"));
  for (let i = 0; i < 3; i++) {
    clock.pass(GIVE_UP_MS);
    pool.lookAgain();
  }
  assertStrictEquals(second.done(), false);
  assertStrictEquals(worker.isTerminated, false);
  worker.reply(next, 2);
  assertStrictEquals(second.exception(BOUND), "the second");
});

test("Stops: the time of a task counts from the call of its function, and each task has its own", () => {
  using _warnings = new Warnings();
  using clock = new Clock();
  using played = new PlayedPool("terminate", { maxConsumers: 2 });
  const { pool } = played;
  const [early, late] = [1, 2].map((n) => played.submit(n, { timeout: 40, grace: 20 }));
  const waiting = played.submit(3, { timeout: 0, grace: 0 });
  const [first, second] = played.workers;
  const tasks = [first.start(), second.start()];
  clock.pass(70);
  pool.lookAgain();
  assert(!early.done() && !late.done(), "their functions are being loaded");
  first.consumer.setBegun(tasks[0].slot);
  clock.pass(58);
  second.consumer.setBegun(tasks[1].slot);
  pool.lookAgain();
  assert(!early.done() && !late.done(), "its grace is not over");
  clock.pass(2);
  pool.lookAgain();
  assertInstanceOf(early.exception(0), TimeoutError);
  assertMatch(String(early.exception(0)), /on played_0, .*: 40 ms$/);
  assert(!late.done() && !waiting.done());
  first.reply(tasks[0], 1);
  second.reply(tasks[1], 2);
  assertStrictEquals(late.result(BOUND), 2);
  first.reply(first.start(), 3);
  assertStrictEquals(waiting.result(BOUND), 3);
  assertEquals([pool.watch.stats().lost, played.workers.length], [0, 2]);
});

test("Stops asks for a look by itself: blocked, awaited, and polled", async () => {
  using _warnings = new Warnings();
  for (const how of ["blocked", "awaited", "polled"]) {
    for (const options of [{ timeout: 30, grace: 5 }, { timeout: 0, grace: 0 }, { grace: 30 }]) {
      using played = new PlayedPool("terminate");
      const before = played.submit(0);
      const running = played.worker.start();
      // Until nobody else looks.
      await sleep(30);
      const future = played.submit(1, options);
      const other = played.submit(2);
      // It waits for longer than it may take.
      await sleep(50);
      played.worker.reply(running, 0);
      assertStrictEquals(before.result(BOUND), 0);
      let isSettled = false;
      future.addDoneCallback(() => isSettled = true);
      const { worker } = played;
      const { slot } = worker.start();
      worker.consumer.setBegun(slot);
      if (!("timeout" in options)) assert(future.abort());
      if (how === "awaited") {
        await until(() => isSettled, "its end");
        await until(() => worker.isTerminated, "the end of its thread");
      } else if (how === "blocked") {
        assertInstanceOf(future.exception(BOUND), Error);
        while (!worker.isTerminated) assertThrows(() => other.exception(50), TimeoutError);
      } else {
        untilSync(() => future.done(), "its end");
        untilSync(() => other.done() || worker.isTerminated, "the end of its thread");
      }
      assert(worker.isTerminated && !other.done());
      assertStrictEquals(played.workers.length, 2, "another one takes its place");
    }
  }
});

test("Endings kills a child at the earliest of the times, when it is known what the child has begun", async () => {
  const task = { slot: 1 } as EncodedTask;
  const other = { slot: 2 } as EncodedTask;
  let mayKill = true;
  let hasOthers = false;
  const killed: Why[] = [];
  const make = () => {
    killed.length = 0;
    return new Endings({
      mayKillFor: (one) => one === task && mayKill,
      hasOthers: () => hasOthers,
      killFor: (why) => void killed.push(why),
    });
  };
  const far = () => performance.now() + 3_600_000;
  // In whatever order they are told.
  for (const isLater of [true, false]) {
    for (const why of ["abort", "timeout"] as const) {
      const endings = make();
      const before = why === "abort" ? "timeout" : "abort";
      if (isLater) endings.add(task, far(), before);
      const start = performance.now();
      endings.add(task, start + 20, why);
      if (!isLater) endings.add(task, far(), before);
      assert(endings.isAborted(task));
      await until(() => killed.length > 0, "the end");
      assertEquals(killed, [why]);
      assert(performance.now() - start >= 19);
      endings.forget([task]);
      assert(!endings.isAborted(task));
    }
  }
  // A time is no abort.
  let endings = make();
  endings.add(task, far(), "timeout");
  assert(!endings.isAborted(task));
  endings.forget([other, task]);

  // A task that has left is none to be killed for, also when its time was over.
  mayKill = false;
  endings = make();
  endings.add(task, performance.now() + 5, "abort");
  await sleep(20);
  endings.forget([task]);
  mayKill = true;
  await sleep(50);
  assertEquals(killed, []);

  // The child has not said yet what it has begun.
  mayKill = false;
  endings = make();
  endings.add(task, performance.now(), "abort");
  await sleep(100);
  assertEquals(killed, []);
  mayKill = true;
  await until(() => killed.length > 0, "the end");
  endings.forget([task]);

  // It never says that, which matters more where it has other tasks.
  endings = make();
  mayKill = false;
  hasOthers = true;
  endings.add(task, performance.now() - 600, "abort");
  await sleep(50);
  assertEquals(killed, []);
  endings.forget([task]);
  hasOthers = false;
  const start = performance.now();
  endings.add(task, start, "abort");
  await until(() => killed.length > 0, "the end");
  const ms = performance.now() - start;
  assert(ms >= 490 && ms < 5_000, `after ${ms} ms`);
  await sleep(30);
  assertEquals(killed, ["abort"]);
  endings.forget([task]);
});

test("a signal among the arguments is seen to be aborted while a worker is started for its task", async () => {
  const { signal, ...controller } = countingSignal();
  using played = new PlayedPool("terminate", { carriesSignals: true }, () => controller.controller.abort("meanwhile"));
  const future = played.pool.submit((signal: AbortSignal) => signal.aborted, [signal]);
  const task = await played.worker.consumer.take()!;
  assert(played.worker.consumer.start(task));
  assertStrictEquals(new Int32Array(task.payload.shared[0], 0, 1)[0], 1);
  played.worker.reply(task, 1);
  assertStrictEquals(future.result(BOUND), 1);
  assertStrictEquals(controller.count(), 0);
});
