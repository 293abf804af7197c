/** What the options of `with()` do together with those of `map` and of pools, and in what a pool shows. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertThrows } from "@std/assert";
import { QueueFullError, repeat, SerializationError, TaskExitError, TimeoutError } from "@concurrent/futures";
import { bothFail, BOUND, Gate, Ledger, test, thrownBy, until, within } from "../_helpers.ts";
import { awaitLong, computeOn, computeUnless, describeTask, loopUntilAborted } from "../fixtures/control_tasks.ts";
import { makeError } from "../fixtures/errors.ts";
import { echo, exitWith, passGate, square, squareUnless } from "../fixtures/tasks.ts";
import { borrow, lend } from "./borrow.ts";
import type { Kind } from "./kind.ts";
import { range } from "./map.ts";

/** For tasks that heed their signal: on a busy machine they may come to that late. */
const PATIENT = { grace: 10_000 };

export function viewBehaviour(kind: Kind): void {
  const { name, make, isRemote } = kind;
  if (isRemote) return;
  const bounded = lend(kind, { maxWorkers: 1, maxQueued: 2 });

  test(`with({ name, signal }).map() of ${name} with settled: true: each item has the name, none ends another`, () => {
    using pool = borrow(kind, 2);
    const { signal } = new AbortController();
    const view = pool.with({ name: "item", signal });
    for (const chunksize of [1, 3]) {
      const outcomes = [...view.map(squareUnless, range(6), repeat(4), { settled: true, chunksize })];
      assertEquals(outcomes.map(({ status }) => status === "fulfilled"), range(6).map((n) => n !== 4));
      const named = [...view.map(describeTask, range(6), { settled: true, chunksize })];
      assertEquals(named.map((one) => one.status === "fulfilled" && one.value[0]), Array(6).fill("item"));
    }
  });

  test(`with({ signal }).map() of ${name} with settled: true rejects a chunk that is stopped`, async () => {
    using pool = borrow(kind, 1);
    const ledger = new Ledger();
    const controller = new AbortController();
    const view = pool.with({ signal: controller.signal, ...PATIENT });
    const outcomes = view.map(loopUntilAborted, repeat(ledger.path, 8), { settled: true, chunksize: 4 });
    await until(() => ledger.lines().length > 0, "the begin");
    const reason = new Error("stopped");
    controller.abort(reason);
    const all = [...outcomes];
    assertEquals(all.map(({ status }) => status), Array(8).fill("rejected"));
    const reasons = all.map((one) => (one as PromiseRejectedResult).reason);
    assert(reasons.slice(0, 4).every((one) => one === reason), "those that were given together");
    assertEquals(reasons.slice(4).map(({ name }) => name), Array(4).fill("CancelledError"));
    assertEquals(await pool.submit(square, 3), 9);
    assertEquals(ledger.lines(), ["begun", "AbortError"], "the items behind it do not begin");
  });

  test(`with({ timeout }).map() of ${name}: settled, unordered and repeat() go on as without`, () => {
    using pool = borrow(kind, 2);
    const view = pool.with({ timeout: 10_000, name: "limited" });
    assertEquals([...view.map(square, range(5), { ordered: false })].sort((a, b) => a - b), range(5).map(square));
    const large = "x".repeat(100_000);
    const measure = (text: string, n: number) => text.length + n;
    assertEquals([...view.map(measure, repeat(large), range(4))], range(4).map((n) => large.length + n));
    const outcomes = [...pool.with({ timeout: 500, ...PATIENT }).map(computeUnless, [1, 0, 2], { settled: true })];
    assertEquals(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
    assertInstanceOf((outcomes[1] as PromiseRejectedResult).reason, TimeoutError);
  });

  test(`with() of ${name} keeps maxQueued: submit throws, and map waits by itself`, async () => {
    const pool = bounded();
    const { signal } = new AbortController();
    for (const view of [pool.with({ name: "a" }), pool.with({ timeout: 60_000 }), pool.with({ signal })]) {
      using gate = new Gate();
      const held = view.submit(passGate<number>, gate.path, 1);
      await gate.arrived(1);
      const waiting = [view.submit(square, 2), view.submit(square, 3)];
      assertThrows(() => view.submit(square, 4), QueueFullError);
      const results = view.map(square, range(20), { chunksize: 3 });
      gate.open();
      assertEquals(await within(Promise.all([held, ...waiting])), [1, 4, 9]);
      assertEquals([...results], range(20).map(square));
      const bound = view.map((text: string, n: number) => text.length + n, repeat("x".repeat(50_000)), range(20));
      assertEquals([...bound], range(20).map((n) => 50_000 + n));
    }
  });

  test(`${name}.stats() and trace() tell of stopped tasks, with the names of with()`, async () => {
    using pool = borrow(kind, 1);
    const before = pool.stats();
    using trace = pool.trace!();
    await pool.with({ name: "first" }).submit(square, 2);
    const late = pool.with({ name: "late", timeout: 100, ...PATIENT }).submit(loopUntilAborted);
    assertInstanceOf(late.exception(BOUND), TimeoutError);
    const aborted = pool.with({ name: "aborted", ...PATIENT }).submit(loopUntilAborted);
    await until(() => aborted.running(), "the begin");
    assert(aborted.abort(new Error("stopped")));
    await bothFail(aborted, (error) => assertEquals((error as Error).message, "stopped"));
    const cancelled = pool.with({ name: "cancelled", signal: AbortSignal.abort() }).submit(square, 2);
    assert(cancelled.cancelled());
    const { done, failed, cancelled: count, lost, running, queued } = pool.stats();
    assertEquals({ done, failed, count, lost, running, queued }, {
      done: before.done + 1,
      failed: before.failed + 2,
      count: before.cancelled + 1,
      lost: before.lost,
      running: 0,
      queued: 0,
    });
    const bars = trace.toJSON().traceEvents.filter(({ ph }) => ph === "X");
    assertEquals(bars.map(({ name, args }) => [name, "outcome" in args && args.outcome]), [
      ["first", "returned"],
      ["late", "stopped"],
      ["aborted", "stopped"],
      ["cancelled", "cancelled"],
    ]);
  });

  test(`${name}.stats() counts stopped tasks that do not end by themselves, and trace() shows them`, async () => {
    const pool = make({ maxWorkers: 1 });
    const trace = pool.trace!();
    await pool.submit(square, 2);
    const endless = pool.with({ timeout: 50, grace: 0, name: "endless" }).submit(computeOn, 800);
    assertInstanceOf(endless.exception(BOUND), TimeoutError);
    assertEquals(pool.submit(square, 3).result(), 9);
    await until(() => pool.stats().lost + pool.stats().restarts === 1, "the end of its worker");
    const { done, failed } = pool.stats();
    assertEquals({ done, failed }, { done: 2, failed: 1 });
    const bars = trace.toJSON().traceEvents.filter(({ ph }) => ph === "X");
    assertEquals(bars.map(({ name, args }) => [name, "outcome" in args && args.outcome]), [
      ["square", "returned"],
      ["endless", "stopped"],
      ["square", "returned"],
    ]);
    assert(bars[1].tid > 0, "it is in the row of its worker");
    await within(pool.shutdown());
  });

  test(`${name}.with({ name }): what goes wrong with one task names it`, async () => {
    const pool = make({ maxWorkers: 1 });
    const named = pool.with({ name: "nightly" });
    const paths = {
      args: /^Cannot send args\[0\] of task nightly to another \w+: /,
      result: /^Cannot send result of task /,
    };
    await bothFail(() => named.submit(echo<unknown>, () => 1), (error) => {
      assertInstanceOf(error, SerializationError);
      assertMatch(error.message, paths.args);
      assertEquals(error.path, "args[0]");
    });
    await bothFail(() => named.submit(makeError, "function"), (error) => {
      assertMatch(error.message, paths.result);
      assertEquals(error.path, "result");
    });
    const results = named.map(makeError, ["function", "function"], { chunksize: 2 });
    assertMatch(thrownBy(() => results.next()).message, paths.result);
    await bothFail(() => named.submit(exitWith, 3), (error) => {
      assertInstanceOf(error, TaskExitError);
      assertMatch(error.message, /^Task nightly called Deno\.exit\(3\)/);
    });
    await bothFail(() => named.with({ timeout: 10 }).submit(awaitLong, 60_000), (error) => {
      assertInstanceOf(error, TimeoutError);
      assertMatch(error.message, /^Task nightly was stopped on \S+, /);
    });
    const aborted = named.submit(awaitLong, 60_000);
    await until(() => aborted.running(), "the begin");
    assert(aborted.abort());
    assertMatch((aborted.exception(BOUND) as Error).message, /name=nightly/);
    await bothFail(() => pool.submit(echo<unknown>, () => 1), (error) => {
      assertMatch(error.message, /^Cannot send args\[0\] to another \w+: /);
    });
    await within(pool.shutdown());
  });
}
