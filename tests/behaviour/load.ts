/** What must hold under load: bursts, big values, a blocked or busy main thread, a responsive event loop. */
import { assert, assertEquals, fail } from "@std/assert";
import { asCompleted, type Executor, type Future, wait, waitSync } from "@concurrent/futures";
import { bestOf, BOUND, Gate, Ledger, pause, sleep, spin, test, untilSync, within } from "../_helpers.ts";
import {
  add,
  echo,
  lengthOf,
  makeBytes,
  makeText,
  passGateLater,
  recordSlowly,
  sample,
  square,
} from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

const MIB = 1 << 20;

/** How long this thread has waited for a CPU since it began, in milliseconds. */
function waitedForCpu(): number {
  if (Deno.build.os !== "linux") return 0;
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[1]) / 1e6;
}

/** Runs batches of tasks of mixed sizes, with some that are cancelled between them; returns how many were not. */
export async function runBatches(pool: Executor, batches: number): Promise<number> {
  let tasks = 0;
  for (let batch = 0; batch < batches; batch++) {
    const size = batch % 3 === 0 ? 5 : 200;
    const futures = Array.from({ length: size }, (_, i) => {
      return pool.submit(
        echo<unknown>,
        i % 50 === 1 ? new Uint8Array(100_000) : i % 70 === 2 ? "x".repeat(30_000) : { i },
      );
    });
    const { notDone } = batch % 2 === 0
      ? waitSync(futures, { timeout: 3_000 })
      : await wait(futures, { timeout: 3_000 });
    const lost = futures.findIndex((future) => notDone.has(future));
    assertEquals(lost, -1, `batch ${batch}: ${futures[lost]} of ${size} was never run`);
    for (let i = 0; i < batch % 30; i++) pool.submit(echo<number>, i).cancel();
    tasks += size;
  }
  return tasks;
}

/** Has a typed array cross as an argument and as a result, blocking and awaited; returns how many tasks that took. */
export async function passLargeArrays(pool: Executor, size: number): Promise<number> {
  const expected = [size, 1, 2, 3];
  {
    const bytes = makeBytes(size, 1);
    assertEquals(pool.submit(sample, bytes).result(BOUND), expected);
    assertEquals(await within(pool.submit(sample, bytes)), expected);
  }
  assertEquals(sample(pool.submit(makeBytes, size, 1).result(BOUND)), expected);
  assertEquals(sample(await within(pool.submit(makeBytes, size, 1))), expected);
  assertEquals(pool.submit(square, 3).result(BOUND), 9);
  return 5;
}

/**
 * By how many milliseconds a timer of 10 ms was late at the worst, while `work` was done. How long this thread had to
 * wait for a CPU does not count, where the system tells.
 */
async function lateness(work: () => Promise<unknown>): Promise<number> {
  let latest = 0;
  let [last, lastWaited] = [performance.now(), waitedForCpu()];
  const look = () => {
    const [now, waited] = [performance.now(), waitedForCpu()];
    latest = Math.max(latest, now - last - 10 - (waited - lastWaited));
    [last, lastWaited] = [now, waited];
  };
  const timer = setInterval(look, 10);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  look();
  return latest;
}

/** Fails where a timer is late while `work` is done. */
export async function assertResponsive(work: () => Promise<unknown>): Promise<void> {
  const late = await lateness(work);
  assert(late <= 50, `the timer was late by ${late.toFixed(1)} ms`);
}

/**
 * Fails where a timer is late while so many results come in, each for a callback, more quickly than these are called.
 * In the midst of them are tasks that end when the first result is there, and a timer has fired after it: that hangs
 * where results wait for the end of all.
 */
export async function streamResults(pool: Executor, count: number): Promise<void> {
  using first = new Gate();
  using middle = new Gate();
  const hold = (gate: Gate) => [1, 2].map(() => pool.submit(passGateLater, gate.path));
  const held = hold(first);
  await first.arrived(2);
  let settled = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const onDone = () => {
    spin(0.02);
    if (++settled === 1) setTimeout(() => middle.open(), 0);
    if (settled === count) resolve();
  };
  for (let i = 0; i < count; i++) {
    if (i === count >> 1) held.push(...hold(middle));
    pool.submit(echo<number>, i).addDoneCallback(onDone);
  }
  await sleep(20); // the burst itself is not what is measured
  await assertResponsive(async () => {
    first.open();
    await within(promise, `${count} results`);
  });
  await within(Promise.all(held));
}

/** How many wait for a result at once, and submit the next task when it is there. */
const READERS = 50;

