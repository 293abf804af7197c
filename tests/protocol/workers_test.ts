/**
 * Workers that leave alone: one that sleeps is taken out, one whose task does not end is given up, and another one
 * takes its place.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals } from "@std/assert";
import { type Future, TaskNotFoundError, ThreadPoolExecutor } from "@concurrent/futures";
import { EMPTY } from "../../executors/_values/encoded.ts";
import { Consumer, type Task } from "../../executors/_queue/consumer.ts";
import { DECODED, PASSED_ON } from "../../executors/_queue/posted.ts";
import { RecordType, runningBy, Status, TaskState } from "../../executors/_queue/protocol.ts";
import { toPosted } from "../../executors/_queue/posted.ts";
import { ResultRing } from "../../executors/_queue/ring.ts";
import { poolOf } from "../../executors/_owner/executor_core.ts";
import { timers } from "../../futures/builtins.ts";
import { describeSources } from "../../futures/wakeup.ts";
import { liveWorkers, test, until, untilSync, within } from "../_helpers.ts";
import { Warnings } from "../_warnings.ts";
import { add } from "../fixtures/tasks.ts";
import { atEachStep, Bench, Interruption, numberPayload, startWith } from "./_kit.ts";
import { PlayedPool } from "./_played.ts";
import { holdUntilTold, meet, nameOfThread } from "./tasks.ts";

/** How long a task may take that takes no time, in milliseconds. */
const SOON = 5_000;

/** Some turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Owner: lets another consumer begin under an index. */
function replace(bench: Bench, index: number, serial: number, form = DECODED): void {
  const { memory, bell } = bench;
  const results = ResultRing.create();
  const port = { postMessage: () => {} } as unknown as MessagePort;
  bench.queue.parking.enter(index);
  bench.rings[index].close();
  bench.rings[index] = new ResultRing(results);
  bench.consumers[index] = new Consumer(startWith({ memory, index, serial, results, port, bell }), form);
}

for (const how of ["is pushed", "is assigned"]) {
  test(`a consumer that is taken out while a task ${how} gets none, and another one takes its index`, async () => {
    let [taken, left] = [0, 0];
    await atEachStep(async (at) => {
      const bench = new Bench(1);
      const { queue, consumers: [old] } = bench;
      await old.begin();
      assertStrictEquals(old.take(), undefined);
      let hasLeft = false;
      let isAssigned = false;
      const interruption = new Interruption(at, () => {
        hasLeft = queue.parking.leave(0);
        if (hasLeft) replace(bench, 0, 1);
        if (how === "is pushed") bench.push(7, 42);
        else {
          isAssigned = queue.parking.assign(0);
          if (isAssigned) Atomics.store(queue.slots, 7, TaskState.PENDING);
        }
      });
      const resting = old.waitForWork();
      const { happened } = interruption;
      interruption[Symbol.dispose]();
      let isAwake = resting === undefined;
      void resting?.then(() => isAwake = true);
      await turns(2);
      if (happened && (how === "is pushed" || isAssigned)) {
        const message = {
          type: "assign",
          slot: 7,
          fn: 0,
          flags: 0,
          payload: toPosted(numberPayload(42)).posted,
        } as const;
        const [consumer] = bench.consumers;
        const begun = consumer.begin();
        if (isAssigned) consumer.receive(message);
        await begun;
        if (!hasLeft) await within(Promise.resolve(resting), `who did not leave at step ${at}`, SOON);
        const task = await consumer.take();
        assertEquals(task?.payload.number, 42, `it is there, at step ${at}`);
        assert(consumer.start(task!));
        assertStrictEquals(queue.slots[7], runningBy(hasLeft ? 1 : 0));
        assert(!queue.parking.leave(0), "who has a task does not leave");
        await turns(2);
        assert(!hasLeft || !isAwake, `taken out at step ${at}, it goes on`);
        if (hasLeft) left++;
        else taken++;
      }
      return happened;
    });
    assert(taken > 0 && left > 0, `taken ${taken} times, and left ${left} times`);
  });
}

