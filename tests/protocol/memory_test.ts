/** The task queue and the rings of results, without consumers. */
import { assert, assertEquals } from "@std/assert";
import {
  MAX_INLINE_BYTES,
  type PoolMemory,
  type ResultRecord,
  type TaskRecord,
  Word,
} from "../../executors/_queue/protocol.ts";
import { ResultRing } from "../../executors/_queue/ring.ts";
import { createPoolMemory, TaskQueue } from "../../executors/_queue/task_queue.ts";
import { BOUND, pause, test, within } from "../_helpers.ts";
import { Bytes, isFilled } from "./_kit.ts";

// The layout, as the tests must know it to begin near the limit of the positions.
const { HEAD, TAIL, FINISHED } = Word;
const QUEUE_BYTES = 4 * 2 ** 17;
const RING_BYTES = 4 * 2 ** 16;
const HEADER_BYTES = 24;

/** The first, just before they turn negative, and just before they are 0 again: positions are counted modulo 2³². */
const STARTS = [0, 2 ** 31 - 64, -64];

/** A queue whose positions begin at `start`. */
function queueFrom(start: number): TaskQueue {
  const memory = createPoolMemory(3);
  startAt(memory, start);
  return new TaskQueue(memory);
}

function startAt({ buffer }: PoolMemory, start: number): void {
  const words = new Int32Array(buffer);
  words[HEAD] = words[TAIL] = start;
  // As if one record, or two, had been taken and given back that were as long as the way to the start.
  const ring = new Int32Array(buffer, buffer.byteLength - QUEUE_BYTES);
  const first = start < 0 ? start + 2 ** 31 : start;
  if (first > 0) ring[0] = -first;
  if (start < 0) ring[first & (ring.length - 1)] = -(2 ** 31);
}

function ringFrom(start: number): ResultRing {
  const buffer = ResultRing.create();
  const words = new Int32Array(buffer);
  words[HEAD] = words[TAIL] = start;
  return new ResultRing(buffer);
}

function assertRecord(
  queue: TaskQueue | ResultRing,
  record: TaskRecord | ResultRecord | undefined,
  slot: number,
  size: number,
): void {
  assert(record !== undefined, `no record where ${slot} should be`);
  assertEquals([record.slot, record.byteLength], [slot, size]);
  assert(isFilled(queue.memory, record.offset, size, slot & 255), `payload of ${slot}`);
}

test("TaskQueue.claim() gives records back as they were pushed, in their order", () => {
  const queue = new TaskQueue(createPoolMemory(1));
  assertEquals(queue.isEmpty(), true);
  assertEquals(queue.claim(), undefined);
  const sizes = [0, 1, 7, 8, 9, 15, 16, 17, 1000, MAX_INLINE_BYTES];
  sizes.forEach((size, i) => assert(queue.push(i, i + 100, i + 200, i + 300, new Bytes(size, i))));
  assertEquals(queue.isEmpty(), false);
  sizes.forEach((size, i) => {
    const record = queue.claim();
    assertRecord(queue, record, i, size);
    assertEquals([record!.fn, record!.encoding, record!.flags], [i + 100, i + 200, i + 300]);
    assertEquals(record!.offset % 8, 0, "payloads are aligned to 8 bytes");
  });
  assertEquals(queue.claim(), undefined);
  assertEquals(queue.isEmpty(), true);
});

test("TaskQueue.push() asks for room for the largest payload, and uses what was written", () => {
  const queue = new TaskQueue(createPoolMemory(1));
  const free = QUEUE_BYTES / (HEADER_BYTES + 8);
  for (let i = 0; i < free - 1; i++) assert(queue.push(i, 0, 0, 0, new Bytes(8, i)), `record ${i}`);
  assertEquals(queue.push(0, 0, 0, 0, new Bytes(8, 0, 16)), false);
  assertEquals(queue.push(0, 0, 0, 0, new Bytes(8, 0, 8)), true);
  assertEquals(queue.push(0, 0, 0, 0, new Bytes(0)), false);
});