/** The same for results that are awaited, and bring the next tasks: there are always some. */
export async function streamAwaitedResults(pool: Executor, count: number): Promise<void> {
  // To start a worker, Deno blocks this thread until it is there.
  using gate = new Gate();
  const held = [1, 2].map(() => pool.submit(passGateLater, gate.path));
  await gate.arrived(2);
  gate.open();
  await within(Promise.all(held));
  // In any case until a timer has fired: where results keep it from that, it is late.
  let isFired = false;
  const timer = setTimeout(() => isFired = true, 10);
  let read = 0;
  const readOn = async () => {
    while (read < count || (!isFired && read < 20 * count)) await pool.submit(echo<number>, read++);
  };
  await assertResponsive(() => within(Promise.all(Array.from({ length: READERS }, readOn)), `${count} results`));
  clearTimeout(timer);
}

/** Counts the pieces of shared memory that this thread makes for large arguments, as long as it is in use. */
class MemoryCount implements Disposable {
  count = 0;
  readonly #replaced = globalThis.SharedArrayBuffer;

  constructor() {
    const onMade = (byteLength: number) => {
      if (byteLength >= 20_000) this.count++;
    };
    globalThis.SharedArrayBuffer = class extends this.#replaced {
      constructor(byteLength: number) {
        super(byteLength);
        onMade(byteLength);
      }
    } as SharedArrayBufferConstructor;
  }

  [Symbol.dispose](): void {
    globalThis.SharedArrayBuffer = this.#replaced;
  }
}

