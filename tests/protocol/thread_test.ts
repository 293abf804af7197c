/** A thread of a pool, by what it reads and writes in shared memory: its owner is this test. */
import { assert, assertEquals } from "@std/assert";
import { createBell } from "../../futures/bell.ts";
import { NO_SLOT, RecordType, TaskFlag, TaskState } from "../../executors/_queue/protocol.ts";
import { ResultRing } from "../../executors/_queue/ring.ts";
import { createPoolMemory, TaskQueue } from "../../executors/_queue/task_queue.ts";
import type { ThreadStart } from "../../executors/threads/_thread_worker.ts";
import { decodeValue, encodeArguments, encodeItems } from "../../executors/_values/codec.ts";
import { Encoded } from "../../executors/_values/encoded.ts";
import { test, until } from "../_helpers.ts";
import { startWith } from "./_kit.ts";

const MODULE = import.meta.resolve("./tasks.ts");
const FUNCTIONS = ["walk", "run", "linger", "lastUntil", "sayWhatExits"] as const;
const THREAD = import.meta.resolve("../../executors/threads/_thread_worker.ts");

type Heard = [slot: number, type: number, value: unknown];

/** One thread, and what it has published. */
class Thread implements Disposable {
  readonly queue: TaskQueue;
  readonly heard: Heard[] = [];
  readonly #results: ResultRing;
  readonly #worker: Worker;
  readonly #channel = new MessageChannel();
  readonly #shared = new Map<SharedArrayBuffer, number>();

  constructor() {
    const memory = createPoolMemory(1);
    const results = ResultRing.create();
    this.queue = new TaskQueue(memory);
    this.#results = new ResultRing(results);
    this.#worker = new Worker(THREAD, { type: "module", name: "thread" });
    const definitions = FUNCTIONS.map((name) => ({ how: "reference", name, module: MODULE, path: name } as const));
    const { port2: port } = this.#channel;
    const consumer = startWith({ memory, results, port, bell: createBell(), definitions });
    const start: ThreadStart = { ...consumer, initializer: undefined };
    this.#worker.postMessage(start, [this.#channel.port2]);
  }

  submit(slot: number, name: typeof FUNCTIONS[number], ...args: unknown[]): void {
    this.#push(slot, name, 0, encodeArguments(args, { root: "args", sameProcess: true }));
  }

  /** Calls the function with each list of arguments, as one task. */
  submitChunk(slot: number, name: typeof FUNCTIONS[number], ...lists: unknown[][]): void {
    this.#push(slot, name, TaskFlag.CHUNK, encodeItems(lists, { root: "args", sameProcess: true }));
  }

  #push(slot: number, name: typeof FUNCTIONS[number], flags: number, payload: Encoded): void {
    payload.sharedIds = payload.shared.map((memory) => {
      const id = this.#shared.get(memory) ?? this.#shared.size;
      this.#shared.set(memory, id);
      this.#worker.postMessage({ type: "share", id, memory });
      return id;
    });
    Atomics.store(this.queue.slots, slot, TaskState.PENDING);
    assert(this.queue.push(slot, FUNCTIONS.indexOf(name), payload.encoding, flags, payload));
    this.queue.parking.wake();
  }

  #collect(): void {
    const { heard } = this;
    const results = this.#results;
    for (let record = results.peek(); record !== undefined; record = results.peek()) {
      const { slot, type, encoding, offset, byteLength } = record;
      heard.push([slot, type, decodeValue(Encoded.read(encoding, results.memory, offset, byteLength))]);
      results.drop();
    }
    assert(!results.hasPosted(), "all of this is small");
    assert(!heard.some(([slot]) => slot === NO_SLOT), `the thread cannot go on: ${heard}`);
  }

  /** What it has published when a task has ended. */
  async end(slot: number): Promise<Heard[]> {
    return await this.hears(([of, type]) => of === slot && (type === RecordType.VALUE || type === RecordType.ERROR));
  }

  /** What it has published when there is something of a kind. */
  async hears(isIt: (heard: Heard) => boolean): Promise<Heard[]> {
    await until(() => {
      this.#collect();
      return this.heard.some(isIt);
    }, "what the thread has to say");
    return this.heard;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
    this.#channel.port1.close();
  }
}

test("progress() of a thread's task arrives before its result, with turns of the event loop or without", async () => {
  for (const name of ["walk", "run"] as const) {
    using thread = new Thread();
    thread.submit(5, name, ...(name === "walk" ? [undefined] : []), 1, "two", { three: 3 }, "done");
    assertEquals(await thread.end(5), [
      [5, RecordType.PROGRESS, 1],
      [5, RecordType.PROGRESS, "two"],
      [5, RecordType.PROGRESS, { three: 3 }],
      [5, RecordType.VALUE, "done"],
    ]);
  }
});

test("progress() is of the chunk whose item calls it", async () => {
  using thread = new Thread();
  thread.submitChunk(6, "walk", [1, undefined, "one"], [2, "two"]);
  const heard = await thread.end(6);
  assertEquals(heard.slice(0, 2), [[6, RecordType.PROGRESS, 1], [6, RecordType.PROGRESS, 2]]);
});

test("progress() of a task that is done is heard of no other one", async () => {
  using thread = new Thread();
  // One after the other: what tells them apart is loaded by the first timer.
  thread.submit(1, "walk", undefined, undefined, "warm");
  await thread.end(1);
  const words = new Int32Array(new SharedArrayBuffer(8));
  thread.submit(2, "linger", words);
  await thread.end(2);
  thread.submit(3, "lastUntil", words);
  await until(() => Atomics.load(thread.queue.slots, 3) === TaskState.RUNNING, "the next task");
  const before = Atomics.load(words, 1);
  await until(() => Atomics.load(words, 1) > before + 3, "the timer of the first one");
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  const heard = await thread.end(3);
  assertEquals(heard.filter(([, type]) => type === RecordType.PROGRESS), []);
});

test("progress() of what cannot cross fails where it is called, and of what ends the task is not heard", async () => {
  using thread = new Thread();
  thread.submit(1, "run", new SharedArrayBuffer(8), "done");
  const [[slot, type, error]] = await thread.end(1);
  assertEquals([slot, type, (error as Error).name], [1, RecordType.ERROR, "SerializationError"]);
  thread.submit(2, "sayWhatExits");
  const heard = (await thread.end(2)).slice(1);
  assertEquals(heard.map(([slot, type, error]) => [slot, type, (error as Error).name]), [
    [2, RecordType.ERROR, "TaskExitError"],
  ]);
});
