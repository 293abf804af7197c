/**
 * What only shows in a whole pool: who tells the owner that there is room again, and how the event loop gets its turns.
 *
 * Over 400 lines: what a whole pool takes to show, with the tools that break it.
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  BrokenThreadPool,
  type Executor,
  Future,
  ProcessPoolExecutor,
  SerializationError,
  ShutdownError,
  TaskNotFoundError,
  ThreadPoolExecutor,
  transfer,
} from "@concurrent/futures";
import { ClusterExecutor } from "../../executors/cluster/cluster_executor.ts";
import { TaskQueue } from "../../executors/_queue/task_queue.ts";
import { type FutureOwner, internals } from "../../futures/future.ts";
import { ring } from "../../futures/bell.ts";
import { addSource, bell, deliverNow, describeSources, removeSource } from "../../futures/wakeup.ts";
import {
  bestOf,
  BOUND,
  Gate,
  liveWorkers,
  memoryOfNewestPool,
  outputOf,
  pause,
  spin,
  startedWorkers,
  test,
  until,
  untilSync,
  within,
} from "../_helpers.ts";
import { add, compute, lengthOf, passGate, repeat } from "../fixtures/tasks.ts";
import { awaitWord } from "../fixtures/thread_tasks.ts";
import { atEachStep, Interruption } from "./_kit.ts";
import { holdAfterReply, sayProgress, stamp } from "./tasks.ts";

/** How long a task may take that takes no time, in milliseconds: one that nobody publishes is noticed after it. */
const SOON = 3_000;

/** A text of which some hundred fill the queue. */
const TEXT = "x".repeat(5000);

function closePort(port: MessagePort): string {
  port.close();
  return "closed";
}

/** Submits a task that can go only by message, to a worker that is idle. */
function submitPort(pool: ThreadPoolExecutor): Future<string> {
  const { port1, port2 } = new MessageChannel();
  port1.close();
  return pool.submit(closePort, transfer(port2, [port2]));
}