test("a consumer that is given up while it replies: the owner has the result or the task, never both", async () => {
  let [replied, abandoned] = [0, 0];
  await atEachStep((at) => {
    const bench = new Bench(2);
    const { queue, consumers: [, old] } = bench;
    bench.push(9, 1);
    const task = old.take() as Exclude<ReturnType<typeof old.take>, Promise<unknown> | undefined>;
    assert(old.start(task));
    assertStrictEquals(queue.slots[9], runningBy(1));
    const [, ring] = bench.rings;
    let serial: number | undefined;
    let statusThen = -1;
    const interruption = new Interruption(at, () => {
      serial = queue.abandon(9);
      if (serial === undefined) return;
      replace(bench, 1, 2);
      // The slot is another task's at once, which the next consumer runs.
      bench.push(9, 2);
      void bench.consumers[1].begin();
      const next = bench.consumers[1].take() as typeof task;
      assert(bench.consumers[1].start(next));
      statusThen = queue.parking.statuses[1];
      assertStrictEquals(statusThen, Status.ACTIVE);
    });
    old.reply(task, RecordType.VALUE, EMPTY, 0, true, Status.FINISHED);
    const { happened } = interruption;
    interruption[Symbol.dispose]();
    const hasResult = ring.peek() !== undefined;
    if (serial === undefined) {
      assert(hasResult, `not abandoned at step ${at}`);
      replied++;
    } else {
      assertStrictEquals(serial, 1);
      assert(!hasResult, `abandoned at step ${at}, and replied`);
      assertStrictEquals(queue.slots[9], runningBy(2), `at step ${at} it has changed another task's slot`);
      assertStrictEquals(queue.parking.statuses[1], statusThen, `at step ${at} it has changed another one's status`);
      assertStrictEquals(queue.finished, 0);
      // Nor does it take another one, nor change a status, whatever its thread does until that ends.
      bench.push(10, 3);
      assertInstanceOf(old.take(), Promise);
      void old.yieldToEventLoop(() => Promise.resolve());
      assert(!queue.isEmpty() && queue.parking.statuses[1] === statusThen, `abandoned at step ${at}`);
      abandoned++;
    }
    return happened;
  });
  assert(replied > 0 && abandoned > 0, `replied ${replied} times, abandoned ${abandoned} times`);
});

test("TaskQueue.abandon() takes only a task that runs", () => {
  const bench = new Bench(1);
  const { queue } = bench;
  for (const state of [TaskState.FREE, TaskState.PENDING, TaskState.PREFETCHED, TaskState.DONE, TaskState.CANCELLED]) {
    Atomics.store(queue.slots, 3, state);
    assertStrictEquals(queue.abandon(3), undefined);
    assertStrictEquals(queue.slots[3], state);
  }
});

test("a thread that is given up ends alone: its task fails, others run on, and the next has its index", async () => {
  using warnings = new Warnings();
  using pool = new ThreadPoolExecutor({ maxWorkers: 2, threadNamePrefix: "t" });
  const hasty = pool.with({ grace: 0 });
  const words = new Int32Array(new SharedArrayBuffer(12));
  const [endless, other] = [hasty.submit(holdUntilTold, words, 0), hasty.submit(holdUntilTold, words, 1)];
  untilSync(() => Atomics.load(words, 0) !== 0 && Atomics.load(words, 1) !== 0, "two tasks that run");
  const waiting = pool.submit(nameOfThread);
  const [gone] = Atomics.load(words, 0) === 1 ? ["t_0"] : ["t_1"];
  const reason = new Error("it is to end");
  assert(endless.abort(reason));
  assert(!endless.abort(), "it is to end already");
  assertStrictEquals(endless.exception(SOON), reason);
  assertStrictEquals(waiting.result(SOON), gone, "the thread that takes its place");
  assertStrictEquals(liveWorkers(), 2, "another one was started for the task that waits");
  assertStrictEquals(pool.stats().lost, 1);
  assert(other.running());
  assert(!endless.abort());
  assert(other.abort(reason));
  assertStrictEquals(other.exception(SOON), reason);
  for (let i = 0; i < 3; i++) {
    Atomics.store(words, 0, 0);
    const again = hasty.submit(holdUntilTold, words, 0);
    // Not only running: one whose module is being loaded would end by itself.
    await until(() => Atomics.load(words, 0) !== 0, "a task that computes");
    assert(again.abort(reason));
    assertStrictEquals(again.exception(SOON), reason);
    assertStrictEquals(await within(pool.submit(add, i, 1), "a task on another thread", SOON), i + 1);
  }
  await until(() => pool.stats().lost === 5, "the end of the last one");
  // Threads that were given up end when their tasks come to an end.
  Atomics.store(words, 2, 1);
  assert(liveWorkers() <= 2, `${liveWorkers()} workers`);
  for (const state of describeSources()) assert(/unsettled=0 waiting=0 /.test(state), state);
  assertEquals(warnings.texts.length, 5);
  assertMatch(warnings.texts[0], new RegExp(`^${gone} was given up`));
});

