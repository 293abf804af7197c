/** {@linkcode ProcessPoolExecutor}: a large value of `repeat()` goes to each process once, and is forgotten. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { BrokenProcessPool, ProcessPoolExecutor, repeat } from "@concurrent/futures";
import { BOUND, Gate, test, within } from "../_helpers.ts";
import { range } from "../behaviour/map.ts";
import {
  bytesRead,
  bytesReadAtGate,
  killSelfAtNumber,
  lengthAnd,
  passGateWith,
  rssWith,
} from "../fixtures/map_tasks.ts";
import { passGate, square } from "../fixtures/tasks.ts";

const SIZE = 2 ** 20;

/** Has all processes of a pool run a task, at the same time. */
async function onEach<T>(pool: ProcessPoolExecutor, workers: number, task: (gate: string) => T) {
  using gate = new Gate();
  const held = range(workers).map(() => pool.submit(task, gate.path));
  await gate.arrived(workers);
  gate.open();
  return await within(Promise.all(held));
}

/** Has all processes of a pool run two tasks: before the second one they start a thread, and others get what comes. */
async function started(pool: ProcessPoolExecutor, workers: number): Promise<ProcessPoolExecutor> {
  for (let i = 0; i < 2; i++) await onEach(pool, workers, passGate);
  return pool;
}

test("ProcessPoolExecutor.map() over repeat(): a large value is sent to each process once", async () => {
  using pool = await started(new ProcessPoolExecutor(2), 2);
  const value = new Uint8Array(SIZE).fill(7);
  /** How many bytes each process that ran items of a map has read with them. */
  const bytesOf = async (input: Iterable<Uint8Array>, options: { chunksize?: number; buffersize?: number }) => {
    // Of each process, also one that a busy machine gives no item of a map.
    const before = new Map(await onEach(pool, 2, bytesReadAtGate));
    const after = new Map(pool.map(bytesRead, input, range(200), options));
    return [...after].map(([pid, bytes]) => bytes - before.get(pid)!);
  };
  for (const options of [{}, { chunksize: 1 }, { chunksize: 9, buffersize: 20 }]) {
    for (const read of await bytesOf(repeat(value), options)) {
      assert(read >= SIZE && read < 2 * SIZE, `${read} bytes for a value of ${SIZE}, ${Deno.inspect(options)}`);
    }
  }
  // A list of equal values is not that cheap, so this counts: each of its 8 chunks has the value once.
  const all = (await bytesOf(Array(40).fill(value), { chunksize: 5 })).reduce((sum, read) => sum + read, 0);
  assert(all >= 8 * SIZE, `${all} bytes for 8 chunks`);
}, { linuxOnly: true });

test("ProcessPoolExecutor.map() over repeat(): processes forget the value", () => {
  using pool = new ProcessPoolExecutor(1);
  const size = 16 * 2 ** 20;
  let most = 0;
  for (let i = 0; i < 16; i++) {
    const [rss] = pool.map(rssWith, repeat(new Uint8Array(size).fill(i), 1));
    most = Math.max(most, rss);
  }
  assert(most < 12 * size, `a process holds ${most} bytes after 16 values of ${size}`);
});

test("ProcessPoolExecutor.map() over repeat(): each new process gets the value", () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 2, maxTasksPerChild: 1 });
  const results = pool.map(lengthAnd, repeat("x".repeat(SIZE)), range(5), { chunksize: 1 });
  assertEquals([...results], range(5).map((n) => [SIZE, n]));
});

test("ProcessPoolExecutor.map() over repeat(): a process dies, and the next one gets the value", () => {
  using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash: "replace" });
  const results = [...pool.map(killSelfAtNumber, repeat("x".repeat(SIZE)), range(5), repeat(2), {
    chunksize: 1,
    settled: true,
  })];
  assertEquals(results.map(({ status }) => status), ["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
  assertInstanceOf((results[2] as PromiseRejectedResult).reason, BrokenProcessPool);
  assertEquals(results[4], { status: "fulfilled", value: SIZE + 4 });
});

test("ProcessPoolExecutor.map() over repeat(): cancelled tasks hold nothing up afterwards", async () => {
  using pool = await started(new ProcessPoolExecutor(1), 1);
  for (let round = 0; round < 3; round++) {
    using gate = new Gate();
    const results = pool.map(passGateWith, repeat("x".repeat(SIZE)), repeat(gate.path), range(30), { chunksize: 1 });
    await gate.arrived();
    // Those that wait are in the queue, or with the broker, which find out later that they are cancelled.
    results.return();
    const next = pool.map(lengthAnd, repeat("y".repeat(SIZE)), range(3), { chunksize: 1 });
    gate.open();
    assertEquals([...next], range(3).map((n) => [SIZE, n]));
    assertEquals(pool.submit(square, 3).result(BOUND), 9);
  }
});