/** Some turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

for (const how of ["blocked", "awaited"]) {
  const get = async <T>(future: Future<T>, what: string): Promise<T> =>
    how === "blocked" ? future.result(SOON) : await within(future, what, SOON) as T;

  test(`a task that found the queue full is run when all before it are cancelled, ${how}`, async () => {
    using pool = new ThreadPoolExecutor(1);
    const futures = Array.from({ length: 300 }, () => pool.submit(lengthOf, TEXT));
    const last = futures.pop()!;
    // The worker is still starting: it will find nothing but cancelled tasks.
    for (const future of futures) future.cancel();
    assertStrictEquals(await get(last, "the last task"), TEXT.length);
  });

  test(`a task that found the queue full is run when all before it are cancelled behind a gate, ${how}`, async () => {
    using pool = new ThreadPoolExecutor(1);
    using gate = new Gate();
    const first = pool.submit(passGate, gate.path, 1);
    await gate.arrived();
    const futures = Array.from({ length: 300 }, () => pool.submit(lengthOf, TEXT));
    const last = futures.pop()!;
    for (const future of futures) future.cancel();
    gate.open();
    assertStrictEquals(await get(last, "the last task"), TEXT.length);
    assertStrictEquals(first.result(0), 1);
  });

  test(`a task that waits for an idle worker gets it whenever the one before ends, ${how}`, async () => {
    using pool = new ThreadPoolExecutor(1);
    // Also longer than a worker's turn, after which it gives its event loop a turn.
    for (const ms of [0, 0.02, 0.05, 0.1, 1, 11, 0, 0]) {
      for (let round = 0; round < 5; round++) {
        const before = pool.submit(compute, ms);
        const waits = submitPort(pool);
        assertStrictEquals(await get(waits, `a task after one of ${ms} ms`), "closed");
        await before;
      }
    }
  });

  test(`a task that waits for an idle worker gets it when the one before is cancelled, ${how}`, async () => {
    for (let round = 0; round < 5; round++) {
      using pool = new ThreadPoolExecutor(1);
      const before = pool.submit(add, 1, 2);
      const waits = submitPort(pool);
      before.cancel();
      assertStrictEquals(await get(waits, "a task after a cancelled one"), "closed");
    }
  });
}

test("a small task behind large ones that found the queue full is published when those are cancelled", async () => {
  using pool = new ThreadPoolExecutor(1);
  using gate = new Gate();
  const first = pool.submit(passGate, gate.path, 1);
  await gate.arrived();
  const large = Array.from({ length: 300 }, () => pool.submit(lengthOf, TEXT));
  const small = pool.submit(add, 1, 2);
  for (const future of large) future.cancel();
  await turns(3);
  gate.open();
  // The worker comes to it although this thread neither yields nor looks.
  await bestOf(10, () => {
    spin(50);
    assert(small.done(), "it is published and has run");
  });
  assertEquals([first.result(0), small.result(0)], [1, 3]);
});

test("a task overtakes none, though it would find room or a worker that the one before did not", async () => {
  // Small ones go through the queue until it is full; large ones could be given to the worker, which is still starting.
  for (const sizes of [[10, 100_000, 10, 100_000], [...new Array(300).fill(5000), 10, 5000, 10]]) {
    using pool = new ThreadPoolExecutor(1);
    const words = new Int32Array(new SharedArrayBuffer(4 * (sizes.length + 1)));
    const futures = sizes.map((size, i) => pool.submit(stamp, words, i + 1, "x".repeat(size)));
    for (const future of futures) await within(future, "a task", SOON);
    assertEquals([...words.subarray(1)], sizes.map((_, i) => i + 1));
  }
});

test("Future.cancel(): whenever a worker starts the task meanwhile, exactly one of them wins", async () => {
  using pool = new ThreadPoolExecutor(1);
  const results = new Set<boolean>();
  await atEachStep((at) => {
    const gate = new Int32Array(new SharedArrayBuffer(8));
    const words = new Int32Array(new SharedArrayBuffer(8)).fill(1, 0, 1);
    const first = pool.submit(awaitWord, gate);
    untilSync(() => gate[1] === 1, "the worker at the gate");
    const second = pool.submit(awaitWord, words);
    const last = new Int32Array(new SharedArrayBuffer(8)).fill(1, 0, 1);
    const third = pool.submit(awaitWord, last, 3);
    const open = () => {
      gate[0] = 1;
      Atomics.notify(gate, 0);
    };
    const interruption = new Interruption(at, () => {
      open();
      // Until the worker has come to the second task, or past it.
      untilSync(() => words[1] === 1 || last[1] === 1, "the worker at the next task");
    });
    const cancelled = second.cancel();
    const { happened } = interruption;
    interruption[Symbol.dispose]();
    open();
    assertStrictEquals(third.result(SOON), 3);
    first.result(0);
    assertStrictEquals(words[1] === 1, !cancelled, `at step ${at}: cancel() says ${cancelled}`);
    results.add(cancelled);
    return happened;
  });
  assertEquals(results.size, 2);
});

test("tasks that wait for an idle worker are run in their order among the others", async () => {
  using pool = new ThreadPoolExecutor(2);
  const futures = Array.from({ length: 40 }, (_, i) => i % 4 === 0 ? submitPort(pool) : pool.submit(add, i, 1));
  for (const [i, future] of futures.entries()) {
    assertStrictEquals(await within(future as Future<unknown>, `task ${i}`, SOON), i % 4 === 0 ? "closed" : i + 1);
  }
});

test("a pool starts no second worker while the first has finished all, also when nothing was collected", async () => {
  using pool = new ThreadPoolExecutor(4);
  const before = startedWorkers();
  // The first tasks of a worker take longer.
  for (let i = 0; i < 5; i++) await pool.submit(add, i, 1);
  const queue = new TaskQueue(memoryOfNewestPool());
  for (let i = 0; i < 10; i++) {
    void pool.submit(add, i, 1);
    untilSync(() => queue.finished === 6 + i, "a task that is finished without the owner's looking");
  }
  assertStrictEquals(startedWorkers() - before, 1);
});

test("a future of another thread settles once, and keeps its first outcome", () => {
  const owner: FutureOwner = { peek: () => "running", revoke: () => false, collect: () => {} };
  const future = internals.create(owner);
  const calls: unknown[] = [];
  future.addDoneCallback((done) => calls.push(done.result(0)));
  internals.settle(future, true, 1);
  internals.settle(future, false, new Error("late"));
  assertEquals(calls, [], "callbacks are called later");
  deliverNow();
  deliverNow();
  assertEquals([calls, future.result(0)], [[1], 1]);
});

test("the callbacks of a settled future are called although nothing else is listened to", async () => {
  // With no source, the event loop does not listen again after this.
  ring(bell);
  await turns(3);
  const future = internals.create({ peek: () => "running", revoke: () => false, collect: () => {} });
  const called = new Promise<void>((resolve) => future.addDoneCallback(() => resolve()));
  internals.settle(future, true, 1);
  await within(called, "the callback", SOON);
});

test("the event loop turns between the callbacks of many futures, and calls all once and in order", async () => {
  const COUNT = 2_000;
  const owner: FutureOwner = { peek: () => "running", revoke: () => false, collect: () => {} };
  const called: number[] = [];
  let before = -1;
  const timer = new Promise<void>((resolve) =>
    setTimeout(() => {
      before = called.length;
      resolve();
    }, 0)
  );
  const all = Promise.withResolvers<void>();
  for (let i = 0; i < COUNT; i++) {
    const future = internals.create(owner);
    future.addDoneCallback(() => {
      spin(0.02);
      if (called.push(i) === COUNT) all.resolve();
    });
    internals.settle(future, true, i);
  }
  await within(all.promise, "all callbacks", SOON);
  await timer;
  assertEquals(called, Array.from({ length: COUNT }, (_, i) => i));
  assert(before < COUNT, "a timer that was due came before the last callback");
});

test("a source that has more than one turn's work is asked again, with timers in between", async () => {
  let [rounds, fired] = [0, 0];
  const all = Promise.withResolvers<void>();
  const timer = setInterval(() => fired++, 0);
  const source = {
    collect(until: number) {
      while (performance.now() < until && until !== Infinity);
      if (++rounds === 10) all.resolve();
      return rounds < 10;
    },
    describe: () => `rounds=${rounds}`,
  };
  addSource(source);
  const future = internals.create({ peek: () => "running", revoke: () => false, collect: () => {} });
  future.addDoneCallback(() => {});
  internals.settle(future, true, 1);
  try {
    await within(all.promise, "ten turns", SOON);
  } finally {
    clearInterval(timer);
    removeSource(source);
  }
  assert(fired > 3, `${fired} timers between 10 turns`);
});

test("a callback that blocks calls those after it, each once", async () => {
  const owner: FutureOwner = { peek: () => "running", revoke: () => false, collect: () => {} };
  const called: number[] = [];
  const futures = Array.from({ length: 5 }, () => internals.create(owner));
  const all = Promise.withResolvers<void>();
  futures.forEach((future, i) => {
    future.addDoneCallback(() => {
      called.push(i);
      if (i === 1) deliverNow();
      if (called.length >= 5) all.resolve();
    });
  });
  futures.forEach((future, i) => internals.settle(future, true, i));
  await within(all.promise, "five callbacks", BOUND);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(called, [0, 1, 2, 3, 4]);
});

test("a callback that blocks and then settles a future leaves none out", async () => {
  const owner: FutureOwner = { peek: () => "running", revoke: () => false, collect: () => {} };
  const [one, two] = [internals.create(owner), internals.create(owner)];
  const called = new Promise<void>((resolve) => two.addDoneCallback(() => resolve()));
  one.addDoneCallback(() => {
    deliverNow();
    internals.settle(two, true, 2);
  });
  internals.settle(one, true, 1);
  await within(called, "the callback of the future that a callback settled", SOON);
});

test("a task that waits for an idle worker gets it, whenever that comes to rest during submit()", async () => {
  using pool = new ThreadPoolExecutor(1);
  const words = new Int32Array(new SharedArrayBuffer(4)).fill(1);
  // Once, so that it is loaded.
  await pool.submit(holdAfterReply, words);
  await atEachStep(async (at) => {
    words[0] = 0;
    // Its result has been collected, so nothing is under way that would ring.
    await within(pool.submit(holdAfterReply, words), "a task", SOON);
    await turns(3);
    const interruption = new Interruption(at, () => {
      Atomics.store(words, 0, 1);
      Atomics.notify(words, 0);
      pause(2);
    });
    const waits = submitPort(pool);
    const { happened } = interruption;
    interruption[Symbol.dispose]();
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    assertStrictEquals(await within(waits, `a task whose worker came to rest at step ${at}`, SOON), "closed");
    return happened;
  });
});

test("callbacks that were added before a future settled come before one that is added after, each once", () => {
  const owner: FutureOwner = { peek: () => "running", revoke: () => false, collect: () => {} };
  const future = internals.create(owner);
  const called: string[] = [];
  future.addDoneCallback(() => called.push("before"));
  internals.settle(future, true, 1);
  future.addDoneCallback(() => called.push("after"));
  assertEquals(called, ["before", "after"]);
  deliverNow();
  assertEquals(called, ["before", "after"]);
});

test("a due callback may complete the future that result() without a timeout is called on", () => {
  const owner: FutureOwner = { peek: () => "running", revoke: () => false, collect: () => {} };
  const bare = new Future<number>();
  const other = internals.create(owner);
  other.addDoneCallback(() => bare.setResult(5));
  internals.settle(other, true, 1);
  assertStrictEquals(bare.result(), 5);
});

const KINDS: [name: string, make: (options?: object) => Executor][] = [
  ["ThreadPoolExecutor", (options) => new ThreadPoolExecutor({ maxWorkers: 1, ...options })],
  ["ProcessPoolExecutor", (options) => new ProcessPoolExecutor({ maxWorkers: 1, ...options })],
  ["ClusterExecutor", () => new ClusterExecutor()],
];

// ---- the control of tasks -----------------------------------------------------------------------------------------

test("what a thread's task says of its progress is heard while the owner blocks", () => {
  using pool = new ThreadPoolExecutor(1);
  const words = new Int32Array(new SharedArrayBuffer(4));
  const future = pool.submit(sayProgress, words);
  const heard: unknown[] = [];
  future.addProgressCallback((value) => {
    heard.push(value);
    // Only then the task goes on.
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
  });
  future.addProgressCallback((value) => heard.push(value));
  assertMatch(future.result(SOON), /ok|not-equal/);
  assertEquals(heard, [{ percent: 50 }, { percent: 50 }, "nearly there", "nearly there"]);
});

// ---- what is looked at first --------------------------------------------------------------------------------------

/** A function that cannot be sent: it is native, and bound. */
const native = Math.max.bind(null) as (x: unknown) => number;

