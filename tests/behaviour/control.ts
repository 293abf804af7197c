/**
 * Tasks under control: timeouts, signals, `abort()`, names, `currentTask()`.
 *
 * Over 400 lines: each way to stop a task with each state that a task can be in.
 */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import {
  CancelledError,
  currentTask,
  type Future,
  reportProgress,
  SerializationError,
  ShutdownError,
  type TaskOptions,
  taskRef,
  TimeoutError,
} from "@concurrent/futures";
import {
  Border,
  bothCancelled,
  bothFail,
  BOUND,
  Gate,
  Ledger,
  rejectionOf,
  sleep,
  spin,
  temporaryPath,
  test,
  thrownBy,
  until,
  untilSync,
  within,
} from "../_helpers.ts";
import { add, compute, echo, passGate, passGateLater, record } from "../fixtures/tasks.ts";
import {
  askLate,
  awaitAbort,
  awaitLong,
  describeTask,
  loopForever,
  loopUntilAborted,
  pauseFor,
  returnWhenAborted,
  trySignal,
} from "../fixtures/control_tasks.ts";
import { throwValue } from "../fixtures/errors.ts";
import { type Hold, SLOW_IMPORT } from "../fixtures/slow_record.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

/** For tasks that heed their signal: on a busy machine they may come to that late. */
const PATIENT = { grace: 10_000 };

/** The file that `slow_record.ts` reads. Nodes of a cluster that start later have the same environment. */
const slowImport = temporaryPath("slow_import");
Deno.env.set(SLOW_IMPORT, slowImport);

/** A signal that counts the listeners that are added to it and removed. */
export function countingSignal(): {
  controller: AbortController;
  signal: AbortSignal;
  count: () => number;
  added: () => number;
} {
  const controller = new AbortController();
  const { signal } = controller;
  let [added, removed] = [0, 0];
  const { addEventListener, removeEventListener } = signal;
  Object.defineProperties(signal, {
    addEventListener: {
      value: (...args: Parameters<typeof addEventListener>) => {
        added++;
        addEventListener.apply(signal, args);
      },
    },
    removeEventListener: {
      value: (...args: Parameters<typeof removeEventListener>) => {
        removed++;
        removeEventListener.apply(signal, args);
      },
    },
  });
  return { controller, signal, count: () => added - removed, added: () => added };
}

/** Waits until a task has said in a ledger that it has begun. */
async function begunIn(ledger: Ledger): Promise<void> {
  await until(() => ledger.lines().includes("begun"), "a task that has begun");
}

