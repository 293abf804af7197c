/** `initializer` and `initargs`, and a pool that is broken by them. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows, fail } from "@std/assert";
import { BrokenExecutor, CancelledError, type Executor, type Future, waitSync } from "@concurrent/futures";
import {
  both,
  bothCancelled,
  bothFail,
  BOUND,
  Gate,
  Ledger,
  rejectionOf,
  test,
  thrownBy,
  until,
  within,
} from "../_helpers.ts";
import {
  closeSelf,
  echo,
  exitWith,
  failSlowly,
  failToStart,
  failToStartLater,
  remember,
  rememberAndRecord,
  rememberLater,
  square,
  whatWasRemembered,
  whoAmI,
  whoAmIAtGate,
} from "../fixtures/tasks.ts";
import { throwValue } from "../fixtures/errors.ts";
import type { CommonOptions, Kind } from "./kind.ts";

export function initializerBehaviour(kind: Kind): void {
  const { name, make, broken } = kind;

  /** What `submit` throws, or the future's error: a pool may not know yet that it is broken. */
  function brokenBy(pool: Executor): unknown {
    let future: Future<unknown>;
    try {
      future = pool.submit(square, 2);
    } catch (error) {
      return error;
    }
    return future.exception(BOUND);
  }

  test(`${name}: the initializer runs in each worker, with its arguments, before the first task`, async () => {
    using pool = make({ maxWorkers: 2, initializer: remember, initargs: ["a", { b: new Date(1) }, undefined] });
    const seen = await within(Promise.all(Array.from({ length: 20 }, () => pool.submit(whatWasRemembered))));
    for (const values of seen) assertEquals(values, ["a", { b: new Date(1) }, undefined]);
    using blocked = make({ maxWorkers: 1, initializer: remember, initargs: [1] });
    assertEquals(blocked.submit(whatWasRemembered).result(BOUND), [1]);
  });

  test(`${name}: the initializer runs once per worker, and only in workers that are started`, async () => {
    const ledger = new Ledger();
    const unused = make({ maxWorkers: 2, initializer: rememberAndRecord, initargs: [ledger.path] });
    await unused.shutdown();
    assertEquals(ledger.lines(), []);
    using pool = make({ maxWorkers: 2, initializer: rememberAndRecord, initargs: [ledger.path] });
    // Both are started, and both have a task: one that is still starting might get none of many quick ones.
    using gate = new Gate();
    const held = [1, 2].map(() => pool.submit(whoAmIAtGate, gate.path));
    await gate.arrived(2);
    gate.open();
    const workers = new Set(await within(Promise.all(held)));
    assertEquals(workers.size, 2);
    for (let i = 0; i < 30; i++) assert(workers.has(await within(pool.submit(whoAmI))));
    assertEquals(ledger.lines().length, 2);
    assertEquals(new Set(ledger.lines()), workers);
  });

  test(`${name}: an asynchronous initializer is awaited before the first task`, async () => {
    using pool = make({ maxWorkers: 1, initializer: rememberLater, initargs: ["later"] });
    await both(() => pool.submit(whatWasRemembered), (values) => assertEquals(values, ["later"]));
  });

  test(`${name}: an initializer may be sent as source text`, async () => {
    const settings = { depth: 1 };
    using pool = make({
      maxWorkers: 1,
      initializer: (value: unknown) => Object.assign(globalThis, { settings: value }),
      initargs: [settings],
    });
    await both(
      () => pool.submit(() => (globalThis as unknown as { settings: unknown }).settings),
      (value) => assertEquals(value, { depth: 1 }),
    );
    assertEquals("settings" in globalThis, false);
  });

  test(`${name} refuses an initializer that is no function and initargs that are no array, at once`, () => {
    for (const initializer of [null, 5, "f", {}, []]) {
      assertThrows(
        () => make({ initializer } as unknown as CommonOptions),
        TypeError,
        undefined,
        Deno.inspect(initializer),
      );
    }
    for (const initargs of [null, 5, {}]) {
      assertThrows(() => make({ initializer: remember, initargs } as unknown as CommonOptions), TypeError);
    }
  });

  /** Checks everything that is promised of a pool whose initializer fails. */
  async function assertBroken(options: CommonOptions, checkCause: (cause: unknown) => void): Promise<void> {
    const pool = make({ maxWorkers: 1, ...options });
    // All at once, before the first answer; a pool that knows it when it is made throws from the first submit on.
    const attempts = Array.from({ length: 20 }, (): Future<unknown> | BrokenExecutor => {
      try {
        return pool.submit(square, 2);
      } catch (error) {
        return error as BrokenExecutor;
      }
    });
    const errors = attempts.map((attempt, i) => {
      if (attempt instanceof Error) return attempt;
      return i === 0 ? attempt.exception(BOUND) : thrownBy(() => attempt.result(BOUND));
    });
    for (const error of errors as BrokenExecutor[]) {
      assertInstanceOf(error, broken);
      assertInstanceOf(error, BrokenExecutor);
      assertEquals(error.name, broken.name);
      checkCause(error.cause);
    }
    assertEquals(new Set(errors).size, 20, "each future has an error of its own");
    if (!(attempts[5] instanceof Error)) assertInstanceOf(await rejectionOf(attempts[5]), broken);
    const later = [1, 2, 3].map(() => thrownBy(() => pool.submit(square, 1)));
    for (const error of later) {
      assertInstanceOf(error, broken);
      checkCause(error.cause);
    }
    assertEquals(new Set([...later, ...errors]).size, 23, "each later submit has one of its own");
    assertInstanceOf(thrownBy(() => [...pool.map(square, [1])]), broken);
    await within(pool.shutdown(), "shutdown() of a broken pool");
    pool.shutdownSync();
    assertInstanceOf(thrownBy(() => pool.submit(square, 1)), broken, "broken wins over shut down");
  }

  test(`${name} with an initializer that throws is broken: every future and every later submit says so`, async () => {
    await assertBroken({ maxWorkers: 2, initializer: failToStart, initargs: ["no way"] }, (cause) => {
      assertInstanceOf(cause, RangeError);
      assertEquals(cause.message, "no way");
      assertInstanceOf(cause.cause, TypeError);
    });
  });

  test(`${name} with an initializer that rejects is broken`, async () => {
    await assertBroken({ initializer: failToStartLater, initargs: ["later"] }, (cause) => {
      assertInstanceOf(cause, RangeError);
      assertEquals(cause.message, "later");
    });
  });

  test(`${name} with an initializer that throws a falsy value is broken`, async () => {
    await assertBroken({ initializer: throwValue, initargs: [0] }, (cause) => assertEquals(cause, 0));
  });

  test(`${name} with an initializer that exits or closes is broken`, async () => {
    for (const initializer of [exitWith, closeSelf]) {
      await assertBroken({ initializer, initargs: [3] }, (cause) => assertInstanceOf(cause, Error));
    }
  });

  test(`${name} with an initializer that cannot run in a worker is broken`, async () => {
    const hidden = 5;
    await assertBroken({ initializer: () => hidden }, (cause) => {
      assertInstanceOf(cause, Error);
      assertStringIncludes(cause.message, "hidden");
    });
    await assertBroken({ initializer: Math.max }, (cause) => assertInstanceOf(cause, Error));
  });

  test(`${name} with initargs that cannot cross says so, at once or by being broken`, () => {
    let pool: Executor;
    try {
      pool = make({ maxWorkers: 1, initializer: remember, initargs: [() => 1] });
    } catch (error) {
      assertInstanceOf(error, Error);
      assertStringIncludes(error.message, "initargs[0]");
      return;
    }
    using _pool = pool;
    assertInstanceOf(brokenBy(pool), broken);
  });

  test(`${name} broken while futures are awaited and waited for: all of them settle`, async () => {
    const pool = make({ maxWorkers: 2, initializer: failSlowly, initargs: [40] });
    const futures = Array.from({ length: 10 }, (_, i) => pool.submit(square, i));
    const cancelled = futures[9];
    assertEquals(cancelled.cancel(), true);
    let calls = 0;
    for (const future of futures) future.addDoneCallback(() => calls++);
    const outcomes = await within(Promise.allSettled(futures));
    for (const outcome of outcomes.slice(0, 9)) assertInstanceOf((outcome as PromiseRejectedResult).reason, broken);
    assertInstanceOf((outcomes[9] as PromiseRejectedResult).reason, CancelledError);
    await bothCancelled(cancelled);
    await until(() => calls === 10, "ten callbacks");
    await within(pool.shutdown());

    using other = make({ maxWorkers: 1, initializer: failSlowly, initargs: [40] });
    const blocked = [1, 2, 3].map((n) => other.submit(square, n));
    assertEquals(waitSync(blocked, { timeout: BOUND }).done.size, 3);
    for (const future of blocked) await bothFail(future, (error) => assertInstanceOf(error, broken));
  });

  test(`${name} broken: shutdown() resolves in the middle of it, blocking and awaited`, async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 1, initializer: failSlowly, initargs: [20] });
      const futures = [1, 2, 3].map((n) => pool.submit(square, n));
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown(), "shutdown()");
      for (const future of futures) {
        const error = future.exception(0);
        if (!(error instanceof broken)) fail(`not broken: ${future}`);
      }
    }
  });

  test(`${name} with maxWorkers that is no integer of at least 1 is refused`, () => {
    for (const maxWorkers of [0, -1, 1.5, NaN, Infinity, -Infinity]) {
      assertThrows(() => make({ maxWorkers }), RangeError, undefined, String(maxWorkers));
    }
    for (const maxWorkers of ["3", null, {}, [], true, 2n, Symbol("x")]) {
      assertThrows(
        () => make({ maxWorkers } as unknown as CommonOptions),
        TypeError,
        undefined,
        Deno.inspect(maxWorkers),
      );
    }
  });

  test(`${name}: a pool that is never used leaves nothing behind and can be shut down`, async () => {
    make();
    make({});
    make({ maxWorkers: undefined });
    using _blocked = make({ maxWorkers: 3 });
    await using _awaited = make({ maxWorkers: 3 });
    const pool = make();
    assert(pool !== undefined);
    await within(pool.submit(echo<number>, 1).then(() => pool.shutdown()));
  });
}
