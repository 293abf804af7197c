/** `with()` of executors that only implement `submit`, and futures without an executor that are aborted or watched. */
import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { CancelledError, type ControlledExecutor, Executor, Future, ThreadPoolExecutor } from "@concurrent/futures";
import { internals } from "../futures/future.ts";
import { BOUND, test, within } from "./_helpers.ts";
import { loopUntilAborted } from "./fixtures/control_tasks.ts";
import { add } from "./fixtures/tasks.ts";

/** Keeps what was submitted, until it is told to run it. */
class Later extends Executor {
  readonly kept: { future: Future<unknown>; run: () => void }[] = [];

  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    const future = new Future<Awaited<R>>();
    this.kept.push({
      future,
      run: () => {
        if (future.setRunningOrNotifyCancel()) future.setResult(fn(...args) as Awaited<R>);
      },
    });
    return future;
  }
}

/** Passes everything on to a pool. */
class Passing extends Executor {
  readonly #pool: Executor;

  constructor(pool: Executor) {
    super();
    this.#pool = pool;
  }

  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    return this.#pool.submit(fn, ...args);
  }
}

test("Executor.with({ signal }) of a subclass that only implements submit: the signal cancels what has not run", () => {
  const executor = new Later();
  const controller = new AbortController();
  const view = executor.with({ signal: controller.signal, name: "mine", grace: 5 });
  const [first, second] = [view.submit(add, 1, 2), view.submit(add, 3, 4)];
  const other = executor.submit(add, 5, 6);
  assertMatch(String(first), /^<Future #\d+ name=mine state=pending>$/);
  executor.kept[0].run();
  controller.abort();
  assertEquals([first.result(0), second.cancelled(), other.cancelled()], [3, true, false]);
  for (const { run } of executor.kept) if (!first.done()) run();
  assert(view.submit(add, 1, 2).cancelled());
  assertEquals(executor.kept.length, 3, "what is cancelled from the start is not submitted");
  assertThrows(() => view.map(add, [1], [2]).next(), CancelledError);
});

test("Executor.with({ timeout }) of a subclass that only implements submit is refused at the call", () => {
  const executor = new Later();
  for (const view of [executor, executor.with({ name: "a" })]) {
    const error = assertThrows(() => view.with({ timeout: 50 }), TypeError);
    assertMatch(error.message, /timeout.*Later.*50/);
    assertThrows(() => view.with({ timeout: "50" as unknown as number }), TypeError, "number of milliseconds");
  }
  const views: ControlledExecutor[] = [executor.with({}), executor.with({ timeout: undefined }).with({ grace: 5 })];
  for (const view of views) view.submit(add, 1, 2);
  executor.with({ timeout: Infinity });
  assertEquals(executor.kept.length, 2);
});

test("Executor.with({ signal }) of a subclass that passes tasks on stops also what runs", async () => {
  using pool = new ThreadPoolExecutor(1);
  const executor = new Passing(pool);
  const controller = new AbortController();
  const future = executor.with({ signal: controller.signal, grace: 10_000 }).submit(loopUntilAborted);
  while (!future.running()) await new Promise((resolve) => setTimeout(resolve, 1));
  controller.abort("the reason");
  assertStrictEquals(future.exception(BOUND), "the reason");
  assertEquals([...executor.with({ name: "sums" }).map(add, [1, 2], [3, 4])], [4, 6]);
});

test("Future.abort() without an executor is cancel()", () => {
  const pending = new Future<number>();
  assertStrictEquals(pending.abort(new Error("no")), true);
  assert(pending.cancelled());
  assertStrictEquals(pending.abort(), false, "it is done");
  const running = new Future<number>();
  assert(running.setRunningOrNotifyCancel());
  assertStrictEquals(running.abort(), false);
  running.setResult(1);
  assertStrictEquals(running.abort(), false);
  // Nor can an owner stop it that only withdraws tasks.
  const owned = internals.create({ peek: () => "running", revoke: () => false, collect: () => {} });
  assertStrictEquals(owned.abort(), false);
  internals.settle(owned, true, 1);
  owned.result();
});

test("Future.progress() of a future that is done ends at once, and of another one when it is", async () => {
  const future = new Future<number>();
  const loop = future.progress();
  const next = loop.next();
  future.setResult(1);
  assertEquals(await within(next), { done: true, value: undefined });
  for await (const value of future.progress()) throw new Error(`it is done, and says ${value}`);
  assertEquals(await future.progress().return!(), { done: true, value: undefined });
});

test("Future.progress(): a loop that is slow keeps the newest values, and one that has ended keeps none", async () => {
  const future = internals.create({ peek: () => "running", revoke: () => false, collect: () => {} });
  const [slow, ended] = [future.progress(), future.progress()];
  const waiting = ended.next();
  await ended.return!();
  assertEquals((await within(waiting)).done, true);
  for (let i = 1; i <= 3_000; i++) internals.progress(future, i);
  internals.settle(future, true, "done");
  assertStrictEquals(future.result(0), "done");
  const values: unknown[] = [];
  for await (const value of slow) values.push(value);
  assertEquals([values.length < 1_100, values.at(-1)], [true, 3_000]);
  assertEquals((await ended.next()).done, true);
});
