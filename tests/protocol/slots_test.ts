/** What becomes of a task: its slot, its cancellation, its result. */
import { assert, assertEquals } from "@std/assert";
import { EMPTY, Encoded, Encoding } from "../../executors/_values/encoded.ts";
import type { Task } from "../../executors/_queue/consumer.ts";
import { PASSED_ON } from "../../executors/_queue/posted.ts";
import { MAX_INLINE_BYTES, NO_SLOT, RecordType, TaskState } from "../../executors/_queue/protocol.ts";
import { ResultRing } from "../../executors/_queue/ring.ts";
import { createPoolMemory, TaskQueue } from "../../executors/_queue/task_queue.ts";
import { addSource, bell, blockUntil, removeSource } from "../../futures/wakeup.ts";
import { BOUND, sleep, test, until, within } from "../_helpers.ts";
import { atEachStep, Bench, Interruption, numberPayload, startWith } from "./_kit.ts";

/** How long two threads may take to run no task of some that are queued, in milliseconds. */
const SOON = 5_000;

/** A result that goes by message: too large for the ring. */
const LARGE = new Encoded(Encoding.JSON, JSON.stringify("x".repeat(MAX_INLINE_BYTES)));

/** Takes a task that is there. */
function take(bench: Bench, index = 0): Task {
  const task = bench.consumers[index].take();
  assert(task !== undefined && !(task instanceof Promise), "there is a task");
  return task;
}

/** Owner: the slots and types of all results that have arrived, oldest first; frees their slots. */
function collect({ rings, ports, queue }: Bench): [slot: number, type: number][] {
  const found: [number, number][] = [];
  rings.forEach((ring, index) => {
    for (let record = ring.peek(); record !== undefined; record = ring.peek()) {
      ring.drop();
      found.push([record.slot, record.type]);
    }
    while (ring.hasPosted()) {
      const result = ports[index].receive();
      assert(result !== undefined, "a result was counted before it was posted");
      ring.countReceived();
      found.push([result.slot, result.type]);
    }
  });
  for (const [slot] of found) Atomics.store(queue.slots, slot, TaskState.FREE);
  return found;
}

test("Consumer.start() and cancel(): whenever they meet, exactly one of them wins", async () => {
  const winners = new Set<string>();
  await atEachStep((at) => {
    const bench = new Bench(1);
    const { queue, consumers: [consumer] } = bench;
    bench.push(9);
    let cancelled = false;
    const interruption = new Interruption(at, () => {
      cancelled = Atomics.compareExchange(queue.slots, 9, TaskState.PENDING, TaskState.CANCELLED) === TaskState.PENDING;
    });
    const task = take(bench);
    const started = consumer.start(task);
    if (started) consumer.reply(task, 0, EMPTY);
    interruption[Symbol.dispose]();
    assertEquals(started, !cancelled, `before step ${at}`);
    winners.add(cancelled ? "cancel" : "start");
    // In any case the owner learns once that the slot is free.
    assertEquals(collect(bench), [[9, started ? RecordType.VALUE : RecordType.CANCELLED]]);
    return interruption.happened;
  });
  assertEquals(winners.size, 2);
});

for (const [name, payload] of [["small", numberPayload(1)], ["large", LARGE]] as const) {
  test(`Consumer.reply() with a ${name} result does not touch the slot's next task, whenever that comes`, async () => {
    let reused = 0;
    await atEachStep((at) => {
      const bench = new Bench(1);
      const { queue, consumers: [consumer] } = bench;
      bench.push(9, 1);
      const task = take(bench);
      assert(consumer.start(task));
      let collected: unknown[] = [];
      const interruption = new Interruption(at, () => {
        collected = collect(bench);
        // The slot is used again at once.
        if (collected.length > 0) bench.push(9, 2);
      });
      consumer.reply(task, 0, payload);
      interruption[Symbol.dispose]();
      if (collected.length === 0) assertEquals(collect(bench), [[9, 0]]);
      else {
        reused++;
        assertEquals(queue.slots[9], TaskState.PENDING, `the owner came before step ${at}`);
        const next = take(bench);
        assertEquals(next.payload.number, 2);
        assert(consumer.start(next), `the next task of the slot is lost when the owner comes before step ${at}`);
      }
      assertEquals(collect(bench), []);
      return interruption.happened;
    });
    assert(reused > 0, "there is a step after the result is published");
  });

  test(`Consumer.reply() with a ${name} result rings after it is there, and marks and counts before`, async () => {
    await atEachStep((at) => {
      const bench = new Bench(1);
      const { queue, consumers: [consumer] } = bench;
      bench.push(9);
      const task = take(bench);
      consumer.start(task);
      const rings = bench.bell[1];
      const interruption = new Interruption(at, () => {
        const { finished } = queue;
        const mark = queue.slots[9];
        const rung = bench.bell[1] !== rings;
        const isThere = collect(bench).length === 1;
        assert(!isThere || mark === TaskState.DONE, `before step ${at}: published, and its mark is ${mark}`);
        assert(!isThere || finished === 1, `before step ${at}: published, and not counted as finished`);
        assert(!rung || isThere, `before step ${at}: rung, and nothing is there`);
      });
      consumer.reply(task, 0, payload);
      interruption[Symbol.dispose]();
      assertEquals(bench.bell[1], rings + 1);
      return interruption.happened;
    });
  });
}