for (const [name, make] of KINDS) {
  test(`${name} looks at the function before anything of the arguments moves`, async () => {
    const { buffer } = new Uint8Array(8);
    const argument = { x: transfer(buffer, [buffer]) };
    using pool = make();
    assertInstanceOf(pool.submit(native, argument).exception(SOON), TaskNotFoundError);
    for (const chunksize of [1, 2]) {
      const results = pool.map(native, [argument, argument], { chunksize });
      assertThrows(() => results.next(), TaskNotFoundError);
    }
    assertThrows(() => pool.submit(1 as unknown as typeof native, argument), TypeError);
    assertStrictEquals(buffer.byteLength, 8, "nothing has moved");
    await pool.shutdown();
    assertThrows(() => pool.submit(lengthOf, argument as unknown as string), ShutdownError);
    assertThrows(() => pool.map(lengthOf, [argument as unknown as string]).next(), ShutdownError);
    assertStrictEquals(buffer.byteLength, 8, "nothing has moved to a pool that is shut down");
    if (name === "ClusterExecutor") return;
    const initialized = make({ initializer: native, initargs: [argument] });
    assertStrictEquals(buffer.byteLength, 8, "nothing has moved to an initializer that cannot be sent");
    const failed = initialized.submit(add, 1, 2).exception(SOON) as Error;
    assertInstanceOf(failed.cause, TaskNotFoundError);
    await initialized.shutdown();
  });
}