test("idle threads end one by one, and others take their places", async () => {
  using pool = new ThreadPoolExecutor({ maxWorkers: 3, threadNamePrefix: "t" });
  const owner = poolOf(pool);
  assert(!owner.endIdleWorker(), "there is none");
  const words = new Int32Array(new SharedArrayBuffer(4 * 3));
  for (let round = 0; round < 3; round++) {
    // All at once, so that none takes two.
    const futures = [0, 1, 2].map((i) => pool.submit(meet, words, i, 3));
    const names = [];
    for (const future of futures) names.push(await within(future, "a task", SOON));
    assertEquals(names.sort(), ["t_0", "t_1", "t_2"]);
    words.fill(0);
    const asleep = () => describeSources().some((state) => state.includes(`parked=${liveWorkers()} `));
    for (let left = 3; left > 0; left--) {
      await until(asleep, "threads that sleep");
      assert(owner.endIdleWorker(), `one of ${left} ends`);
      assertStrictEquals(liveWorkers(), left - 1);
    }
    assert(!owner.endIdleWorker(), "there is none any more");
  }
  const last = pool.submit(add, 1, 2);
  const [state] = describeSources();
  assertStrictEquals(state.match(/LEFT/g)?.length, 2, `one of three begins again: ${state}`);
  assertStrictEquals(last.result(SOON), 3);
});

test("a task that comes while the only idle thread ends is run, at whichever step of that it comes", async () => {
  using pool = new ThreadPoolExecutor({ maxWorkers: 1, threadNamePrefix: "t" });
  const owner = poolOf(pool);
  const isAsleep = () => describeSources().some((state) => state.includes("parked=1 "));
  let [ended, stayed] = [0, 0];
  await atEachStep(async (at) => {
    assertStrictEquals(await within(pool.submit(add, at, 1), "a task before", SOON), at + 1);
    await until(isAsleep, "a thread that sleeps");
    let future: Future<number> | undefined;
    const interruption = new Interruption(at, () => future = pool.submit(add, at, 2));
    const hasEnded = owner.endIdleWorker();
    const { happened } = interruption;
    interruption[Symbol.dispose]();
    if (happened) {
      assertStrictEquals(await within(future!, `the task of step ${at}`, SOON), at + 2);
      if (hasEnded) ended++;
      else stayed++;
    }
    return happened;
  });
  assert(ended > 0 && stayed > 0, `ended ${ended} times, stayed ${stayed} times`);
});

// ---- the thread of the first worker -------------------------------------------------------------------------------

/** A function that nobody has described, and how many workers there were when somebody asked for its name. */
function newFunction(played: () => PlayedPool): { fn: () => number; workers: number[] } {
  const workers: number[] = [];
  const fn = () => 7;
  Object.defineProperty(fn, "name", {
    get() {
      workers.push(played().workers.length);
      return `fn${Math.random()}`;
    },
  });
  return { fn, workers };
}

test("submit() starts the first thread before it describes a new function, and that thread gets the task", () => {
  using played = new PlayedPool("terminate", { maxConsumers: 2 });
  const { fn, workers } = newFunction(() => played);
  const future = played.pool.submit(fn, []);
  assert(workers.length > 0 && workers.every((count) => count === 1), `${workers} workers`);
  assertEquals([played.workers.length, played.worker.hasStarted], [1, true]);
  played.worker.reply(played.worker.start(), 7);
  assertEquals(future.result(0), 7);
  const other = newFunction(() => played);
  void played.pool.submit(other.fn, []);
  assert(other.workers.every((count) => count === 1), "the second thread starts when the task is queued");
  played.worker.reply(played.worker.start(), 7);
});

test("submit() of what cannot be sent leaves a thread to the next task, or to the end of the pool", () => {
  for (const hasTask of [true, false]) {
    using played = new PlayedPool("terminate");
    for (let i = 0; i < 3; i++) assertInstanceOf(played.pool.submit(add.bind(null, 1), []).exception(0), Error);
    assertEquals([played.workers.length, played.worker.hasStarted], [1, false], "none waits for a second thread");
    if (hasTask) {
      const future = played.submit(7);
      assertEquals([played.workers.length, played.worker.hasStarted], [1, true]);
      played.worker.reply(played.worker.start(), 8);
      assertEquals(future.result(0), 8);
    }
    played.pool.shutdown(false);
    assertEquals([played.workers.length, played.worker.isTerminated], [1, true]);
  }
});