for (const start of STARTS) {
  test(`TaskQueue from position ${start}: records that end just before, at and after the end of the memory`, () => {
    for (const missing of [-24, -16, -8, 0, 8, 16, 24, 32, 40]) {
      const queue = queueFrom(start);
      // Up to `missing` bytes before the end, with one record each as large as can be; then some more around the end.
      let left = QUEUE_BYTES - (start & (2 ** 17 - 1)) * 4;
      while (left > MAX_INLINE_BYTES + HEADER_BYTES) {
        assert(queue.push(0, 0, 0, 0, new Bytes(8000)));
        for (const record of claimAll(queue)) queue.giveBack(record);
        left -= 8000 + HEADER_BYTES;
      }
      const last = left - HEADER_BYTES - 96 - missing;
      if (last < 0) continue;
      const sizes = [last, 72, 0, 1, 8, 72];
      sizes.forEach((size, i) => assert(queue.push(i, 0, 0, 0, new Bytes(size, i)), `push ${i}`));
      sizes.forEach((size, i) => {
        const record = queue.claim();
        assertRecord(queue, record, i, size);
        assert(record!.offset + size <= QUEUE_BYTES, "no record is broken at the end");
        queue.giveBack(record!);
      });
      assertEquals(queue.claim(), undefined);
      // And nothing of the memory is lost, also not what was skipped.
      let fits = 0;
      while (queue.push(0, 0, 0, 0, new Bytes(0))) fits++;
      assert(fits >= Math.floor(QUEUE_BYTES / HEADER_BYTES) - 1, `room for ${fits} records after going round the end`);
    }
  });

  test(`TaskQueue from position ${start}: push() returns false when it is full, and nothing is lost`, () => {
    const queue = queueFrom(start);
    let pushed = 0;
    let claimed = 0;
    for (let round = 0; round < 40; round++) {
      while (queue.push(pushed, 0, 0, 0, new Bytes(sizeOf(pushed), pushed))) pushed++;
      // Refused again as long as nothing is given back, also when it is claimed.
      const record = queue.claim()!;
      assertEquals(queue.push(pushed, 0, 0, 0, new Bytes(MAX_INLINE_BYTES)), false);
      assertRecord(queue, record, claimed, sizeOf(claimed));
      queue.giveBack(record);
      claimed++;
      for (let i = 0; i < 50; i++, claimed++) {
        const record = queue.claim()!;
        assertRecord(queue, record, claimed, sizeOf(claimed));
        queue.giveBack(record);
      }
    }
    for (; claimed < pushed; claimed++) {
      const record = queue.claim()!;
      assertRecord(queue, record, claimed, sizeOf(claimed));
      queue.giveBack(record);
    }
    assertEquals(queue.claim(), undefined);
    assert(pushed > 1000, `${pushed} records`);
  });

  test(`TaskQueue from position ${start}: memory is given back in any order, and used again from the oldest on`, () => {
    const queue = queueFrom(start);
    const room = fill(queue);
    for (let round = 0; round < 20; round++) {
      const [oldest, ...rest] = claimAll(queue);
      // A fixed shuffle.
      rest.sort((a, b) => (a.slot * 7919) % 1009 - (b.slot * 7919) % 1009);
      for (const record of rest) queue.giveBack(record);
      assertEquals(queue.push(0, 0, 0, 0, new Bytes(MAX_INLINE_BYTES)), false, "the oldest is still being read");
      assert(isFilled(queue.memory, oldest.offset, oldest.byteLength, oldest.slot & 255), "the oldest is untouched");
      queue.giveBack(oldest);
      const again = fill(queue);
      // What is skipped at the end of the memory can cost one.
      assert(Math.abs(again - room) <= 1, `${again} of ${room} records fit again`);
    }
  });

  test(`TaskQueue from position ${start}: push() counts what it must skip at the end as taken`, () => {
    const queue = queueFrom(start);
    // Before the oldest record lies room for one of its size, and at the end there is some that is too small.
    const size = 1008;
    const all: TaskRecord[] = [];
    for (let i = 0; queue.push(i, 0, 0, 0, new Bytes(size, i)); i++);
    all.push(...claimAll(queue));
    queue.giveBack(all.shift()!);
    let pushed = 0;
    for (let more = 64; more > 0; more -= 8) {
      if (queue.push(1000, 0, 0, 0, new Bytes(size + more, 0xEE))) pushed++;
    }
    for (const { slot, offset, byteLength } of all) {
      assert(isFilled(queue.memory, offset, byteLength, slot & 255), `record ${slot} after ${pushed} more`);
    }
  });

  test(`ResultRing from position ${start}: FIFO through many rounds, full and empty`, () => {
    const ring = ringFrom(start);
    let pushed = 0;
    let received = 0;
    assertEquals(ring.peek(), undefined);
    while (received < 20_000) {
      while (ring.push(pushed, 4, new Bytes(sizeOf(pushed), pushed), pushed + 5)) pushed++;
      assert(pushed > received, "an empty ring takes something");
      const most = received + 1 + (received % 40);
      for (; received < Math.min(pushed, most); received++) {
        const record = ring.peek();
        assertRecord(ring, record, received, sizeOf(received));
        assertEquals(ring.peek(), record, "it stays until drop()");
        assertEquals([record!.encoding, record!.type, record!.detail], [3, 4, received + 5]);
        ring.drop();
      }
    }
    for (; received < pushed; received++) {
      assertRecord(ring, ring.peek(), received, sizeOf(received));
      ring.drop();
    }
    assertEquals(ring.peek(), undefined);
  });
}

