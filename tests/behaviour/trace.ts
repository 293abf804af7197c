/** `trace()`: what each task did, in the Chrome trace format. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { ChromeTraceEvent, PoolTrace, TracedTask } from "@concurrent/futures";
import { Gate, test, within } from "../_helpers.ts";
import { throwValue } from "../fixtures/errors.ts";
import { echoLater, passGate, square, squareUnless } from "../fixtures/tasks.ts";
import type { Kind } from "./kind.ts";
import { range } from "./map.ts";

/** The bars of a trace, after a look whether each event is one that the format knows. */
function bars(trace: PoolTrace): (ChromeTraceEvent & { readonly args: TracedTask; ts: number; dur: number })[] {
  // What a viewer reads.
  const { traceEvents, displayTimeUnit, ...rest } = JSON.parse(JSON.stringify(trace));
  assertEquals([displayTimeUnit, rest], ["ms", {}]);
  const rows = new Map<number, string>();
  const found = [];
  for (const event of traceEvents) {
    assertEquals(typeof event.name, "string");
    assert(Number.isInteger(event.pid) && Number.isInteger(event.tid));
    if (event.ph === "M") {
      assertEquals(Object.keys(event).sort(), ["args", "name", "ph", "pid", "tid"]);
      assertEquals(Object.keys(event.args), ["name"]);
      if (event.name === "thread_name") rows.set(event.tid, event.args.name);
      else assertEquals(event.name, "process_name");
      continue;
    }
    assertEquals(event.ph, "X");
    for (const time of [event.ts, event.dur, event.args.wait]) assert(Number.isFinite(time) && time >= 0, `${time}`);
    assert(["returned", "threw", "stopped", "cancelled"].includes(event.args.outcome));
    assert(rows.has(event.tid), "each row has a name, before its first bar");
    found.push(event);
  }
  for (const tid of rows.keys()) {
    if (tid === 0) continue;
    const own = found.filter((event) => event.tid === tid).sort((a, b) => a.ts - b.ts);
    for (let i = 1; i < own.length; i++) {
      // A microsecond, for what is lost in the last digits.
      assert(own[i].ts + 1 >= own[i - 1].ts + own[i - 1].dur, `row ${tid}: a worker runs one task at a time`);
    }
  }
  return found;
}

function names(trace: PoolTrace): Record<number, string> {
  const rows = trace.toJSON().traceEvents.filter(({ name }) => name === "thread_name");
  return Object.fromEntries(rows.map(({ tid, args }) => [tid, (args as { name: string }).name]));
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
    const rows = names(trace);
    assertEquals(rows[0], "no worker");
    // A cluster numbers its rows as it hears of workers.
    const number = isRemote ? ["\\d+", "\\d+"] : ["0", "1"];
    for (const i of [0, 1]) assertMatch(rows[i + 1], new RegExp(`_${number[i]}$`));
    assert(rows[1] !== rows[2], "each has a row");
    trace.stop();
    await within(pool.shutdown());
  });

  test(`${name}.trace(): two traces are independent, and know what came while they were on`, async () => {
    const pool = make({ maxWorkers: 1 });
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
    await within(pool.shutdown());
  });

  test(`${name}.trace() tells of each task of a burst, and of each item of a map`, async () => {
    const pool = make({ maxWorkers: 2 });
    using trace = pool.trace!();
    await within(Promise.all(range(3_000).map((n) => pool.submit(square, n))));
    assertEquals(bars(trace).length, 3_000);
    assertEquals(bars(trace).filter(({ args }) => args.together !== undefined).length, 0);
    assertEquals([...pool.map(square, range(1_000))].length, 1_000);
    assertEquals(bars(trace).length, 4_000);
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
    await within(pool.shutdown());
  });
}
