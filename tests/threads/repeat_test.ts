/** {@linkcode ThreadPoolExecutor}: a large value of `repeat()` goes to each thread once, and is forgotten. */
import { assert, assertEquals } from "@std/assert";
import { repeat, ThreadPoolExecutor } from "@concurrent/futures";
import { BOUND, Gate, outputOf, test, until, within } from "../_helpers.ts";
import { range } from "../behaviour/map.ts";
import { lengthAnd } from "../fixtures/map_tasks.ts";
import { echo, passGate, square } from "../fixtures/tasks.ts";

/** More than the memory of a pool, which is counted, too, when it is as large. */
const SIZE = 3 * 2 ** 19;

/** What a message says, as far as the tests look at it. */
type Message = { type?: string; bound?: unknown } | undefined;

/** Counts what this thread tells its workers, and the shared memory that it makes. */
class Counter implements Disposable {
  readonly messages: { worker: Worker; message: Message }[] = [];
  /** How large the pieces of memory are that are as large as the value, or larger. */
  readonly large: number[] = [];
  readonly #postMessage = Worker.prototype.postMessage;
  readonly #SharedArrayBuffer = SharedArrayBuffer;

  constructor() {
    const { messages, large } = this;
    const postMessage = this.#postMessage as (this: Worker, ...args: unknown[]) => void;
    Worker.prototype.postMessage = function (this: Worker, ...args: unknown[]) {
      messages.push({ worker: this, message: args[0] as Message });
      for (const bytes of buffersIn(args[0])) if (bytes >= SIZE) large.push(bytes);
      postMessage.apply(this, args);
    };
    globalThis.SharedArrayBuffer = new Proxy(SharedArrayBuffer, {
      construct(target, args) {
        if (args[0] >= SIZE) large.push(args[0]);
        return new target(...args as [number]);
      },
    });
  }

  /** How many messages of a type each worker got. */
  perWorker(type: string): number[] {
    const of = (worker: Worker) =>
      this.messages.filter((each) => each.worker === worker && each.message?.type === type);
    return [...new Set(this.messages.map(({ worker }) => worker))].map((worker) => of(worker).length);
  }

  [Symbol.dispose](): void {
    Worker.prototype.postMessage = this.#postMessage;
    globalThis.SharedArrayBuffer = this.#SharedArrayBuffer;
  }
}

/** How many bytes the buffers of a message have that are copied or moved with it. */
function buffersIn(value: unknown, depth = 0): number[] {
  if (value instanceof ArrayBuffer) return [value.byteLength];
  if (typeof value !== "object" || value === null || depth > 4) return [];
  return Object.values(value).flatMap((each) => buffersIn(each, depth + 1));
}

async function started(): Promise<ThreadPoolExecutor> {
  const pool = new ThreadPoolExecutor(2);
  using gate = new Gate();
  const held = [1, 2].map(() => pool.submit(passGate, gate.path));
  await gate.arrived(2);
  gate.open();
  await within(Promise.all(held));
  return pool;
}

test("ThreadPoolExecutor.map() over repeat(): a large value is in memory once, each thread told once", async () => {
  await using pool = await started();
  const value = new Uint8Array(SIZE).fill(7);
  const expected = range(200).map((n) => [SIZE, n]);
  for (const options of [{}, { chunksize: 1 }, { chunksize: 9, buffersize: 20 }, { ordered: false }]) {
    using counter = new Counter();
    const results = [...pool.map(lengthAnd, repeat(value), range(200), options)];
    assertEquals(results.sort((a, b) => Number(a[1]) - Number(b[1])), expected);
    assertEquals(counter.perWorker("bind"), [1, 1]);
    assertEquals(counter.large.length, 1, `pieces of ${counter.large}`);
    await until(() => counter.perWorker("unbind").every((count) => count === 1), "they are told to forget it");
  }
  // A list of equal values is not that cheap, so the counter counts.
  using counter = new Counter();
  for (const _ of pool.map(lengthAnd, Array(200).fill(value), range(200), { chunksize: 50 }));
  assert(counter.large.length > 3, `${counter.large.length}`);
});

test("ThreadPoolExecutor.map() over repeat(): threads that are started later know the value", async () => {
  const value = "x".repeat(SIZE);
  using counter = new Counter();
  await using pool = new ThreadPoolExecutor(2);
  using gate = new Gate();
  const results = pool.map(passGate<unknown>, repeat(gate.path), repeat(value, 2), { chunksize: 1 });
  await gate.arrived(2);
  const starts = counter.messages.filter(({ message }) => message?.type === undefined);
  assertEquals(starts.map(({ message }) => (message!.bound as Map<number, unknown>).size), [1, 1]);
  assertEquals(counter.perWorker("bind"), [0, 0]);
  gate.open();
  assertEquals([...results], [value, value]);
  const later = new ThreadPoolExecutor(2);
  await within(Array.fromAsync(later.map(lengthAnd, repeat(value), [1])));
  await within(later.shutdown());
  assert(counter.large.length <= 2, `${counter.large}`);
});

test("ThreadPoolExecutor.map() over repeat(): one that was left is forgotten when its last task is done", async () => {
  await using pool = await started();
  const value = "x".repeat(SIZE);
  using counter = new Counter();
  using gate = new Gate();
  const results = pool.map(passGate<unknown>, repeat(gate.path), repeat(value, 9), { chunksize: 1 });
  await gate.arrived(2);
  results.return();
  assertEquals(counter.perWorker("unbind"), [0, 0], "two of them run");
  gate.open();
  await until(() => counter.perWorker("unbind").every((count) => count === 1), "they have run");
  assertEquals(pool.submit(square, 3).result(BOUND), 9);
  // Nothing is bound where a function cannot be sent.
  const refused = [...pool.map(echo.bind(null), repeat(value, 2), { settled: true })];
  assertEquals(refused.map(({ status }) => status), ["rejected", "rejected"]);
  assertEquals(counter.perWorker("bind"), [1, 1]);
});

test("ThreadPoolExecutor.map() over repeat(): what nobody reads any more is forgotten", async () => {
  const { told } = await outputOf("repeat_forgotten.ts", [], { flags: ["-A", "--v8-flags=--expose-gc"] });
  assertEquals(told, ["bind", "unbind"]);
});