test("a thread that fails before it has got its first message is replaced by one that says why", () => {
  using played = new PlayedPool("terminate");
  assertInstanceOf(played.pool.submit(add.bind(null, 1), []).exception(0), Error);
  played.worker.fail();
  const future = played.submit(7);
  assertEquals([played.workers.length, played.worker.hasStarted], [2, true]);
  played.worker.fail();
  assertMatch(String(future.exception(0)), /A worker failed: played/);
});

test("submit() lets a broker that starts ahead begin before it describes a new function, and tells it of that", () => {
  using played = new PlayedPool("ask", { startsAhead: true });
  const fn = () => 7;
  let begun: boolean | undefined;
  Object.defineProperty(fn, "name", {
    get() {
      begun ??= played.workers.length === 1 && played.worker.hasStarted;
      return `fn${Math.random()}`;
    },
  });
  const future = played.pool.submit(fn, []);
  assertEquals(begun, true);
  assertEquals([played.workers.length, played.worker.messages.map(({ type }) => type)], [1, ["define"]]);
  const task = played.worker.start();
  assertEquals(played.worker.consumer.knownDefinition(task.fn)?.how, "source");
  played.worker.reply(task, 7);
  assertEquals(future.result(0), 7);
});

test("submit() of what cannot be sent leaves a broker to the next task, or is asked to end with its pool", async () => {
  for (const hasTask of [true, false]) {
    using played = new PlayedPool("ask", { startsAhead: true });
    for (let i = 0; i < 3; i++) assertInstanceOf(played.pool.submit(add.bind(null, 1), []).exception(0), Error);
    assertEquals([played.workers.length, played.worker.hasStarted], [1, true]);
    const future = hasTask ? played.submit(7) : undefined;
    if (hasTask) played.worker.reply(played.worker.start(), 8);
    assertStrictEquals(future?.result(0), hasTask ? 8 : undefined);
    assertEquals(played.workers.length, 1);
    played.pool.shutdown(false);
    assertEquals([played.worker.messages.at(-1)?.type, played.worker.isTerminated], ["stop", false]);
    played.worker.consumer.report(RecordType.GONE);
    await within(played.pool.closed, "the end of the pool", SOON);
    assert(played.worker.isTerminated);
  }
});

for (const [what, stop, options] of [["thread", "terminate", {}], ["broker", "ask", { startsAhead: true }]] as const) {
  test(`a ${what} that cannot be started ahead breaks the pool only when a task needs it`, () => {
    let attempts = 0;
    using played = new PlayedPool(stop, options, () => {
      attempts++;
      throw new Error("no thread");
    });
    assertInstanceOf(played.pool.submit(add.bind(null, 1), []).exception(0), TaskNotFoundError);
    assertEquals(attempts, 1);
    const future = played.submit(7);
    assertMatch(String(future.exception(0)), /A worker did not start: no thread/);
  });
}

test("hold() sets a timer when the event loop turns, once, and none for who has let go before", async () => {
  const { setInterval } = timers;
  let set = 0;
  timers.setInterval =
    ((...args: Parameters<typeof setInterval>) => ++set && setInterval(...args)) as typeof setInterval;
  try {
    // A copy of its own, which has set none yet.
    const { hold, release }: typeof import("../../futures/wakeup.ts") = await import(
      import.meta.resolve("../../futures/wakeup.ts?counted")
    );
    for (let i = 0; i < 3; i++) {
      hold();
      release();
    }
    hold();
    hold();
    assertEquals(set, 0);
    release();
    release();
    await undefined;
    assertEquals(set, 0);
    hold();
    release();
    hold();
    await undefined;
    assertEquals(set, 1);
    release();
  } finally {
    timers.setInterval = setInterval;
  }
});

test("a consumer that passes tasks on replies for what others have begun, whatever its serial number", async () => {
  const bench = new Bench(1);
  replace(bench, 0, 7, PASSED_ON);
  const { queue, consumers: [consumer], rings: [ring] } = bench;
  await consumer.begin();
  bench.push(5);
  const task = consumer.take() as Task;
  assert(consumer.start(task, TaskState.PREFETCHED));
  consumer.setState(task, TaskState.RUNNING);
  consumer.reply(task, RecordType.VALUE, EMPTY, 1);
  assertEquals([ring.peek()?.slot, Atomics.load(queue.slots, 5)], [5, TaskState.DONE]);
});
