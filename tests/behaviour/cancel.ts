/** `cancel()`: exact, whatever the workers are doing at that moment. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { CancelledError, type Future } from "@concurrent/futures";
import {
  both,
  bothCancelled,
  BOUND,
  Gate,
  Ledger,
  pause,
  rejectionOf,
  test,
  thrownBy,
  until,
  within,
} from "../_helpers.ts";
import { echo, passGate, passGateLater, record, recordSlowly } from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

/** Numbers that look random and are the same each time. */
function randoms(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}

export function cancelBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`Future.cancel() of ${name}: false while running and when finished, true while queued`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const running = pool.submit(passGate<number>, gate.path, 1);
    const queued = pool.submit(echo<number>, 2);
    const last = pool.submit(echo<number>, 3);
    await gate.arrived();
    assertStrictEquals(running.cancel(), false);
    assertStrictEquals(queued.cancel(), true);
    await bothCancelled(queued); // at once, the worker is still busy
    gate.open();
    await both(running, (n) => assertEquals(n, 1));
    await both(last, (n) => assertEquals(n, 3));
    assertStrictEquals(last.cancel(), false);
    assertStrictEquals(running.cancel(), false);
    await bothCancelled(queued);
  });

  test(`Future.cancel() of ${name} calls the callbacks before it returns, and settles what awaits`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const running = pool.submit(passGate, gate.path);
    const queued = pool.submit(echo<number>, 1);
    const awaiting = rejectionOf(queued);
    const seen: Future<unknown>[] = [];
    queued.addDoneCallback((f) => void seen.push(f));
    assertStrictEquals(queued.cancel(), true);
    assertEquals(seen.length, 1);
    assertStrictEquals(seen[0], queued);
    assertStrictEquals(queued.cancel(), true);
    assertEquals(seen.length, 1);
    assertInstanceOf(await awaiting, CancelledError);
    gate.open();
    await within(running);
    await within(pool.submit(echo<number>, 2));
    assertEquals(seen.length, 1);
    await bothCancelled(queued);
  });

  test(`Future.cancel() of ${name} at once after submit(), the pool then goes on`, async () => {
    using pool = make({ maxWorkers: 1 });
    const ledger = new Ledger();
    const first = pool.submit(record<number>, ledger.path, 1);
    const answer = first.cancel();
    await within(pool.submit(record<number>, ledger.path, 2));
    assertEquals(ledger.numbers(), answer ? [2] : [1, 2]);
    assertEquals(first.cancelled(), answer);
  });

  // What comes back from other machines crosses their answers less often.
  const queued = kind.isRemote ? 1_000 : 400;
  test(`Future.cancel() of ${name} is exact: of ${queued} queued, none that said true runs, others do`, async () => {
    using pool = borrow(kind, 2);
    for (let round = 0; round < 3; round++) {
      const random = randoms(round);
      const ledger = new Ledger();
      using gate = new Gate();
      // Else a machine that stops this thread for a moment leaves nothing to be cancelled.
      const held = [1, 2].map(() => pool.submit(passGate, gate.path));
      const futures = Array.from({ length: queued }, (_, i) => pool.submit(recordSlowly<number>, ledger.path, i, 0.2));
      const cancelled = new Set<number>();
      for (const i of shuffled([...futures.keys()], random)) {
        if (random() < 0.7 && futures[i].cancel()) cancelled.add(i);
        if (cancelled.size === 21) gate.open();
        if (random() < 0.05) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // the workers move on
      }
      const rest = futures.filter((_, i) => !cancelled.has(i));
      await within(Promise.all([...held, ...rest]), "the futures that were not cancelled");
      await within(pool.submit(echo<number>, 0));
      const expected = [...futures.keys()].filter((i) => !cancelled.has(i));
      assertEquals(ledger.numbers(), expected);
      assert(cancelled.size > 20, `only ${cancelled.size} were cancelled in time`);
      for (const i of cancelled) {
        assertEquals(futures[i].state, "CANCELLED");
        assertInstanceOf(thrownBy(() => futures[i].result(BOUND)), CancelledError);
      }
    }
  });

  test(`Future.cancel() of ${name} is exact for tasks that are just being started`, async () => {
    using pool = borrow(kind, 2);
    const ledger = new Ledger();
    const futures: Future<number>[] = [];
    const cancelled = new Set<number>();
    for (let i = 0; i < 2_000; i++) {
      futures.push(pool.submit(record<number>, ledger.path, i));
      const before = i - (i % 4);
      if (futures[before].cancel()) cancelled.add(before);
    }
    await within(Promise.allSettled(futures));
    assertEquals(ledger.numbers(), [...futures.keys()].filter((i) => !cancelled.has(i)));
    assertEquals(futures.map((f) => f.cancelled()), futures.map((_, i) => cancelled.has(i)));
  });

  test(`Future.cancel() of ${name} is exact while workers are started, and this thread never yields`, () => {
    using pool = make({ maxWorkers: 2 });
    const ledger = new Ledger();
    const futures: Future<number>[] = [];
    const cancelled = new Set<number>();
    // Until workers have been there for a while.
    for (let [i, last] = [0, Infinity]; i < last; i++) {
      futures.push(pool.submit(record<number>, ledger.path, i));
      const one = i - i % 4;
      if (futures[one].cancel()) cancelled.add(one);
      if (i % 4 === 3) pause(1);
      if (last === Infinity && i % 40 === 39 && ledger.lines().length > 0) last = i + 200;
    }
    for (const [i, future] of futures.entries()) if (!cancelled.has(i)) future.result(BOUND);
    assertEquals(ledger.numbers(), [...futures.keys()].filter((i) => !cancelled.has(i)));
  });

  test(`Future.cancel() of ${name} is exact while this thread never yields`, () => {
    using pool = borrow(kind, 2);
    const ledger = new Ledger();
    const futures = Array.from({ length: 400 }, (_, i) => pool.submit(recordSlowly<number>, ledger.path, i, 1));
    const cancelled = new Set<number>();
    for (let i = futures.length - 1; i >= 0; i--) {
      if (futures[i].cancel()) cancelled.add(i);
      if (i % 40 === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
    for (const [i, future] of futures.entries()) if (!cancelled.has(i)) future.result(BOUND);
    assertEquals(ledger.numbers(), [...futures.keys()].filter((i) => !cancelled.has(i)));
  });

  test(`Future.cancel() of ${name}: 10,000 cancelled behind a busy worker leave it free at once`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const ledger = new Ledger();
    const held = pool.submit(passGateLater, gate.path);
    const futures = Array.from({ length: 10_000 }, (_, i) => pool.submit(record<number>, ledger.path, i));
    const last = pool.submit(echo<string>, "last");
    await until(() => held.running(), "the worker is busy");
    assertEquals(futures.filter((future) => future.cancel()).length, 10_000);
    gate.open();
    assertEquals(last.result(BOUND), "last");
    assertEquals(ledger.lines(), []);
  });

  test(`Future.cancel() of ${name}: a cancelled task with arguments that cannot cross changes nothing`, async () => {
    using pool = borrow(kind, 1);
    const bad = pool.submit(echo<unknown>, () => 1);
    const answer = bad.cancel();
    if (answer) await bothCancelled(bad);
    else assertInstanceOf(await rejectionOf(bad), Error);
    assertEquals(await within(pool.submit(echo<number>, 1)), 1);
  });
}