test("Consumer.report() publishes and rings, whatever the owner does meanwhile", async () => {
  await atEachStep((at) => {
    const bench = new Bench(1);
    let seen: unknown[] = [];
    let rung = false;
    const interruption = new Interruption(at, () => {
      rung = bench.bell[1] > 0;
      seen = bench.rings[0].peek() === undefined ? [] : [NO_SLOT];
    });
    bench.consumers[0].report(RecordType.BROKEN, numberPayload(1));
    interruption[Symbol.dispose]();
    assert(!rung || seen.length === 1, `before step ${at}: rung, and nothing is there`);
    const record = bench.rings[0].peek();
    assertEquals([record?.slot, record?.type, bench.bell[1]], [NO_SLOT, RecordType.BROKEN, 1]);
    return interruption.happened;
  });
});

test("Consumer.reply() finds a way for every result when the ring is full", () => {
  const bench = new Bench(1);
  const { consumers: [consumer] } = bench;
  const text = new Encoded(Encoding.JSON, JSON.stringify("x".repeat(1000)));
  for (let round = 0; round < 3; round++) {
    const expected: [number, number][] = [];
    for (let slot = 0; slot < 100; slot++) {
      bench.push(slot);
      const task = take(bench);
      assert(consumer.start(task));
      consumer.reply(task, 0, text);
      expected.push([slot, 0]);
    }
    assertEquals(collect(bench).sort(([a], [b]) => a - b), expected);
  }
});

test("Consumer.progress() rings when it is there, and comes before the result, the newest at least", async () => {
  await atEachStep((at) => {
    const bench = new Bench(1);
    let isTooEarly = false;
    const interruption = new Interruption(at, () => {
      isTooEarly = bench.bell[1] > 0 && bench.rings[0].peek() === undefined;
    });
    bench.consumers[0].progress({ slot: 9, fn: 0, flags: 0, payload: EMPTY }, numberPayload(1));
    interruption[Symbol.dispose]();
    assert(!isTooEarly, `before step ${at}: rung, and nothing is there`);
    const record = bench.rings[0].peek();
    assertEquals([record?.slot, record?.type, bench.bell[1]], [9, RecordType.PROGRESS, 1]);
    return interruption.happened;
  });
  const bench = new Bench(1);
  const { consumers: [consumer], rings: [ring] } = bench;
  bench.push(9);
  const task = take(bench);
  assert(consumer.start(task));
  let count = 0;
  do consumer.progress(task, numberPayload(count)); while (bench.bell[1] === ++count);
  assert(count > 1_000);
  // The ring is full: what comes then waits, and a newer one takes its place.
  consumer.progress(task, numberPayload(-1));
  consumer.progress(task, numberPayload(-2));
  consumer.reply(task, RecordType.VALUE, EMPTY);
  const found = collect(bench);
  assertEquals(found.length, count + 1);
  assertEquals(found.slice(-2).map(([, type]) => type), [RecordType.PROGRESS, RecordType.VALUE]);
  assertEquals(ring.peek(), undefined);
});

test("Consumer.progress(): what is too large for the ring is posted, one at a time, and the result behind it", () => {
  for (const isRead of [false, true]) {
    const bench = new Bench(1);
    const { consumers: [consumer], rings: [ring] } = bench;
    bench.push(9);
    const task = take(bench);
    assert(consumer.start(task));
    consumer.progress(task, LARGE);
    assert(ring.hasPosted());
    assertEquals(ring.peek(), undefined);
    if (isRead) {
      assertEquals(bench.ports[0].receive()?.type, RecordType.PROGRESS);
      ring.countReceived();
    }
    // What is posted is read behind the ring, so nothing of this task may come into the ring before that is read.
    for (let i = 0; i < 3; i++) consumer.progress(task, LARGE);
    consumer.progress(task, numberPayload(1));
    consumer.reply(task, RecordType.VALUE, EMPTY);
    assertEquals(ring.peek(), undefined);
    const types = collect(bench).map(([, type]) => type);
    // The small one, behind the first of the large ones, or behind the second.
    assertEquals(types, [RecordType.PROGRESS, RecordType.PROGRESS, RecordType.VALUE]);
    // The next task has nothing to do with that.
    bench.push(9);
    const next = take(bench);
    assert(consumer.start(next));
    consumer.reply(next, RecordType.VALUE, EMPTY);
    assertEquals(collect(bench).map(([, type]) => type), [RecordType.VALUE]);
  }
});

