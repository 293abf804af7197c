/** `trace()`: what each task did, in the Chrome trace format. */
import { assert, assertAlmostEquals, assertEquals, assertMatch } from "@std/assert";
import { CancelledError, type PoolTrace, SerializationError } from "@concurrent/futures";
import { type Bar, readChromeTrace } from "../_chrome_trace.ts";
import { Gate, test, within } from "../_helpers.ts";
import { throwValue } from "../fixtures/errors.ts";
import { echo, echoLater, passGate, square, squareUnless } from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";
import { range } from "./map.ts";

/** The bars of a trace, after a look whether each event is one that the format knows. */
function bars(trace: PoolTrace): readonly Bar[] {
  return readChromeTrace(JSON.stringify(trace)).bars;
}

export function traceBehaviour(kind: Kind): void {
  const { name, make, isRemote } = kind;

  test(`${name}.trace() tells of each task its name, worker, wait, time and outcome`, async () => {
    const pool = make({ maxWorkers: 2 });
    const trace = pool.trace!();
    assertEquals(bars(trace), []);
    using gate = new Gate();
    const held = range(2).map((n) => pool.submit(passGate<number>, gate.path, n));
    await gate.arrived(2);
    const waiting = pool.submit(echoLater, 1, 50);
    const cancelled = pool.submit(square, 1);
    assert(cancelled.cancel());
    const failing = pool.submit(throwValue, new Error("no"));
    assertEquals(bars(trace).map(({ name }) => name), ["square"], "only what has ended");
    gate.open();
    await within(Promise.all([...held, waiting, failing.catch(() => {})]));
    const found = bars(trace);
    assertEquals(found.map(({ name, args }) => `${name} ${args.outcome}`).sort(), [
      "echoLater returned",
      "passGate returned",
      "passGate returned",
      "square cancelled",
      "throwValue threw",
    ]);
    const [gates, [later], [never]] = ["passGate", "echoLater", "square"].map((wanted) =>
      found.filter(({ name }) => name === wanted)
    );
    assertEquals(gates.map(({ tid }) => tid).sort(), [1, 2], "both workers, at the same time");
    assert(gates[0].ts < gates[1].ts + gates[1].dur && gates[1].ts < gates[0].ts + gates[0].dur);
    assert(later.dur >= 45_000 && later.dur < 10e6, `${later.dur} µs`);
    assert(later.args.wait > 0 && later.args.wait < 10_000);
    // It began when one of the first had ended.
    assert(gates.some(({ tid, ts, dur }) => tid === later.tid && ts + dur <= later.ts + 1));
    assertEquals([never.tid, never.dur], [0, 0]);
    const { rows, process } = readChromeTrace(JSON.stringify(trace));
    assertEquals(process, name);
    // A cluster numbers its rows as it hears of workers.
    const number = isRemote ? ["\\d+", "\\d+"] : ["0", "1"];
    assertEquals(rows.map(({ tid }) => tid), [1, 2, 0]);
    for (const i of [0, 1]) assertMatch(rows[i].name, new RegExp(`_${number[i]}$`));
    assert(rows[0].name !== rows[1].name, "each has a row");
    assertEquals(rows[2].name, "no worker");
    trace.stop();
    await within(pool.shutdown());
  });

  test(`${name}.trace(): two traces are independent, and know what came while they were on`, async () => {
    using pool = borrow(kind, 1);
    await within(pool.submit(square, 1));
    using gate = new Gate();
    const earlier = pool.submit(passGate, gate.path);
    await gate.arrived();
    const first = pool.trace!();
    gate.open();
    await within(earlier);
    assertEquals(bars(first), [], "that one was submitted before");
    await within(pool.submit(square, 2));
    const second = pool.trace!();
    await within(pool.submit(square, 3));
    first.stop();
    first.stop();
    await within(pool.submit(square, 4));
    {
      using third = pool.trace!();
      await within(pool.submit(square, 5));
      assertEquals(bars(third).length, 1);
    }
    assertEquals([bars(first).length, bars(second).length], [2, 3]);
    second.stop();
    for (let i = 0; i < 20; i++) await within(pool.submit(square, i));
    assertEquals([bars(first).length, bars(second).length], [2, 3]);
  });

  test(`${name}.trace() tells of each task of a burst, and of each item of a map`, async () => {
    using pool = borrow(kind, 2);
    using trace = pool.trace!();
    const burst = isRemote ? 200 : 1_000;
    await within(Promise.all(range(burst).map((n) => pool.submit(square, n))));
    assertEquals(bars(trace).length, burst);
    assertEquals(bars(trace).filter(({ args }) => args.together !== undefined).length, 0);
    assertEquals([...pool.map(square, range(burst))].length, burst);
    assertEquals(bars(trace).length, 2 * burst);
    using whole = pool.trace!();
    assertEquals([...pool.map(square, range(burst), { chunksize: burst })].length, burst);
    // One behind the other: a sum of steps that are rounded would leave the chunk, and enter the next one.
    const chunk = bars(whole);
    for (const [i, { ts, dur }] of chunk.entries()) assertAlmostEquals(ts, chunk[0].ts + i * dur, 0.5);
    using failing = pool.trace!();
    const results = pool.map(squareUnless, range(10), Array(10).fill(2), { chunksize: 10 });
    await within(
      (async () => {
        for await (const _ of results);
      })().catch(() => {}),
    );
    assertEquals(bars(failing).map(({ args }) => [args.outcome, args.together]), [
      ...Array(2).fill(["returned", 10]),
      ["threw", 10],
      ...Array(7).fill(["cancelled", 10]),
    ]);
  });

  test(`${name}.trace() and stats() tell of tasks that never came to a worker`, async () => {
    using pool = borrow(kind, 1);
    const before = pool.stats();
    using trace = pool.trace!();
    const aborted = pool.with({ signal: AbortSignal.abort() });
    const controller = new AbortController();
    const aborts = {
      get now() {
        controller.abort();
        return 1;
      },
    };
    const unsendable: unknown[] = [() => 1, Symbol("no")];
    const futures = [
      aborted.submit(square, 1),
      aborted.with({ name: "early" }).submit(square, 2),
      pool.with({ signal: controller.signal }).submit(echo<unknown>, aborts),
      pool.submit(echo<unknown>, unsendable[0]),
      pool.with({ name: "unsent" }).submit(echo<unknown>, unsendable[1]),
    ];
    const errors = await within(Promise.all(futures.map((future) => future.catch((error) => error))));
    assertEquals(errors.map((error) => error instanceof CancelledError), [true, true, true, false, false]);
    assertEquals(errors.map((error) => error instanceof SerializationError), [false, false, false, true, true]);
    for await (const { status } of aborted.map(square, range(4), { settled: true, chunksize: 4 })) {
      assertEquals(status, "rejected");
    }
    for await (const _ of pool.map(echo<unknown>, [1, unsendable[0], 3], { settled: true, chunksize: 3 }));
    const found = bars(trace);
    assertEquals(found.map(({ name, tid, args }) => `${name} ${args.outcome} ${tid === 0 ? "nowhere" : "ran"}`), [
      "square cancelled nowhere",
      "early cancelled nowhere",
      "echo cancelled nowhere",
      "echo threw nowhere",
      "unsent threw nowhere",
      ...Array(4).fill("square cancelled nowhere"),
      "echo threw nowhere",
      "echo returned ran",
      "echo returned ran",
    ]);
    assert(found.filter(({ tid }) => tid === 0).every(({ dur, args }) => dur === 0 && args.wait < 10_000));
    const { done, failed, cancelled, running, queued } = pool.stats();
    assertEquals({ done, failed, cancelled, running, queued }, {
      done: before.done + 2,
      failed: before.failed + 3,
      cancelled: before.cancelled + 7,
      running: 0,
      queued: 0,
    });
  });
}