export function controlBehaviour(kind: Kind): void {
  const { name, make, isRemote } = kind;
  /** What the first worker of a pool is called. */
  const worker = isRemote ? "\\S+-\\d+" : `${name}-\\d+_0`;

  test(`with({ timeout }) of ${name}: tasks that heed it fail with TimeoutError, the pool goes on`, async () => {
    using pool = borrow(kind, 1);
    await within(pool.submit(describeTask));
    const limited = pool.with({ timeout: 50, ...PATIENT });
    for (const task of [loopUntilAborted, awaitAbort]) {
      const ledger = new Ledger();
      await bothFail(limited.submit(task, ledger.path), (error) => {
        assertInstanceOf(error, TimeoutError);
        assertMatch(error.message, new RegExp(`${task.name}.* ${worker}, .*: 50 ms$`));
      });
      assertMatch(ledger.lines().join(), /^begun,(true )?TimeoutError$/);
    }
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
  });

  test(`with({ timeout }) of ${name}: a task that is too late fails, whether it returns or awaits`, async () => {
    using pool = borrow(kind, 1);
    await within(pool.submit(compute, 1));
    const limited = pool.with({ timeout: 30, grace: 20_000 });
    assertInstanceOf(await rejectionOf(limited.submit(compute, 60)), TimeoutError);
    assertInstanceOf(await rejectionOf(limited.submit(awaitLong, 60)), TimeoutError);
    const inTime = pool.with({ timeout: 20_000 });
    assertEquals(await within(inTime.submit(awaitLong, 60)), "the end");
    assert(await within(inTime.submit(compute, 30)) > 0);
    assertEquals(await within(pool.with({ timeout: Infinity }).submit(add, 1, 2)), 3);
    // There is no time at all.
    assertInstanceOf(await rejectionOf(pool.with({ timeout: 0 }).submit(awaitLong, 30)), TimeoutError);
  });

  test(`with({ timeout, grace }) of ${name}: a task that awaits and heeds nothing ends after its grace`, async () => {
    using pool = make({ maxWorkers: 1 });
    await within(pool.submit(awaitLong, 1));
    const start = performance.now();
    const future = pool.with({ timeout: 50, grace: 50 }).submit(awaitLong, 15_000);
    assertInstanceOf(future.exception(BOUND), TimeoutError);
    const ms = performance.now() - start;
    assert(ms >= 99, `after ${ms} ms`);
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
  });

  test(`with({ timeout }) of ${name} counts from when the task begins, not from submit()`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const first = pool.submit(passGate<number>, gate.path, 1);
    const limited = pool.with({ timeout: 5_000 });
    const behind = [1, 2, 3].map((n) => limited.submit(echo<number>, n));
    const soon = pool.with({ timeout: 100 }).submit(echo<number>, 4);
    await gate.arrived();
    await sleep(250);
    gate.open();
    assertEquals(await within(first), 1);
    assertEquals(await within(Promise.all(behind)), [1, 2, 3]);
    assertEquals(await within(soon), 4);
  });

  test(`with({ timeout }) of ${name} holds while this thread computes`, async () => {
    using pool = borrow(kind, 1);
    await within(pool.submit(describeTask));
    for (const task of [loopUntilAborted, awaitAbort]) {
      const ledger = new Ledger();
      const future = pool.with({ timeout: 30, ...PATIENT }).submit(task, ledger.path);
      const end = performance.now() + 10_000;
      // Neither blocks in a call of the library nor lets the event loop go on.
      while (ledger.lines().length < 2 && performance.now() < end) spin(5);
      assertMatch(ledger.lines()[1] ?? "", /TimeoutError/);
      assertInstanceOf(await rejectionOf(future), TimeoutError);
    }
  });

  test(`Future.abort() of ${name}: cancels what waits, stops what runs, and does nothing to what is done`, async () => {
    using pool = borrow(kind, 1);
    const ledger = new Ledger();
    const running = pool.with(PATIENT).submit(loopUntilAborted, ledger.path);
    const waiting = pool.submit(record<number>, ledger.path, 1);
    await begunIn(ledger);
    const reason = new Error("enough");
    const called: unknown[] = [];
    waiting.addDoneCallback((future) => called.push(future));
    assertStrictEquals(waiting.abort(reason), true);
    assertEquals(called, [waiting], "its callbacks are called before abort() returns");
    await bothCancelled(waiting);
    assertStrictEquals(waiting.abort(), false);
    assertStrictEquals(running.abort(reason), true);
    assertStrictEquals(running.abort(new Error("another one")), false);
    assertStrictEquals(running.cancel(), false);
    await bothFail(running, (error) => assertStrictEquals(error, reason));
    assertStrictEquals(running.abort(), false);
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
    assertEquals(ledger.lines(), ["begun", "AbortError"]);
    const done = pool.submit(echo<number>, 1);
    await until(() => done.done(), "its end");
    assertStrictEquals(done.abort(reason), false);
    assertEquals(await done, 1);
  });

  test(`Future.abort() of ${name} without a reason: an AbortError, and tasks that await hear of it`, async () => {
    using pool = borrow(kind, 1);
    for (const ms of [0, 20]) {
      const ledger = new Ledger();
      const future = pool.with(PATIENT).submit(awaitAbort, ledger.path);
      await begunIn(ledger);
      await sleep(ms);
      assert(future.abort());
      const error = await rejectionOf(future);
      assertInstanceOf(error, DOMException);
      assertEquals(error.name, "AbortError");
      assertEquals(ledger.lines(), ["begun", "true AbortError"]);
    }
  });

  test(`Future.abort() of ${name}: a task hears of it that asks for its signal only then`, async () => {
    using pool = borrow(kind, 1);
    await within(pool.submit(describeTask));
    for (let i = 0; i < 20; i += 2) {
      const future = pool.with({ grace: 60_000 }).submit(askLate, 20, i % 4 === 0);
      untilSync(() => future.running(), "its begin");
      spin(i);
      assert(future.abort());
      assertEquals((await rejectionOf(future)).name, "AbortError");
    }
  });

  test(`Future.abort() of ${name}: what a stopped task returns counts for nothing`, async () => {
    using pool = borrow(kind, 1);
    for (let i = 0; i < 3; i++) {
      const ledger = new Ledger();
      const future = pool.with(PATIENT).submit(returnWhenAborted, ledger.path);
      await begunIn(ledger);
      const reason = { falsy: 0 };
      assert(future.abort(reason));
      await bothFail(future, (error) => assertStrictEquals(error, reason));
    }
  });

  test(`Future.abort() of ${name}: a task that awaits and heeds nothing ends after its grace`, async () => {
    using pool = make({ maxWorkers: 1 });
    await within(pool.submit(awaitLong, 1));
    const ledger = new Ledger();
    const future = pool.with({ grace: 30 }).submit(awaitLong, 15_000, ledger.path);
    await begunIn(ledger);
    const start = performance.now();
    assert(future.abort());
    assertEquals((future.exception(BOUND) as Error).name, "AbortError");
    assert(performance.now() - start >= 29);
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
  });

  test(`Future.abort() of ${name}: any of many tasks is aborted, and the others run once each`, async () => {
    using pool = borrow(kind, 2);
    for (let round = 0; round < (isRemote ? 5 : 10); round++) {
      const ledger = new Ledger();
      const futures = Array.from({ length: 200 }, (_, i) => pool.submit(record<number>, ledger.path, i));
      const ran = new Set<number>();
      const aborted = new Set<number>();
      for (let i = round; i < futures.length; i += 7) {
        if (futures[i].abort()) aborted.add(i);
        if (i % 3 === 0) spin(0.1);
      }
      const outcomes = await within(Promise.allSettled(futures));
      await within(pool.submit(add, 1, 2));
      for (const line of ledger.numbers()) {
        assert(!ran.has(line), `${line} has run twice`);
        ran.add(line);
      }
      for (const [i, { status }] of outcomes.entries()) {
        if (!aborted.has(i)) assert(status === "fulfilled" && ran.has(i), `${i} was not aborted: ${futures[i]}`);
        else if (futures[i].cancelled()) assert(!ran.has(i), `${i} was cancelled and has run`);
        else assertEquals(status, "rejected", `${i} was stopped`);
      }
    }
  });

  test(`Future.abort() of ${name}, then shutdown(): it ends, and what waits still runs`, async () => {
    for (const task of [loopUntilAborted, awaitAbort] as const) {
      const pool = make({ maxWorkers: 1 });
      const ledger = new Ledger();
      const future = pool.with(PATIENT).submit(task, ledger.path);
      const behind = pool.submit(echo<number>, 1);
      await begunIn(ledger);
      assert(future.abort());
      await within(pool.shutdown());
      assertEquals((future.exception(0) as Error).name, "AbortError");
      assertEquals(behind.result(0), 1);
    }
  });

  test(`Future.abort() of ${name} while the first worker starts, and while its module is loaded`, async () => {
    for (const ms of isRemote ? [0, 50, 200] : [0, 20, 60, 150]) {
      using pool = make({ maxWorkers: 1 });
      const ledger = new Ledger();
      const future = pool.submit(loopUntilAborted, ledger.path);
      await sleep(ms);
      assert(future.abort());
      const error = await rejectionOf(future);
      assert(error instanceof CancelledError || error.name === "AbortError", String(error));
      assertEquals(await within(pool.submit(add, 1, 2)), 3);
      if (future.cancelled()) assertEquals(ledger.lines(), []);
    }
  });

  test(`Future.abort() of ${name} while the module of the task is imported: it never begins`, async () => {
    const task = taskRef<(ledger: string) => void>(
      import.meta.resolve("../fixtures/slow_record.ts"),
      "recordAfterImport",
    );
    // Its worker goes on when the module is there, or before, or is killed. The first import lasts until the worker has
    // heard of the abort, which takes a busy machine long; the second one until the task has ended without it.
    for (const [grace, orAborted] of [[10_000, true], [20, false]] as const) {
      using pool = make({ maxWorkers: 1 });
      await within(pool.submit(add, 1, 2));
      let ledger: Ledger;
      for (let isHeld = false; !isHeld;) {
        ledger = new Ledger();
        if (isRemote) {
          // A node has loaded all modules in its first process: another one has to take the place of that. It would not
          // where a task heeds its signal and so ends before its process is killed.
          const looping = pool.with({ grace: 0 }).submit(loopForever);
          await until(() => looping.running(), "its begin");
          assert(looping.abort());
          await rejectionOf(looping);
        }
        using gate = new Gate();
        Deno.writeTextFileSync(slowImport, JSON.stringify({ gate: gate.path, orAborted } satisfies Hold));
        const future = pool.with({ grace }).submit(task, ledger.path);
        await until(() => gate.arrivals() > 0 || future.done(), "the import of the module");
        // A node of a busy machine may have had a second process, when the first one was held up, and that is left.
        isHeld = gate.arrivals() > 0 || !isRemote;
        if (!isHeld) continue;
        await until(() => future.running(), "its begin");
        assert(future.abort());
        assertEquals((await rejectionOf(future)).name, "AbortError");
      }
      // In the same worker it waits for the same import, behind the task that was aborted.
      const after = new Ledger();
      await within(pool.submit(task, after.path));
      assertEquals([ledger!.lines(), after.lines()], [[], ["it has begun"]]);
    }
  });

  test(`with({ signal }) of ${name}: an aborted one cancels at once, also inside of submit()`, async () => {
    using pool = make({ maxWorkers: 1 });
    const ledger = new Ledger();
    await bothCancelled(pool.with({ signal: AbortSignal.abort("no") }).submit(record<number>, ledger.path, 1));
    const { controller, signal, count } = countingSignal();
    const argument = {
      get trap() {
        controller.abort();
        return 1;
      },
    };
    await bothCancelled(pool.with({ signal }).submit(echo<unknown>, argument));
    assertEquals(count(), 0);
    assertThrows(() => [...pool.with({ signal }).map(echo<number>, [1, 2])], CancelledError);
    assertThrows(() => pool.with({ signal }).submit(1 as unknown as () => void), TypeError);
    await within(pool.shutdown());
    assertThrows(() => pool.with({ signal }).submit(add, 1, 2), ShutdownError);
    assertEquals(ledger.lines(), []);
  });

  test(`with({ signal }) of ${name}: cancels what waits, stops what runs, and then calls callbacks`, async () => {
    using pool = borrow(kind, 1);
    const { controller, signal, count, added } = countingSignal();
    const ledger = new Ledger();
    const abortable = pool.with({ signal, ...PATIENT });
    const running = abortable.submit(loopUntilAborted, ledger.path);
    const waiting = [1, 2, 3].map((n) => abortable.submit(record<number>, ledger.path, n));
    const other = pool.submit(record<number>, ledger.path, 4);
    await begunIn(ledger);
    const seen: string[] = [];
    waiting[0].addDoneCallback(() => {
      // A callback that blocks lets the worker go on.
      seen.push(waiting.map((future) => future.state).join(), String(running.abort()), String(other.result(BOUND)));
    });
    controller.abort("the reason");
    assertEquals(seen, ["CANCELLED,CANCELLED,CANCELLED", "false", "4"]);
    for (const future of waiting) await bothCancelled(future);
    await bothFail(running, (error) => assertStrictEquals(error, "the reason"));
    assertEquals(ledger.lines(), ["begun", "AbortError", "4"]);
    assertEquals([count(), added()], [0, 1]);
  });

  test(`with({ signal }) of ${name}: listeners are removed when the futures are done`, async () => {
    using pool = make({ maxWorkers: 1 });
    const { signal, count, added } = countingSignal();
    const abortable = pool.with({ signal });
    assertEquals(abortable.submit(add, 1, 2).result(BOUND), 3);
    assertEquals(count(), 0);
    assertEquals(await within(abortable.submit(add, 1, 2)), 3);
    assertEquals(count(), 0);
    const failing = abortable.submit(throwValue, new Error("no"));
    assertInstanceOf(failing.exception(BOUND), Error);
    const refused = abortable.submit(echo<unknown>, () => 1);
    assertInstanceOf(refused.exception(BOUND), SerializationError);
    assertEquals([...abortable.map(add, [1, 2, 3], [4, 5, 6])], [5, 7, 9]);
    using gate = new Gate();
    const held = pool.submit(passGate, gate.path);
    await gate.arrived();
    const waiting = abortable.submit(add, 1, 2);
    assertEquals(count(), 1);
    assert(waiting.cancel());
    assertEquals(count(), 0);
    gate.open();
    await within(held);
    assert(added() >= 4);
  });

  test(`with({ signal }) of ${name}: one listener for 10,000 tasks, which are all cancelled at once`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const ledger = new Ledger();
    const held = [1, 2].map((n) => pool.submit(passGate<number>, gate.path, n));
    await gate.arrived(2);
    const { controller, signal, count, added } = countingSignal();
    const abortable = pool.with({ signal });
    const futures = Array.from({ length: 10_000 }, (_, i) => abortable.submit(record<number>, ledger.path, i));
    assertEquals([count(), added()], [1, 1]);
    controller.abort();
    assertEquals(futures.filter((future) => future.cancelled()).length, 10_000);
    assertEquals(count(), 0);
    gate.open();
    assertEquals(await within(Promise.all(held)), [1, 2]);
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
    assertEquals(ledger.lines(), []);
  });

  test(`with() of ${name}: options add up, the inner one wins, and the name is seen everywhere`, async () => {
    using pool = borrow(kind, 1);
    const outer = pool.with({ name: "outer", timeout: 20_000, ...PATIENT });
    const inner = outer.with({ name: "inner" }).with({ timeout: undefined });
    assertMatch(String(outer.submit(echo<number>, 1)), /^<Future #\d+ name=outer state=/);
    assertMatch(String(inner.submit(echo<number>, 1)), /name=inner/);
    for (const args of [[], [1], ["text"], [{ a: 1n }, new Uint8Array(100_000)]]) {
      assertEquals((await within(inner.submit(describeTask, ...args)))[0], "inner");
    }
    assertEquals((await within(pool.submit(describeTask)))[0], "describeTask");
    const [ownName, ownWorker, attempt, isAborted] = outer.submit(describeTask).result(BOUND);
    assertEquals([ownName, attempt, isAborted], ["outer", 1, false]);
    assertMatch(ownWorker, new RegExp(`^${worker}$`));
    assertMatch((inner.with({ timeout: 30 }).submit(loopUntilAborted).exception(BOUND) as Error).message, /Task inner/);
    for (const chunksize of [1, 4]) {
      const names = [...pool.with({ name: "of a map" }).map(describeTask, [1, 2, 3, 4, 5], { chunksize })];
      assertEquals(names.map(([name]) => name), Array(5).fill("of a map"));
    }
    const refused = inner.submit(add, 1, { list: [() => 1] } as unknown as number).exception(BOUND);
    assertInstanceOf(refused, SerializationError);
    assertEquals(refused.path, "args[1].list[0]");
  });

  test(`with({ timeout }).map() of ${name}: each item has its own time`, async () => {
    using pool = borrow(kind, 1);
    await within(pool.submit(pauseFor, 1));
    // So long, as a busy machine stops a thread or a process for some tenths of a second now and then.
    const view = pool.with({ timeout: 700 });
    const results = view.map(pauseFor, [1, 2, 15_000, 3], { chunksize: 4 });
    assertEquals([results.next().value, results.next().value], [1, 2]);
    assertInstanceOf(thrownBy(() => results.next()), TimeoutError);
    assertEquals(results.next().done, true);
    // Together they take longer than one may.
    assertEquals([...view.map(pauseFor, Array(10).fill(80))].length, 10);
  });

  test(`with({ signal }).map() of ${name}: what has not run is cancelled, which ends the iteration`, async () => {
    using pool = borrow(kind, 1);
    const controller = new AbortController();
    const ledger = new Ledger();
    const results = pool.with({ signal: controller.signal, ...PATIENT }).map(loopUntilAborted, [
      ledger.path,
      ledger.path,
    ]);
    await begunIn(ledger);
    controller.abort(new Error("stopped"));
    assertMatch(String(thrownBy(() => results.next())), /stopped/);
    assertEquals(ledger.lines(), ["begun", "AbortError"]);
  });

  test(`currentTask().signal of ${name} is a real signal: fetch() and AbortSignal.any() take it`, async () => {
    using pool = borrow(kind, 1);
    const ledger = new Ledger();
    // It never answers.
    const server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const connections: Deno.Conn[] = [];
    const serving = (async () => {
      for await (const connection of server) connections.push(connection);
    })();
    const { port } = server.addr as Deno.NetAddr;
    const url = `http://127.0.0.1:${port}/?ledger=${encodeURIComponent(ledger.path)}`;
    const future = pool.with(PATIENT).submit(trySignal, url);
    await begunIn(ledger);
    assert(future.abort());
    assertEquals((await rejectionOf(future)).name, "AbortError");
    assertEquals(ledger.lines(), ["begun", '[true,true,true,true,"AbortError"]']);
    server.close();
    await serving.catch(() => {});
    for (const connection of connections) connection.close();
  });

  test(`currentTask() outside of a task of ${name} is undefined, and reportProgress() does nothing`, () => {
    using pool = borrow(kind, 1);
    assertEquals(pool.submit(add, 1, 2).result(BOUND), 3);
    assertStrictEquals(currentTask(), undefined);
    assertStrictEquals(reportProgress(() => 1), undefined);
  });

  test(`with() of ${name} checks its options at the call, and names the one that is wrong`, () => {
    using pool = borrow(kind, 1);
    const bad: [options: unknown, error: new (message?: string) => Error, text: RegExp][] = [
      [{ timeout: NaN }, RangeError, /timeout.*NaN/],
      [{ timeout: NaN, timeOut: 50, signal: 5 }, RangeError, /timeout.*NaN/],
      [{ timeout: "50" }, TypeError, /timeout.*"50"/],
      [{ timeout: null }, TypeError, /timeout.*null/],
      [{ timeout: 5n }, TypeError, /timeout.*5n/],
      [{ grace: NaN }, RangeError, /grace.*NaN/],
      [{ grace: NaN, name: 5 }, RangeError, /grace.*NaN/],
      [{ grace: "1" }, TypeError, /grace.*"1"/],
      [{ signal: {} }, TypeError, /signal.*\{\}/],
      [{ signal: new AbortController() }, TypeError, /signal.*AbortController/],
      [{ signal: null }, TypeError, /signal.*null/],
      [{ signal: Object.create(AbortSignal.prototype) }, TypeError, /signal/],
      [{ name: 5 }, TypeError, /name.*5/],
      [{ timeOut: 50 }, TypeError, /timeout, signal, name or grace.*timeOut/],
      [{ chunksize: 5 }, TypeError, /timeout, signal, name or grace.*chunksize/],
      [undefined, TypeError, /undefined/],
      [null, TypeError, /null/],
      [5, TypeError, /5/],
    ];
    for (const [options, error, text] of bad) {
      for (const executor of [pool, pool.with({})]) {
        assertMatch(assertThrows(() => executor.with(options as TaskOptions), error).message, text);
      }
    }
    for (const time of [0, 1.5, Infinity, undefined]) pool.with({ timeout: time, grace: time });
  });

  test(`with() of ${name}: a timeout or a grace below 0 is one of 0`, async () => {
    const pool = make({ maxWorkers: 1 });
    for (const time of [-1, -Infinity, -0.5]) {
      const future = pool.with({ timeout: time, ...PATIENT }).submit(loopUntilAborted);
      const error = await rejectionOf(future);
      assertInstanceOf(error, TimeoutError);
      assertMatch(error.message, / its timeout: 0 ms$/);
      assertInstanceOf(pool.with({ timeout: 1, grace: time }).submit(awaitLong, 60_000).exception(BOUND), TimeoutError);
    }
    assertEquals(await within(pool.submit(echo<number>, 5)), 5);
    await within(pool.shutdown());
  });

  test(`a task of ${name} that is stopped just when it ends fails with the reason, or has its result`, async () => {
    using pool = borrow(kind, 1);
    await within(pool.submit(compute, 1));
    const counts = { stopped: 0, returned: 0 };
    const border = new Border(2);
    for (let i = 0; i < (isRemote ? 30 : 60); i++) {
      const future = pool.submit(compute, border.ms);
      const behind = [1, 2, 3].map((n) => pool.submit(echo<number>, n));
      untilSync(() => future.running() || future.done(), "its begin");
      spin(1 + border.later);
      const reason = new Error("stopped");
      const isStopped = future.abort(reason);
      if (isStopped) assertStrictEquals(await rejectionOf(future), reason);
      else assertEquals(typeof await within(future), "number");
      counts[isStopped ? "stopped" : "returned"]++;
      border.note(isStopped);
      assertEquals(await within(Promise.all(behind)), [1, 2, 3]);
    }
    assert(counts.stopped > 0 && counts.returned > 0, JSON.stringify(counts));
  });

  test(`a task of ${name} whose time is over just when it ends has its result or has timed out, once`, async () => {
    using pool = make({ maxWorkers: 1 });
    await within(pool.submit(compute, 1));
    const outcomes = { late: 0, inTime: 0 };
    const border = new Border(4);
    for (let i = 0; i < (isRemote ? 30 : 60); i++) {
      const timeout = 4 + border.later;
      const future: Future<number> = pool.with({ timeout, grace: 0 }).submit(compute, border.ms);
      const behind = pool.submit(echo<number>, i);
      const error = future.exception(BOUND);
      outcomes[error === null ? "inTime" : "late"]++;
      border.note(error !== null);
      if (error !== null) assertInstanceOf(error, TimeoutError);
      assertEquals(behind.result(BOUND), i);
    }
    assert(outcomes.late > 0 && outcomes.inTime > 0, JSON.stringify(outcomes));
  });

  test(`passGateLater() of ${name} under a timeout that is long keeps nothing alive`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const future = pool.with({ timeout: 3_600_000, grace: 3_600_000 }).submit(passGateLater<number>, gate.path, 1);
    await gate.arrived();
    gate.open();
    assertEquals(await within(future), 1);
  });
}