export function loadBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}: a burst of 20,000 submits before the event loop turns works, blocking and awaited`, async () => {
    using pool = borrow(kind, 2);
    const futures = Array.from({ length: 20_000 }, (_, i) => pool.submit(echo<number>, i));
    const blocked = futures.slice(0, 10_000);
    for (const [i, future] of blocked.entries()) if (future.result(BOUND) !== i) assertEquals(future.result(), i);
    const values = await within(Promise.all(futures));
    assert(values.every((value, i) => value === i), "a future has the value of another one");
  }, { bound: 60_000 });

  test(`${name}: a burst of 20,000 submits, of which each second is cancelled, leaves none unsettled`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const held = [1, 2].map(() => pool.submit(passGateLater, gate.path));
    const futures = Array.from({ length: 20_000 }, (_, i) => pool.submit(echo<number>, i));
    let cancelled = 0;
    for (let i = 0; i < futures.length; i += 2) if (futures[i].cancel()) cancelled++;
    gate.open();
    await within(Promise.all(held));
    for (let i = 1; i < futures.length; i += 2) {
      if (futures[i].result(BOUND) !== i) assertEquals(futures[i].result(), i);
    }
    assertEquals(futures.filter((future) => future.cancelled()).length, cancelled);
    assert(futures.every((future) => future.done()));
    assertEquals(cancelled, 10_000, "the workers were held, so all of them could be cancelled");
  }, { bound: 60_000 });

  test(`${name}: the first statement after the constructor may block`, () => {
    {
      using pool = make({ maxWorkers: 1 });
      assertEquals(pool.submit(add, 1, 2).result(BOUND), 3);
    }
    using pool = make({ maxWorkers: 1 });
    assertEquals([...pool.map(square, [1, 2, 3])], [1, 4, 9]);
    using bySource = make({ maxWorkers: 1 });
    assertEquals(bySource.submit((n: number) => n + 1, 1).result(), 2);
  });

  /** Ways to learn that a task is done, or that a worker has it, which never yield to the event loop. */
  const QUESTIONS: { [what: string]: (future: Future<number>) => unknown } = {
    "waitSync()": (future) => assertEquals(waitSync([future], { timeout: BOUND }).done.size, 1),
    "asCompleted()": (future) => assertEquals([...asCompleted([future], { timeout: BOUND })], [future]),
    "done()": (future) => untilSync(() => future.done(), "done()"),
    "running() or state": (future) => untilSync(() => future.running() || future.state === "FINISHED", "its begin"),
  };

  for (const [what, ask] of Object.entries(QUESTIONS)) {
    test(`${name}: ${what} may be what the first statement after the first submit() asks`, () => {
      using pool = make({ maxWorkers: 1 });
      const future = pool.submit(add, 1, 2);
      ask(future);
      assertEquals(future.result(BOUND), 3);
    });
  }

  // Slow enough for each task to be one of many that wait, quick enough to be given several at once.
  const TASK_MS = 0.5;
  const TASKS = 600;

  /** Waits without the event loop: by computing, or by blocking. */
  const WAYS = {
    computes: () => spin(5),
    "is blocked": () => pause(5),
  };

  /**
   * Submits more tasks than workers are given at once, and then keeps this thread from its event loop until all of them
   * have run.
   */
  function runWithoutHelp(turn: () => void, warm: boolean): void {
    using pool = warm ? borrow(kind, 2) : make({ maxWorkers: 2 });
    const ledger = new Ledger();
    const futures = Array.from({ length: TASKS }, (_, i) => pool.submit(recordSlowly<number>, ledger.path, i, TASK_MS));
    // As long as they go on: a busy machine may take its time.
    for (let [ran, end] = [0, performance.now() + BOUND]; ran < TASKS;) {
      turn();
      const now = ledger.lines().length;
      if (now > ran) [ran, end] = [now, performance.now() + BOUND];
      else if (performance.now() > end) fail(`only ${ran} of ${TASKS} tasks ran without this thread's help`);
    }
    assertEquals(ledger.lines().length, TASKS);
    for (const [i, future] of futures.entries()) assertEquals(future.result(BOUND), i);
  }

  for (const [way, turn] of Object.entries(WAYS)) {
    test(`${name}: ${TASKS} queued tasks run while this thread ${way}`, () => runWithoutHelp(turn, true));

    test(`${name}: workers that are just being started need no help while this thread ${way}`, () => {
      runWithoutHelp(turn, false);
    });
  }

  test(`${name}: a 16 MiB text crosses as argument and as result, blocking and awaited`, async () => {
    using pool = borrow(kind, 1);
    const text = makeText(16 * MIB);
    assertEquals(pool.submit(lengthOf, text).result(BOUND), 16 * MIB);
    assertEquals(await within(pool.submit(lengthOf, text)), 16 * MIB);
    assert(pool.submit(makeText, 16 * MIB).result(BOUND) === text, "the text differs");
    assert(await within(pool.submit(makeText, 16 * MIB)) === text, "the text differs");
    assertEquals(pool.submit(square, 3).result(BOUND), 9);
  }, { bound: 60_000 });

  test(`${name}: a 32 MiB typed array crosses as argument and as result, blocking and awaited`, async () => {
    await passLargeArrays(borrow(kind, 1), 32 * MIB);
  }, { bound: 60_000 });

  test(`${name}: of batch after batch of mixed sizes, no task is ever lost`, async () => {
    await runBatches(borrow(kind, 2), 30);
  });

  test(`${name}: 40 arguments of 1 MiB wait in the queue, small tasks among them`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const held = [1, 2].map(() => pool.submit(passGateLater, gate.path));
    await gate.arrived(2);
    const futures = Array.from({ length: 40 }, (_, i) => [
      pool.submit(sample, makeBytes(MIB, i)),
      pool.submit(square, i),
      pool.submit(lengthOf, makeText(MIB + i)),
    ]).flat();
    gate.open();
    await within(Promise.all(held));
    const values = await within(Promise.all<unknown>(futures));
    for (let i = 0; i < 40; i++) {
      assertEquals(values.slice(3 * i, 3 * i + 3), [[MIB, i, (i + 1) % 256, (i + 2) % 256], i * i, MIB + i]);
    }
  });

  test(`${name}: memory for large arguments that wait is used again`, async () => {
    // A pool of its own: others have memory that an earlier test has left.
    using pool = kind.make({ maxWorkers: 1 });
    await within(pool.submit(square, 2));
    using made = new MemoryCount();
    const text = makeText(20_000);
    for (let round = 0; round < 20; round++) {
      using gate = new Gate();
      const held = pool.submit(passGateLater, gate.path);
      await gate.arrived();
      const futures = Array.from({ length: 6 }, () => pool.submit(lengthOf, text));
      gate.open();
      for (const length of await within(Promise.all(futures))) assertEquals(length, 20_000);
      await within(held);
    }
    assertEquals(made.count, 6);
  });

  // So many that their delivery alone takes longer than that. `deno task soak` has 100,000 of each.
  const STREAM = 10_000;

  test(`${name}: a 10 ms timer is never late by more than 50 ms while 10,000 results stream in`, async () => {
    await bestOf(4, () => streamResults(borrow(kind, 2), STREAM));
  }, { bound: 60_000 });

  test(
    `${name}: a 10 ms timer is never late by more than 50 ms while results that piled up are delivered`,
    async () => {
      await bestOf(4, async () => {
        using pool = borrow(kind, 2);
        let settled = 0;
        const { promise, resolve } = Promise.withResolvers<void>();
        for (let i = 0; i < STREAM; i++) {
          pool.submit(echo<unknown>, { i, text: "some text" }).addDoneCallback(() => {
            spin(0.02); // 200 ms in all
            if (++settled === STREAM) resolve();
          });
        }
        spin(100);
        await assertResponsive(() => within(promise, `${STREAM} results`));
      });
    },
    { bound: 60_000 },
  );

  test(`${name}: a 10 ms timer is never late by more than 50 ms while 10,000 awaited results stream in`, async () => {
    await bestOf(4, () => streamAwaitedResults(borrow(kind, 2), STREAM));
  }, { bound: 60_000 });
}