test("Consumer.progress() of a broker: what found no room comes when there is some", async () => {
  const bench = new Bench(1, PASSED_ON);
  const { consumers: [consumer], rings: [ring], ports: [port] } = bench;
  bench.push(9);
  const task = take(bench);
  assert(consumer.start(task));
  consumer.progress(task, LARGE);
  consumer.progress(task, numberPayload(1));
  await sleep(20);
  assertEquals(ring.peek(), undefined, "the first one has not been read");
  assertEquals(port.receive()?.type, RecordType.PROGRESS);
  ring.countReceived();
  await until(() => ring.peek() !== undefined, "the second one");
  assertEquals(collect(bench).map(([, type]) => type), [RecordType.PROGRESS]);
  consumer.reply(task, RecordType.VALUE, EMPTY);
  assertEquals(collect(bench).map(([, type]) => type), [RecordType.VALUE]);
});

test(
  "Consumer's slots: with four of them, used again at once, 10,000 tasks of two threads are run or cancelled once each",
  async () => {
    const TASKS = 10_000;
    const memory = createPoolMemory(2);
    const queue = new TaskQueue(memory);
    const free = [0, 1, 2, 3];
    /** The task of each slot, and whether it was cancelled. */
    const current: ({ value: number; cancelled: boolean } | undefined)[] = [];
    const outcomes = new Uint8Array(TASKS);
    let [next, ended, cancels] = [0, 0, 0];
    const channels = [new MessageChannel(), new MessageChannel()];
    const rings: ResultRing[] = [];
    const workers = channels.map(({ port2 }, index) => {
      const results = ResultRing.create();
      rings.push(new ResultRing(results));
      const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
      const start = startWith({ memory, index, results, port: port2, bell });
      worker.postMessage({ part: "consume", start }, [port2]);
      return worker;
    });
    let onCollect = () => {};
    const source = {
      collect() {
        for (const ring of rings) {
          for (let record = ring.peek(); record !== undefined; record = ring.peek()) {
            const { value, cancelled } = current[record.slot]!;
            assertEquals(record.type === RecordType.CANCELLED, cancelled, `task ${value}`);
            if (!cancelled) assertEquals(ring.memory.view.getFloat64(record.offset), value + 1);
            outcomes[value]++;
            ended++;
            ring.drop();
            Atomics.store(queue.slots, record.slot, TaskState.FREE);
            current[record.slot] = undefined;
            free.push(record.slot);
          }
        }
        while (next < TASKS && free.length > 0) {
          const slot = free.pop()!;
          Atomics.store(queue.slots, slot, TaskState.PENDING);
          assert(queue.push(slot, 0, Encoding.NUMBER, 0, numberPayload(next)));
          queue.parking.wake();
          current[slot] = { value: next++, cancelled: false };
          // The one before may be queued, be running, or be done.
          const other = current[(slot + 1) & 3];
          if (
            next % 5 === 0 && next < TASKS - 20 && other !== undefined &&
            Atomics.compareExchange(queue.slots, (slot + 1) & 3, TaskState.PENDING, TaskState.CANCELLED) ===
              TaskState.PENDING
          ) {
            other.cancelled = true;
            cancels++;
          }
        }
        onCollect();
        return false;
      },
      describe: () => queue.describe(),
    };
    try {
      addSource(source);
      while (ended < TASKS) {
        const before = ended;
        assert(
          blockUntil(() => ended > before, performance.now() + BOUND),
          `blocked: hangs after ${before}\n${queue.describe()}`,
        );
        if (ended >= TASKS) break;
        const now = ended;
        await within(
          new Promise<void>((resolve) =>
            onCollect = () => {
              if (ended > now) resolve();
            }
          ),
          `awaited: hangs after ${now}\n${queue.describe()}`,
          SOON,
        );
      }
      assertEquals(outcomes.findIndex((count) => count !== 1), -1, "each task ends once");
      assert(cancels > 0);
    } finally {
      removeSource(source);
      for (const worker of workers) worker.terminate();
      for (const { port1 } of channels) port1.close();
    }
  },
  { bound: 60_000 },
);
