/** `WaitTests` of Python's test_wait.py. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  type DoneAndNotDone,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  Future,
  ThreadPoolExecutor,
  wait,
  type WaitOptions,
  waitSync,
} from "@concurrent/futures";
import { BOUND, Gate, until, within } from "../_helpers.ts";
import { borrow } from "../behaviour/borrow.ts";
import type { Kind } from "../behaviour/kind.ts";
import { echo, passGate, square } from "../fixtures/tasks.ts";
import { awaitWord } from "../fixtures/thread_tasks.ts";
import { divmod, failAt } from "./_tasks.ts";
import { row } from "./_rows.ts";

/** Waits blocking or awaited; without a timeout of its own within a bound. */
async function waitFor(
  blocking: boolean,
  fs: Iterable<Future<unknown>>,
  options: WaitOptions = {},
): Promise<DoneAndNotDone> {
  if (blocking) return waitSync(fs, { timeout: BOUND, ...options });
  return await within(wait(fs, options), "wait()");
}

function assertSets(sets: DoneAndNotDone, done: Future<unknown>[], notDone: Future<unknown>[]): void {
  assertEquals([sets.done.size, sets.notDone.size], [done.length, notDone.length]);
  for (const future of done) assert(sets.done.has(future), `not in done: ${future}`);
  for (const future of notDone) assert(sets.notDone.has(future), `not in notDone: ${future}`);
}

function cancelled(): Future<unknown> {
  const future = new Future<unknown>();
  future.cancel();
  return future;
}

function failed(): Future<unknown> {
  const future = new Future<unknown>();
  future.setException(new RangeError("failed before"));
  return future;
}

function succeeded(): Future<unknown> {
  const future = new Future<unknown>();
  future.setResult(42);
  return future;
}

export function waitRows(kind: Kind): void {
  const { name } = kind;

  row(name, "test_20369: a future that is given twice is one entry, and no hang", async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      const future = pool.submit(square, 2);
      assertSets(await waitFor(blocking, [future, future]), [future], []);
    }
  });

  row(name, "test_first_completed: returns when the first is done, and a cancelled future is done", async () => {
    using pool = borrow(kind, 2);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      const quick = pool.submit(square, 21);
      assertSets(await waitFor(blocking, [held, quick], { returnWhen: FIRST_COMPLETED }), [quick], [held]);
      const gone = cancelled();
      assertSets(await waitFor(blocking, [gone, held], { returnWhen: FIRST_COMPLETED }), [gone], [held]);
      const queued = [pool.submit(passGate, gate.path), pool.submit(square, 1)];
      assertEquals(queued[1].cancel(), true);
      assertSets(await waitFor(blocking, [held, queued[1]], { returnWhen: FIRST_COMPLETED }), [queued[1]], [held]);
      gate.open();
      await waitFor(blocking, [held, ...queued]);
    }
  });

  row(name, "test_first_completed_some_already_completed: what is done already returns at once", async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      const [gone, good] = [cancelled(), succeeded()];
      const sets = await waitFor(blocking, [gone, good, held], { returnWhen: FIRST_COMPLETED });
      assertSets(sets, [gone, good], [held]);
      gate.open();
      await waitFor(blocking, [held]);
    }
  });

  row(name, "test_first_exception: goes on after a success, and returns at the first failure", async () => {
    using pool = borrow(kind, 2);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      using other = new Gate();
      const held = pool.submit(passGate, gate.path);
      await gate.arrived();
      // One worker is left for these two, in this order.
      const [good, bad] = [pool.submit(square, 2), pool.submit(failAt, other.path)];
      const waiting = blocking ? undefined : waitFor(false, [good, bad, held], { returnWhen: FIRST_EXCEPTION });
      other.open();
      const sets = await (waiting ?? waitFor(true, [good, bad, held], { returnWhen: FIRST_EXCEPTION }));
      assertSets(sets, [good, bad], [held]);
      gate.open();
      await waitFor(blocking, [held]);
    }
  });

  row(name, "test_first_exception_some_already_complete: successes and cancellations do not end it", async () => {
    using pool = borrow(kind, 2);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      const bad = pool.submit(divmod, 21n, 0n);
      const [good, gone] = [succeeded(), cancelled()];
      const sets = await waitFor(blocking, [good, gone, bad, held], { returnWhen: FIRST_EXCEPTION });
      assertSets(sets, [good, gone, bad], [held]);
      gate.open();
      await waitFor(blocking, [held]);
    }
  });

  row(name, "test_first_exception_one_already_failed: what has failed already returns at once", async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      const bad = failed();
      assertSets(await waitFor(blocking, [bad, held], { returnWhen: FIRST_EXCEPTION }), [bad], [held]);
      gate.open();
      await waitFor(blocking, [held]);
    }
  });

  row(name, "test_all_completed: waits for futures of all five kinds", async () => {
    using pool = borrow(kind, 2);
    for (const blocking of [true, false]) {
      const futures: Future<unknown>[] = [
        cancelled(),
        failed(),
        succeeded(),
        pool.submit(divmod, 2n, 0n),
        pool.submit(square, 21),
      ];
      assertSets(await waitFor(blocking, futures), futures, []);
    }
  });

  row(name, "test_timeout: after 50 ms it returns both sets, and throws nothing", async () => {
    using pool = borrow(kind, 1);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const held = pool.submit(passGate, gate.path);
      const done = [cancelled(), failed(), succeeded()];
      assertSets(await waitFor(blocking, [...done, held], { timeout: 50 }), done, [held]);
      gate.open();
      await waitFor(blocking, [held]);
    }
  });
}

export function threadWaitRows(): void {
  row("ThreadPoolExecutor", "test_pending_calls_race: 100 tasks that end at one notify lose no wake-up", async () => {
    using pool = new ThreadPoolExecutor(8);
    for (let round = 0; round < 50; round++) {
      const words = new Int32Array(new SharedArrayBuffer(8));
      const open = () => {
        Atomics.store(words, 0, 1);
        Atomics.notify(words, 0);
      };
      try {
        const futures = Array.from({ length: 8 }, (_, i) => pool.submit(awaitWord<number>, words, i));
        await until(() => Atomics.load(words, 1) === 8, "eight tasks are waiting");
        for (let i = 8; i < 100; i++) futures.push(pool.submit(echo<number>, i));
        const waiting = round % 2 === 0 ? undefined : wait(futures);
        open();
        const sets = waiting === undefined ? waitSync(futures, { timeout: BOUND }) : await within(waiting, "wait()");
        assertEquals([sets.done.size, sets.notDone.size], [100, 0]);
        assertInstanceOf([...sets.done][0], Future);
      } finally {
        open();
      }
    }
  });
}