/** Claims all that is queued. */
function claimAll(queue: TaskQueue): TaskRecord[] {
  const records: TaskRecord[] = [];
  for (let record = queue.claim(); record !== undefined; record = queue.claim()) records.push(record);
  return records;
}

/** Sizes of all kinds, the largest now and then. */
function sizeOf(i: number): number {
  return i % 97 === 0 ? MAX_INLINE_BYTES : (i * 37) % 700;
}

/** Pushes records of 1000 bytes until none fits; returns how many did. */
function fill(queue: TaskQueue): number {
  let count = 0;
  while (queue.push(count, 0, 0, 0, new Bytes(1000, count))) count++;
  return count;
}

test("ResultRing.push() uses the whole ring, and keeps what the owner still looks at", () => {
  const ring = ringFrom(0);
  const size = 1000;
  const fits = Math.floor(RING_BYTES / (size + HEADER_BYTES));
  for (let i = 0; i < fits; i++) assert(ring.push(i, 0, new Bytes(size, i)), `result ${i}`);
  assertEquals(ring.push(fits, 0, new Bytes(size)), false);
  const first = ring.peek()!;
  assertEquals(ring.push(fits, 0, new Bytes(size)), false, "peek() gives nothing back");
  assertRecord(ring, first, 0, size);
  ring.drop();
  assertEquals(ring.push(fits, 0, new Bytes(size, fits)), true);
  assertEquals(ring.push(fits, 0, new Bytes(size)), false);
});

test("ResultRing: posted results are counted by the consumer and by the owner, beyond the limit of 32 bits", () => {
  const buffer = ResultRing.create();
  const consumer = new ResultRing(buffer);
  const owner = new ResultRing(buffer);
  assertEquals(owner.hasPosted(), false);
  consumer.countPosted();
  consumer.countPosted();
  assertEquals(owner.hasPosted(), true);
  owner.countReceived();
  assertEquals(owner.hasPosted(), true);
  owner.countReceived();
  assertEquals(owner.hasPosted(), false);
});

test("TaskQueue.finished counts modulo 2^32, and differences stay right", () => {
  const memory = createPoolMemory(1);
  const queue = new TaskQueue(memory);
  new Int32Array(memory.buffer)[FINISHED] = 2 ** 31 - 2;
  const before = queue.finished;
  for (let i = 0; i < 5; i++) queue.countFinished();
  assertEquals((queue.finished - before) | 0, 5);
});

for (const start of [0, 2 ** 31 - 64]) {
  test(`TaskQueue from position ${start}: three threads claim each of 60,000 records exactly once`, async () => {
    const COUNT = 60_000;
    const memory = createPoolMemory(3);
    startAt(memory, start);
    const queue = new TaskQueue(memory);
    const seen = new Uint8Array(new SharedArrayBuffer(COUNT));
    const totals = new Float64Array(new SharedArrayBuffer(3 * 8));
    const done = new Int32Array(new SharedArrayBuffer(4));
    const workers = [0, 1, 2].map(() => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }));
    try {
      const answers = workers.map((worker, index) => {
        const answer = new Promise<unknown>((resolve) => worker.onmessage = ({ data }) => resolve(data));
        worker.postMessage({ part: "claim", memory, seen, totals, index, done });
        return answer;
      });
      let expected = 0;
      const end = performance.now() + BOUND;
      for (let i = 0; i < COUNT;) {
        const size = i % 1000 === 0 ? MAX_INLINE_BYTES : i % 50;
        if (queue.push(0, i, 0, 0, new Bytes(size, i & 255))) {
          expected += i + size;
          i++;
        } else {
          if (performance.now() > end) break;
          pause(0.1);
        }
      }
      Atomics.store(done, 0, 1);
      assertEquals(await within(Promise.all(answers)), ["ok", "ok", "ok"]);
      assertEquals(totals[0] + totals[1] + totals[2], expected);
      assertEquals(seen.indexOf(0), -1, "each record was claimed");
      assert(queue.isEmpty());
    } finally {
      Atomics.store(done, 0, 1);
      for (const worker of workers) worker.terminate();
    }
  });
}
