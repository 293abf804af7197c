/** `stats()`, and the text form of a pool. */
import { assert, assertEquals } from "@std/assert";
import { CancelledError, type PoolStats } from "@concurrent/futures";
import { Gate, sleep, test, until, within } from "../_helpers.ts";
import { throwValue } from "../fixtures/errors.ts";
import { echoLater, passGate, square, squareUnless } from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import { begun, type Kind } from "./kind.ts";
import { range } from "./map.ts";

/** What is counted, without times. */
function counts(
  { runTime: _runTime, waitTime: _waitTime, ...rest }: PoolStats,
): Omit<PoolStats, "runTime" | "waitTime"> {
  return rest;
}

const NOTHING = { running: 0, queued: 0, done: 0, failed: 0, cancelled: 0, lost: 0, restarts: 0 };

export function statsBehaviour(kind: Kind): void {
  const { name, make, isRemote } = kind;
  /** An executor of a cluster knows no workers. */
  const workers = (count: number, idle: number) => isRemote ? { workers: 0, idle: 0 } : { workers: count, idle };

  test(`${name}.stats() counts each task where it is, and what became of it`, async () => {
    const pool = make({ maxWorkers: 2 });
    assertEquals(counts(pool.stats()), { ...NOTHING, workers: 0, idle: 0 });
    assertEquals([pool.stats().runTime, pool.stats().waitTime], Array(2).fill({ mean: 0, p50: 0, p99: 0 }));
    using gate = new Gate();
    const running = range(2).map((n) => pool.submit(passGate<number>, gate.path, n));
    await gate.arrived(2);
    await begun(kind, ...running);
    const failing = pool.submit(throwValue, new Error("no"));
    const waiting = range(5).map((n) => pool.submit(square, n));
    assertEquals(counts(pool.stats()), { ...NOTHING, ...workers(2, 0), running: 2, queued: 6 });
    assert(waiting[4].cancel() && waiting[3].cancel());
    assertEquals(counts(pool.stats()), { ...NOTHING, ...workers(2, 0), running: 2, queued: 4, cancelled: 2 });
    gate.open();
    await within(Promise.all([...running, ...waiting.slice(0, 3)]));
    assert(await within(failing.catch((error) => error)) instanceof Error);
    assertEquals(counts(pool.stats()), { ...NOTHING, ...workers(2, 2), done: 5, failed: 1, cancelled: 2 });
    assertEquals(
      String(pool),
      `<${name} workers=${isRemote ? 0 : 2} idle=${isRemote ? 0 : 2} running=0 queued=0 ` +
        "done=5 failed=1>",
    );
    await within(pool.shutdown());
    assertEquals(counts(pool.stats()), { ...NOTHING, workers: 0, idle: 0, done: 5, failed: 1, cancelled: 2 });
  });

  test(`${name}.stats() sees what has begun and what has ended although this thread never yields`, () => {
    const pool = make({ maxWorkers: 1 });
    const future = pool.submit(square, 3);
    assertEquals(pool.stats().done + pool.stats().running + pool.stats().queued, 1);
    future.result();
    assertEquals(pool.stats().done, 1);
    const other = pool.submit(square, 4);
    const end = performance.now() + 10_000;
    while (pool.stats().done < 2) assert(performance.now() < end, "it is never counted");
    assertEquals(other.result(0), 16);
    pool.shutdownSync();
  });

  test(`${name}.stats() counts each item of a map`, async () => {
    using pool = borrow(kind, 2);
    const before = pool.stats();
    const counted = () => {
      const { done, failed, cancelled } = pool.stats();
      return { done: done - before.done, failed: failed - before.failed, cancelled: cancelled - before.cancelled };
    };
    assertEquals([...pool.map(square, range(500))].length, 500);
    assertEquals([...pool.map(square, range(21), { chunksize: 10 })].length, 21);
    assertEquals(counted().done, 521);
    // Two that are good, one that throws, and seven that never run: then the chunks behind it.
    const results = pool.map(squareUnless, range(30), Array(30).fill(2), { chunksize: 10 });
    const seen: number[] = [];
    try {
      for await (const value of results) seen.push(value);
    } catch { /* as it shall */ }
    assertEquals(seen, [0, 1]);
    await until(() => pool.stats().running + pool.stats().queued === 0, "the rest of the map");
    const { done, failed, cancelled } = counted();
    assertEquals(done + failed + cancelled, 521 + 30);
    assert(failed === 1 && cancelled >= 7 && done >= 523, `${done} ${failed} ${cancelled}`);
  });

  test(`${name}.stats() counts what shutdown({ cancelFutures: true }) cancels`, async () => {
    const pool = make({ maxWorkers: 1 });
    using gate = new Gate();
    const running = pool.submit(passGate, gate.path);
    await gate.arrived();
    await begun(kind, running);
    // Each is a message to a server where workers are remote.
    const count = isRemote ? 1_000 : 20_000;
    const waiting = range(count).map((n) => pool.submit(square, n));
    assertEquals(pool.stats().queued, count);
    const ended = pool.shutdown({ cancelFutures: true });
    assert(waiting.every((future) => future.cancelled()));
    assertEquals(counts(pool.stats()), { ...NOTHING, ...workers(1, 0), running: 1, cancelled: count });
    gate.open();
    await within(ended);
    assert(await waiting[0].catch((error) => error) instanceof CancelledError);
    assertEquals(pool.stats().done, 1);
  });

  test(`${name}.stats() tells how long tasks ran and waited`, async () => {
    const pool = make({ maxWorkers: 1 });
    await within(pool.submit(square, 1));
    for (let i = 0; i < 3; i++) await within(pool.submit(square, 1));
    const quick = pool.stats();
    // Of tasks that follow each other quickly not all are measured; the first four after a pause are.
    await sleep(10);
    await within(Promise.all(range(4).map(() => pool.submit(echoLater, 0, 50))));
    const { runTime, waitTime } = pool.stats();
    for (const times of [runTime, waitTime, quick.runTime, quick.waitTime]) {
      assertEquals(Object.keys(times), ["mean", "p50", "p99"]);
      for (const ms of Object.values(times)) assert(ms > 0 && ms < 10_000, `${ms}`);
    }
    // Half of eight tasks took 50 ms, and of those that waited one waited for three of them.
    assert(runTime.p99 >= 45 && runTime.mean >= 24, Deno.inspect(runTime));
    assert(waitTime.p99 >= 120, Deno.inspect(waitTime));
    await within(pool.shutdown());
  });

  test(`${name} shows itself in one line`, async () => {
    const pool = make({ maxWorkers: 2 });
    const line = `<${name} workers=0 idle=0 running=0 queued=0 done=0 failed=0>`;
    assertEquals([String(pool), Deno.inspect(pool), `${pool}`], [line, line, line]);
    await within(pool.shutdown());
  });

  if (isRemote) return;

  test(`${name}.stats() counts a future as failed that the pool could not send, or that failed with it`, async () => {
    const pool = make({ maxWorkers: 1, initializer: throwValue, initargs: [new Error("no")] });
    const futures = range(3).map((n) => pool.submit(square, n));
    for (const future of futures) assert(await within(future.catch((error) => error)) instanceof kind.broken);
    const { done, failed, cancelled, queued, running } = pool.stats();
    assertEquals({ done, failed, cancelled, queued, running }, {
      ...{ done: 0, failed: 3, cancelled: 0 },
      queued: 0,
      running: 0,
    });
    await within(pool.shutdown());
  });
}
