/** A task waits for no process while another one is idle, or could be started: whatever holds the first one up. */
import { assert, assertEquals, assertInstanceOf, assertNotEquals } from "@std/assert";
import { BrokenProcessPool, CancelledError, type Future, ProcessPoolExecutor, TimeoutError } from "@concurrent/futures";
import { TaskState } from "../../executors/_queue/protocol.ts";
import {
  bestOf,
  BOUND,
  childProcesses,
  Gate,
  Ledger,
  pause,
  Random,
  rejectionOf,
  sleep,
  test,
  thrownBy,
  until,
  untilSync,
  within,
} from "../_helpers.ts";
import { lingering } from "../fixtures/lingering.ts";
import { linger, pid, pidAtGate, recordAndLeaveTimer } from "../fixtures/process_tasks.ts";
import { lengthOf, record } from "../fixtures/tasks.ts";
import { lend, lendReplacing } from "./_replacing.ts";

/** How long a task may take that takes no time, in milliseconds: one that nobody takes is noticed after it. */
const SOON = 3_000;

/** Pools of two processes, for tests at whose end what holds one up lets it go. */
const lent = { break: lend({ maxWorkers: 2 }), replace: lendReplacing() };

/**
 * Has two processes run a task each, at the same time; returns their ids. It is that which holds them up later, because
 * the first call of a function takes turns of the event loop.
 */
async function pidsOfTwo(pool: ProcessPoolExecutor): Promise<unknown[]> {
  using gate = new Gate();
  const futures = [0, 1].map(() => pool.submit(linger, undefined, gate.path));
  await gate.arrived(2);
  gate.open();
  return futures.map((future) => future.result(BOUND));
}

/**
 * Has a process held up by a task that has ended for who waits for it. That is not its first task: a process gets its
 * second one only when nothing of the first one holds it up.
 */
function leave(pool: ProcessPoolExecutor, how: string, gate: Gate): void {
  pool.submit(linger, how, gate.path).exception(SOON);
  gate.arrivedSync();
}

const ways = {
  blocked: <T>(future: Future<T>) => Promise.resolve(future.result(SOON)),
  awaited: <T>(future: Future<T>) => within(future, "a task that no process begins", SOON),
};

/** With `"replace"` the pool knows which task a process has begun; else it has to ask. */
const pools = [
  { onWorkerCrash: "break", way: "blocked" },
  { onWorkerCrash: "replace", way: "awaited" },
] as const;

for (const { onWorkerCrash, way } of pools) {
  const get = ways[way];
  const name = `ProcessPoolExecutor {${onWorkerCrash}}`;
  for (const how of Object.keys(lingering)) {
    test(`${name}: a task is run by an idle process while ${how} holds the first one, ${way}`, async () => {
      const pool = lent[onWorkerCrash]();
      const pids = await pidsOfTwo(pool);
      using gate = new Gate();
      leave(pool, how, gate);
      const free = await get(pool.submit(pid));
      assert(pids.includes(free));
      for (let i = 0; i < 3; i++) {
        assertEquals(await get(pool.submit(pid)), free);
        assertEquals(await get(pool.submit(lengthOf, "x".repeat(1_000_000))), 1_000_000);
      }
      // Both at once, when the first one has come back.
      gate.open();
      assertEquals((await pidsOfTwo(pool)).sort(), pids.sort());
    });
  }

  test(`${name}: a process is started for a task while another one is held up, ${way}`, async () => {
    using pool = new ProcessPoolExecutor({ maxWorkers: 2, onWorkerCrash });
    using gate = new Gate();
    const first = pool.submit(pid).result(BOUND);
    leave(pool, "a timer that a task has left behind", gate);
    for (let i = 0; i < 3; i++) assertNotEquals(await get(pool.submit(pid)), first);
  });
}

for (const onWorkerCrash of ["break", "replace"] as const) {
  test(
    `ProcessPoolExecutor {${onWorkerCrash}}: no process is started beside one that is held up for a moment`,
    async () => {
      for (let isForced = false; !isForced;) {
        using pool = new ProcessPoolExecutor({ maxWorkers: 4, onWorkerCrash });
        using gate = new Gate();
        const first = pool.submit(pid).result(BOUND);
        leave(pool, "a timer that a task has left behind", gate);
        const since = performance.now();
        const future = pool.submit(pid);
        untilSync(() => future.running() || future.done(), "a task that is given");
        untilSync(() => future.state === "PENDING" || future.done(), "a task that is taken back");
        isForced = !future.done() && performance.now() - since < 200;
        gate.open();
        const next = future.result(SOON);
        // This thread was held up itself: the moment was too long.
        if (!isForced) continue;
        assertEquals([next, pool.stats().workers], [first, 1]);
        assertEquals(await within(pool.submit(pid)), first);
        assertEquals(childProcesses() ?? [String(first)], [String(first)]);
      }
    },
  );
}

test("ProcessPoolExecutor: a large task is not taken back while it is on its way to a process that is idle", () =>
  bestOf(5, () => {
    using pool = new ProcessPoolExecutor(1);
    pool.submit(lengthOf, "").result(BOUND);
    const future = pool.submit(lengthOf, "x".repeat(50_000_000));
    untilSync(() => future.running(), "a task that is given");
    while (!future.done()) assertNotEquals(future.state, "PENDING");
    assertEquals(future.result(), 50_000_000);
  }));