// ---- what fails on the way to the consumers -----------------------------------------------------------------------

/** Says that nothing is left of tasks that failed. */
function assertWhole(pool: Executor): void {
  assertStrictEquals(pool.submit(add, 1, 2).result(SOON), 3);
  for (const state of describeSources()) {
    assertMatch(state, /unsettled=0 waiting=0 .*slots: pending=0 prefetched=0 running=0 done=0 cancelled=0/s);
  }
}

/** Replaces a property while a block runs. */
function replaced<T extends object, K extends keyof T>(object: T, key: K, value: unknown): Disposable {
  const descriptor = Object.getOwnPropertyDescriptor(object, key)!;
  Object.defineProperty(object, key, { value, configurable: true, writable: true });
  return { [Symbol.dispose]: () => Object.defineProperty(object, key, descriptor) };
}

for (const when of ["while a worker is idle", "while none is", "behind others that wait"]) {
  test(`a task for whose arguments there is no memory fails alone, ${when}`, async () => {
    using pool = new ThreadPoolExecutor(1);
    const words = new Int32Array(new SharedArrayBuffer(8));
    await pool.submit(add, 1, 2);
    await until(() => describeSources().some((state) => state.includes("PARKED")), "an idle worker");
    const before = when === "while a worker is idle" ? [] : [pool.submit(awaitWord, words)];
    if (when === "behind others that wait") {
      before.push(...Array.from({ length: 300 }, () => pool.submit(lengthOf, TEXT) as Future<unknown>));
    }
    const failing: Future<unknown>[] = [];
    const Original = SharedArrayBuffer;
    const none = class extends Original {
      constructor(length: number) {
        if (length > 50_000) throw new RangeError("Array buffer allocation failed");
        super(length);
      }
    };
    // Where a worker is idle, it is the message that cannot be sent.
    const post = Worker.prototype.postMessage;
    const full = function (this: Worker, message: { type?: string; payload?: { text: string } }, ...rest: []) {
      if (message.payload !== undefined && message.payload.text !== "") {
        throw new RangeError("Array buffer allocation failed");
      }
      post.call(this, message, ...rest);
    };
    {
      using _none = replaced(globalThis, "SharedArrayBuffer", none);
      using _full = replaced(Worker.prototype, "postMessage", full);
      for (let i = 0; i < 3; i++) failing.push(pool.submit(lengthOf, "x".repeat(100_000)));
      Atomics.store(words, 0, 1);
      Atomics.notify(words, 0);
      for (const future of failing) {
        const error = future.exception(SOON) as SerializationError;
        assertInstanceOf(error, SerializationError);
        assertStringIncludes(error.message, "Cannot send args");
        assertInstanceOf(error.cause, RangeError);
      }
    }
    for (const future of before) future.result(SOON);
    assertWhole(pool);
    assertStrictEquals(await within(pool.submit(lengthOf, "x".repeat(100_000))), 100_000);
    assertWhole(pool);
  });
}

