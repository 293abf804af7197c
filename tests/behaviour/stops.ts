/** Tasks that end early, at moments and with arguments that somebody would choose who wants to prove them wrong. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals } from "@std/assert";
import { repeat, TimeoutError } from "@concurrent/futures";
import { bothFail, BOUND, Gate, Ledger, rejectionOf, sleep, test, until, untilSync, within } from "../_helpers.ts";
import { add, echo, passGateLater } from "../fixtures/tasks.ts";
import {
  aborted,
  awaitLong,
  awaitSignal,
  loopUntilAborted,
  recordAndFail,
  recordAndWait,
  returnSlowly,
  throwWhenAborted,
} from "../fixtures/control_tasks.ts";
import { countingSignal } from "./control.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";
import { range } from "./map.ts";

export function stopBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`Future.abort() of ${name}: a task with a timeout is told at once, and ends after its grace`, async () => {
    using pool = make({ maxWorkers: 1 });
    const ledger = new Ledger();
    const heeds = pool.with({ timeout: 3_600_000, grace: 3_600_000 }).submit(loopUntilAborted, ledger.path);
    await until(() => ledger.lines().includes("begun"), "its begin");
    const reason = new Error("enough");
    assert(heeds.abort(reason));
    await bothFail(heeds, (error) => assertStrictEquals(error, reason));
    assertEquals(ledger.lines(), ["begun", "AbortError"]);
    const heedless = pool.with({ timeout: 3_600_000, grace: 20 }).submit(awaitLong, 60_000);
    await until(() => heedless.running(), "its begin");
    assert(heedless.abort(reason));
    assertStrictEquals(heedless.exception(BOUND), reason);
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
  });

  test(`Future.abort() and with({ signal }) of ${name}: any reason arrives as it is, if it is one`, async () => {
    using pool = borrow(kind, 1);
    for (const reason of [null, 0, "", false, () => 1, Symbol("reason")]) {
      for (const isSignal of [false, true]) {
        const controller = new AbortController();
        const options = { grace: 60_000, signal: isSignal ? controller.signal : undefined };
        const future = pool.with(options).submit(loopUntilAborted);
        await until(() => future.running(), "its begin");
        if (isSignal) controller.abort(reason);
        else assert(future.abort(reason));
        await bothFail(future, (error) => assertStrictEquals(error, reason));
      }
    }
    const future = pool.with({ grace: 60_000 }).submit(loopUntilAborted);
    await until(() => future.running(), "its begin");
    assert(future.abort(undefined));
    assertInstanceOf(await rejectionOf(future), DOMException);
  });

  test(`map() of ${name}: no item of a chunk begins when something has ended the chunk`, async () => {
    using pool = make({ maxWorkers: 1 });
    const ledger = new Ledger();
    // An error of a timer ends it, while the item goes on.
    const failing = pool.map(recordAndFail, repeat(ledger.path, 4), range(4), { chunksize: 4 });
    assertMatch(String(await rejectionOf(Array.fromAsync(failing))), /in a timer/);
    await within(pool.submit(awaitLong, 100));
    assertEquals(ledger.lines(), ["0"]);
  });

  test(`with({ signal }).map() of ${name}: a stopped chunk begins no item, whoever has its slot`, async () => {
    using pool = make({ maxWorkers: 1 });
    // The slot of the chunk, or that of the task behind it, is used again first.
    for (const before of [0, 1, 0, 1]) {
      const ledger = new Ledger();
      using gate = new Gate();
      using other = new Gate();
      const controller = new AbortController();
      const view = pool.with({ signal: controller.signal, grace: 50 });
      const results = view.map(recordAndWait, repeat(ledger.path, 4), repeat(gate.path, 4), range(4), { chunksize: 4 });
      await until(() => ledger.lines().length === 1, "the first item");
      controller.abort(new Error("stopped"));
      assertMatch(String(await rejectionOf(Array.fromAsync(results))), /stopped/);
      await within(pool.submit(add, 1, 2));
      const quick = range(before).map((n) => pool.submit(echo<number>, n));
      const next = pool.submit(passGateLater<number>, other.path, 1);
      await other.arrived();
      // Where the item goes on all the same, it ends while this task runs in the same thread.
      gate.open();
      await sleep(50);
      other.open();
      assertEquals(await within(next), 1);
      assertEquals(await within(Promise.all(quick)), range(before));
      assertEquals(ledger.lines(), ["0"]);
    }
  });

  test(`${name}: a signal among the arguments has a listener only as long as tasks have it`, async () => {
    using pool = borrow(kind, 1);
    const { controller, signal, count, added } = countingSignal();
    assertEquals((await within(pool.submit(aborted, signal))).slice(0, 2), [true, false]);
    assertEquals(count(), 0);
    // A listener would keep the program alive until then.
    await within(pool.submit(aborted, AbortSignal.timeout(3_600_000)));
    assertInstanceOf(pool.submit((_signal, _fn) => 1, signal, () => 1).exception(BOUND), Error);
    assertEquals(count(), 0);
    const before = added();
    const ledger = new Ledger();
    using gate = new Gate();
    const held = pool.submit(passGateLater<number>, gate.path, 1);
    const futures = range(200).map(() => pool.submit(awaitSignal, signal, ledger.path));
    assertEquals([count(), added()], [1, before + 1]);
    const cancelled = futures.splice(0, 100);
    for (const future of cancelled) assert(future.cancel());
    assertEquals(count(), 1);
    gate.open();
    await within(held);
    await until(() => ledger.lines().length === 1, "the begin");
    controller.abort("the reason");
    assertEquals(await within(Promise.all(futures)), futures.map(() => "the reason"));
    assertEquals(count(), 0);
    assertEquals((await within(pool.submit(aborted, signal)))[2], "the reason");
    assertEquals(count(), 0);
  });

  test(`${name}: a getter of an argument aborts a signal among the arguments, before and behind it`, async () => {
    using pool = borrow(kind, 1);
    for (const isBefore of [true, false]) {
      const controller = new AbortController();
      const trap = {
        get now() {
          controller.abort("trapped");
          return 1;
        },
      };
      const { signal } = controller;
      const args = isBefore ? [trap, signal] as const : [signal, trap] as const;
      const heard = await within(pool.submit(
        (first: unknown, second: unknown) => {
          const signal = (first instanceof AbortSignal ? first : second) as AbortSignal;
          return [signal.aborted, signal.reason];
        },
        args[0],
        args[1],
      ));
      assertEquals(heard, [true, "trapped"]);
    }
  });

  test(`with({ timeout }) of ${name} looks at the clock when a task returns, and not when its result is read`, () => {
    using pool = borrow(kind, 1);
    assertEquals(pool.submit(add, 1, 2).result(BOUND), 3);
    // The getter of the result takes longer than the task may.
    assertEquals(pool.with({ timeout: 400, grace: 60_000 }).submit(returnSlowly, 500).result(BOUND), { slow: 500 });
  });

  test(`currentTask().signal of ${name}: a listener that throws keeps nothing from ending`, async () => {
    using pool = borrow(kind, 1);
    const ledger = new Ledger();
    for (const options of [{ grace: 60_000 }, { timeout: 100, grace: 60_000 }]) {
      const future = pool.with(options).submit(throwWhenAborted, ledger.path);
      await until(() => ledger.lines().length === 1, "its begin");
      if (options.timeout === undefined) assert(future.abort("the reason"));
      const error = await rejectionOf(future);
      if (options.timeout === undefined) assertStrictEquals(error, "the reason");
      else assertInstanceOf(error, TimeoutError);
      Deno.removeSync(ledger.path);
      assertEquals(await within(pool.submit(add, 1, 2)), 3);
    }
  });

  test(`Future.abort() of ${name} in callbacks: of what is done, runs and waits`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const first = pool.submit(passGateLater<number>, gate.path, 1);
    const running = pool.with({ grace: 60_000 }).submit(loopUntilAborted);
    const waiting = pool.submit(echo<number>, 2);
    const seen: unknown[] = [];
    first.addDoneCallback(() => {
      untilSync(() => running.running(), "its begin");
      running.addDoneCallback((future) => seen.push(future.exception(), future.abort()));
      waiting.addDoneCallback((future) => seen.push(future.cancelled(), future.abort()));
      // The one that waits first: it may run as soon as the other one is stopped.
      seen.push(first.abort("a"), waiting.abort("c"), running.abort("b"));
    });
    await gate.arrived();
    gate.open();
    assertEquals(await within(first), 1);
    assertEquals(await rejectionOf(running), "b");
    assertEquals(seen, [true, false, false, true, true, "b", false]);
  });
}