test("ProcessPoolExecutor: a large task is run by another process, too", async () => {
  const pool = lent.break();
  await pidsOfTwo(pool);
  using gate = new Gate();
  leave(pool, "a timer that a task has left behind", gate);
  assertEquals(await within(pool.submit(lengthOf, "x".repeat(10_000_000))), 10_000_000);
});

test("ProcessPoolExecutor: what a process that is held up gives back comes first", async () => {
  const pool = lent.break();
  await pidsOfTwo(pool);
  using held = new Gate();
  using busy = new Gate();
  leave(pool, "a timer that a task has left behind", held);
  const ledger = new Ledger();
  // No process is idle, neither now nor later, when the second one has done its task.
  const holding = pool.submit(pidAtGate, busy.path);
  await busy.arrived();
  const futures = Array.from({ length: 20 }, (_, i) => pool.submit(record, ledger.path, i));
  await sleep(50);
  assertEquals(futures.map((future) => future.running()), futures.map(() => false));
  busy.open();
  await within(holding);
  await within(Promise.all(futures), "what waits for a process", SOON);
  assertEquals(ledger.lines(), futures.map((_, i) => `${i}`));
});

test("ProcessPoolExecutor: a task that was taken back is pending, and can be cancelled", async () => {
  using pool = new ProcessPoolExecutor(1);
  await within(pool.submit(pid));
  const ledger = new Ledger();
  using gate = new Gate();
  leave(pool, "a timer that a task has left behind", gate);
  const future = pool.submit(record, ledger.path, 1);
  assertInstanceOf(thrownBy(() => future.result(200)), TimeoutError);
  assertEquals(future.state, "PENDING");
  assert(future.cancel());
  gate.open();
  assertEquals(await within(pool.submit(record, ledger.path, 2)), 2);
  assertEquals(ledger.numbers(), [2]);
});

for (const onWorkerCrash of ["break", "replace"] as const) {
  test(`ProcessPoolExecutor {${onWorkerCrash}}: each task runs once, however often processes are held up`, async () => {
    const pool = lent[onWorkerCrash]();
    const ledger = new Ledger();
    const random = new Random(7);
    await pidsOfTwo(pool);
    const futures: Future<number>[] = [];
    for (let i = 0; i < 60; i++) {
      futures.push(pool.submit(recordAndLeaveTimer, ledger.path, i, 8 + random.below(16)));
      if (random.below(2) === 0) await within(futures[i]);
      else if (random.below(4) === 0) pause(random.below(6));
    }
    const cancelled = new Set(futures.slice(-5).filter((future) => future.cancel()));
    const kept = futures.flatMap((future, i) => cancelled.has(future) ? [] : [i]);
    for (const i of kept) assertEquals(await within(futures[i]), i);
    assertEquals(ledger.numbers(), kept);
  });
}

test("ProcessPoolExecutor: killWorkers() leaves no task behind that is taken back meanwhile", async () => {
  const original = Atomics.compareExchange;
  let isForced = false;
  for (let round = 0; round < 20 && !isForced; round++) {
    using pool = new ProcessPoolExecutor(1);
    using gate = new Gate();
    await within(pool.submit(pid));
    leave(pool, "a timer that a task has left behind", gate);
    const future = pool.submit(pid);
    // It runs when killWorkers() looks at it, and is pending when the processes hear of that.
    Atomics.compareExchange = ((words: Int32Array, index: number, from: number, to: number) => {
      const found = original(words, index, from, to);
      if (to === TaskState.CANCELLED && found === TaskState.RUNNING) {
        untilSync(() => Atomics.load(words, index) === TaskState.PENDING, "a task that is taken back");
        isForced = true;
      }
      return found;
    }) as typeof original;
    try {
      // Where this thread is held up itself, it has been taken back already, and nothing is forced.
      for (const end = performance.now() + 500; !future.running() && performance.now() < end;);
      pool.killWorkers();
    } finally {
      Atomics.compareExchange = original;
    }
    assertInstanceOf(await rejectionOf(future), isForced ? BrokenProcessPool : CancelledError);
    await within(pool.shutdown());
  }
  assert(isForced);
});

for (const onWorkerCrash of ["break", "replace"] as const) {
  test(`ProcessPoolExecutor {${onWorkerCrash}}: a task that is aborted does not run after that`, async () => {
    using pool = new ProcessPoolExecutor({ maxWorkers: 1, onWorkerCrash });
    await within(pool.submit(pid));
    for (const isReturned of [false, true]) {
      const ledger = new Ledger();
      using gate = new Gate();
      leave(pool, "a timer that a task has left behind", gate);
      const future = pool.submit(record, ledger.path, 1);
      // Soon, or when it was taken back.
      if (isReturned) await sleep(100);
      else await until(() => future.running(), "a task that is given", 50).catch(() => {});
      const reason = new Error("it is to end");
      assert(future.abort(reason));
      // Cancelled where it was taken back before.
      const outcome = await rejectionOf(future);
      assert(outcome === reason || outcome instanceof CancelledError, String(outcome));
      gate.open();
      assertEquals(await within(pool.submit(record, ledger.path, 2)), 2);
      assertEquals(ledger.numbers(), [2]);
    }
  });
}