test("a worker whose first message cannot be sent is ended, and breaks the pool", () => {
  const pool = new ThreadPoolExecutor(1);
  const fails = () => {
    throw new DataCloneError();
  };
  let future: Future<number>;
  {
    using _fails = replaced(Worker.prototype, "postMessage", fails);
    future = pool.submit(add, 1, 2);
  }
  assertInstanceOf(future.exception(SOON), BrokenThreadPool);
  assertStrictEquals(liveWorkers(), 0);
  pool.shutdownSync();
});

class DataCloneError extends Error {}

// As a text beyond V8's limit, which a process that was taken over may send.
for (
  const [make, size] of [[() => new ThreadPoolExecutor(1), 1_000], [() => new ProcessPoolExecutor(1), 100_000]] as const
) {
  test(`a result that cannot be read fails its future alone, of ${size} characters`, () => {
    using pool = make();
    pool.submit(add, 1, 2).result(BOUND);
    const future = pool.submit(repeat, "\u00e4", size);
    untilSync(() => describeSources().some((state) => state.includes("done=1")), "a result that was not taken");
    const tooLong = () => {
      throw new RangeError("Cannot create a string longer than 0x1fffffe8 characters");
    };
    {
      using _tooLong = replaced(TextDecoder.prototype, "decode", tooLong);
      const error = future.exception(SOON);
      assertInstanceOf(error, SerializationError);
      assertInstanceOf(error.cause, RangeError);
    }
    assertWhole(pool);
  });
}

test(
  "submit() near the end of the stack returns a future that settles, or throws, and leaves nothing behind",
  async () => {
    // The program ends by itself, so nothing is held.
    const results = await outputOf("deep_submits.ts", [], { bound: 100_000 });
    for (
      const [kind, { good, failed, thrown, unexpected }] of Object.entries<Record<string, number | string>>(results)
    ) {
      assertEquals(unexpected, "", kind);
      assert(+good > 0 && +failed > 0 && +thrown > 0, `${kind}: ${good} good, ${failed} failed, ${thrown} thrown`);
    }
  },
  { bound: 120_000 },
);
