/**
 * `shutdown()`, `shutdownSync()`, `using`.
 *
 * Over 400 lines: each way to shut down with each state that a pool can be in.
 */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { type Future, ShutdownError, waitSync } from "@concurrent/futures";
import {
  bothCancelled,
  BOUND,
  elapsed,
  Gate,
  Ledger,
  liveWorkers,
  pause,
  test,
  thrownBy,
  until,
  within,
} from "../_helpers.ts";
import {
  echo,
  echoLater,
  failToStart,
  leaveThings,
  passGate,
  passGateLater,
  record,
  recordSlowly,
  repeat,
  square,
} from "../fixtures/tasks.ts";
import { throwValue } from "../fixtures/errors.ts";
import { begun, type Kind } from "./kind.ts";
import { collect } from "./map.ts";

const MESSAGE = "Cannot schedule new futures after shutdown";

export function shutdownBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}.submit() and map() after shutdown throw ShutdownError`, async () => {
    for (const used of [false, true]) {
      const pool = make({ maxWorkers: 1 });
      if (used) {
        await within(pool.submit(square, 2));
        assertStrictEquals(pool.shutdownSync(), undefined);
      } else assertStrictEquals(await within(pool.shutdown()), undefined);
      for (let i = 0; i < 2; i++) {
        const error = thrownBy(() => pool.submit(square, 2));
        assertInstanceOf(error, ShutdownError);
        assertEquals([error.name, error.message], ["ShutdownError", MESSAGE]);
        assertThrows(() => [...pool.map(square, [1, 2])], ShutdownError, MESSAGE);
        await assertRejects(async () => await collect(pool.map(square, [1, 2])), ShutdownError, MESSAGE);
      }
    }
  });

  test(`${name}.submit() throws ShutdownError as soon as shutdown() has been called`, async () => {
    const pool = make({ maxWorkers: 1 });
    const future = pool.submit(echoLater<number>, 1, 20);
    const ended = pool.shutdown();
    assertThrows(() => pool.submit(square, 1), ShutdownError, MESSAGE);
    await within(ended);
    assertEquals(await future, 1);
    const other = make({ maxWorkers: 1 });
    const left = other.shutdown({ wait: false });
    assertThrows(() => other.submit(square, 1), ShutdownError, MESSAGE);
    await within(left);
  });

  test(`${name}.shutdown() runs what is queued, then ends every worker`, async () => {
    for (const blocking of [true, false]) {
      const ledger = new Ledger();
      const pool = make({ maxWorkers: 2 });
      const futures = Array.from({ length: 50 }, (_, i) => pool.submit(recordSlowly<number>, ledger.path, i, 1));
      const failing = pool.submit(throwValue, new Error("no"));
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown(), "shutdown()");
      assertEquals(liveWorkers(), 0, "every worker is gone");
      assertEquals(futures.map((future) => future.state), Array(50).fill("FINISHED"));
      assertEquals(futures.map((future) => future.result(0)), futures.map((_, i) => i));
      assertInstanceOf(failing.exception(0), Error);
      assertEquals(await within(Promise.all(futures)), futures.map((_, i) => i));
      assertEquals(ledger.lines().length, 50);
    }
  });

  test(`${name}.shutdown() waits for an asynchronous task`, async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 1 });
      const futures = [pool.submit(echoLater<number>, 1, 40), pool.submit(echoLater<number>, 2, 10)];
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown());
      assertEquals(futures.map((future) => future.result(0)), [1, 2]);
    }
  });

  test(`${name}.shutdown({ wait: false }) returns at once, the work still runs, then the workers leave`, async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 1 });
      using gate = new Gate();
      const futures = [1, 2, 3].map((n) => pool.submit(passGate<number>, gate.path, n));
      await gate.arrived();
      if (blocking) assert(elapsed(() => pool.shutdownSync({ wait: false })) < 1_000);
      else await within(pool.shutdown({ wait: false }), "shutdown()", 1_000);
      assertEquals(futures.some((future) => future.done()), false);
      gate.open();
      if (blocking) assertEquals(futures.map((future) => future.result(BOUND)), [1, 2, 3]);
      else assertEquals(await within(Promise.all(futures)), [1, 2, 3]);
      await until(() => liveWorkers() === 0, "the worker leaves by itself", 5_000);
    }
  });

  test(`${name}.shutdown({ wait: false }) of an idle or unused pool ends its workers`, async () => {
    const unused = make({ maxWorkers: 2 });
    await within(unused.shutdown({ wait: false }));
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 2 });
      assertEquals(await within(pool.submit(square, 3)), 9);
      if (blocking) pool.shutdownSync({ wait: false });
      else await within(pool.shutdown({ wait: false }));
      await until(() => liveWorkers() === 0, "the worker leaves by itself", 5_000);
    }
  });

  test(`${name}.shutdown({ cancelFutures: true }) cancels what is queued and lets the running finish`, async () => {
    for (const blocking of [true, false]) {
      for (const wait of [true, false]) {
        const ledger = new Ledger();
        const pool = make({ maxWorkers: 2 });
        using gate = new Gate();
        const running = [1, 2].map((n) => pool.submit(passGate<number>, gate.path, n));
        await gate.arrived(2);
        // To take one back from another machine takes some milliseconds.
        const ms = kind.isRemote ? 50 : 10;
        const queued = Array.from({ length: 50 }, (_, i) => pool.submit(recordSlowly<number>, ledger.path, i, ms));
        let calls = 0;
        for (const future of queued) future.addDoneCallback(() => calls++);
        gate.open();
        if (blocking) pool.shutdownSync({ wait, cancelFutures: true });
        else await within(pool.shutdown({ wait, cancelFutures: true }));
        // The gate was open, so the workers were racing: but nothing is left pending.
        const cancelled = queued.filter((future) => future.cancelled());
        const rest = queued.filter((future) => !future.cancelled());
        assert(cancelled.length > 20, `${cancelled.length} of 50 were cancelled`);
        assertEquals(running.map((future) => future.result(BOUND)), [1, 2]);
        const ran = rest.map((future) => future.result(BOUND)).sort((a, b) => a - b);
        assertEquals(ledger.numbers(), ran, "what was cancelled did not run");
        for (const future of cancelled.slice(0, 3)) await bothCancelled(future);
        await until(() => calls === 50, "the callbacks");
        await until(() => liveWorkers() === 0, "every worker is gone", 5_000);
      }
    }
  });

  test(`${name}.shutdown({ cancelFutures: true }) with busy workers cancels all that is queued at once`, async () => {
    const pool = make({ maxWorkers: 1 });
    using gate = new Gate();
    const running = pool.submit(passGateLater<number>, gate.path, 1);
    await gate.arrived();
    const queued = Array.from({ length: 20 }, () => pool.submit(square, 1));
    const ended = pool.shutdown({ cancelFutures: true });
    assertEquals(queued.map((future) => future.state), Array(20).fill("CANCELLED"));
    await begun(kind, running);
    assertEquals(running.state, "RUNNING");
    gate.open();
    await within(ended);
    assertEquals(running.result(0), 1);
  });

  // A callback that blocks takes results, which makes room: what waited must not be started in it.
  test(`${name}.shutdown({ cancelFutures: true }) cancels what has not started, though callbacks block`, async () => {
    const pool = make({ maxWorkers: 2 });
    using gate = new Gate();
    const ledger = new Ledger();
    const held = [0, 1].map((n) => pool.submit(passGate<number>, gate.path, n));
    await gate.arrived(2);
    const futures = Array.from({ length: kind.isRemote ? 500 : 20_000 }, (_, i) => pool.submit(record, ledger.path, i));
    const seen: unknown[] = [];
    for (const future of [futures[0], futures[1], futures[300]]) {
      future.addDoneCallback(() => {
        gate.open();
        seen.push(...held.map((future) => future.result(BOUND)), thrownBy(() => pool.submit(square, 1)).name);
        void pool.shutdown({ cancelFutures: true });
        pause(20);
        seen.push(futures.every((future) => future.cancelled()), futures.at(-1)!.cancel());
      });
    }
    await within(pool.shutdown({ cancelFutures: true }), "shutdown", BOUND);
    assertEquals(seen, Array.from({ length: 3 }, () => [0, 1, "ShutdownError", true, true]).flat());
    assert(futures.every((future) => future.cancelled()));
    assertEquals(ledger.lines(), []);
  });

  test(`${name}.submit() and map() take nothing when a getter of an argument shuts the pool down`, async () => {
    const ledger = new Ledger();
    for (const way of ["submit", "map", "chunk"]) {
      const pool = make({ maxWorkers: 1 });
      assertEquals(await within(pool.submit(square, 2)), 4);
      const value = {
        get closes() {
          void pool.shutdown({ wait: false });
          return 1;
        },
      };
      assertThrows(() => {
        if (way === "submit") pool.submit(record<unknown>, ledger.path, value);
        else {
          const items = [value, value, value];
          void pool.map(record<unknown>, items.map(() => ledger.path), items, { chunksize: way === "map" ? 1 : 3 });
        }
      }, ShutdownError);
      await within(pool.shutdown(), "shutdown", BOUND);
      assertEquals(ledger.lines(), [], way);
    }
  });

  test(`${name}.submit() throws when the pool breaks in a getter of an argument`, async () => {
    if (kind.isRemote) return;
    const pool = make({ maxWorkers: 1, initializer: failToStart, initargs: ["on purpose"] });
    const first = pool.submit(square, 2);
    const value = {
      get breaks() {
        first.exception(BOUND);
        return 1;
      },
    };
    assertThrows(() => pool.submit(echo<unknown>, value), kind.broken);
    await within(pool.shutdown(), "shutdown", BOUND);
  });

  test(`${name}.shutdown() can be called again, in every mixture`, async () => {
    const pool = make({ maxWorkers: 1 });
    using gate = new Gate();
    const future = pool.submit(passGateLater<number>, gate.path, 1);
    await gate.arrived();
    await within(pool.shutdown({ wait: false }));
    pool.shutdownSync({ wait: false });
    const [one, two] = [pool.shutdown(), pool.shutdown({ wait: true })];
    gate.open();
    await within(Promise.all([one, two]));
    assertEquals([liveWorkers(), future.result(0)], [0, 1]);
    pool.shutdownSync();
    await within(pool.shutdown());
    pool.shutdownSync({ cancelFutures: true });
    pool[Symbol.dispose]();
    await within(pool[Symbol.asyncDispose]());
  });

  test(`${name}.shutdown({ cancelFutures: true }) after one that waits cancels what is still queued`, async () => {
    const pool = make({ maxWorkers: 1 });
    using gate = new Gate();
    const running = pool.submit(passGateLater<number>, gate.path, 1);
    await gate.arrived();
    const queued = [1, 2, 3].map((n) => pool.submit(square, n));
    const ended = pool.shutdown();
    const again = pool.shutdown({ cancelFutures: true });
    assertEquals(queued.map((future) => future.cancelled()), [true, true, true]);
    gate.open();
    await within(Promise.all([ended, again]));
    assertEquals(running.result(0), 1);
  });

  test(`${name}.shutdown() that waits resolves no sooner than the last worker has gone`, async () => {
    const pool = make({ maxWorkers: 1 });
    using gate = new Gate();
    const future = pool.submit(passGateLater<number>, gate.path, 1);
    await gate.arrived();
    let resolved = false;
    const ended = pool.shutdown().then(() => resolved = true);
    await within(pool.shutdown({ wait: false }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals([resolved, future.done()], [false, false]);
    gate.open();
    await within(ended);
    assertEquals([future.done(), liveWorkers()], [true, 0]);
  });

  test(`${name}.shutdown() ends workers in which tasks left timers and servers`, async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 2 });
      assertEquals(await within(pool.submit(leaveThings)), "left");
      assertEquals(pool.submit(square, 3).result(BOUND), 9);
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown(), "shutdown()");
    }
  });

  test(`${name}: submit, cancel at once, shut down: returns`, async () => {
    for (const blocking of [true, false]) {
      for (let i = 0; i < 2; i++) {
        const pool = make({ maxWorkers: 1 });
        pool.submit(square, 1).cancel();
        if (blocking) pool.shutdownSync();
        else await within(pool.shutdown(), "shutdown()");
      }
    }
  });

  test(`${name}: 50 short tasks, then shutdown: all have results`, async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 2 });
      const futures = Array.from({ length: 50 }, (_, i) => pool.submit(echo<number>, i));
      if (blocking) pool.shutdownSync();
      else await within(pool.shutdown(), "shutdown()");
      assertEquals(futures.map((future) => future.result(0)), futures.map((_, i) => i));
    }
  });

  test(`${name}: results are read after shutdown, blocked or awaited, big ones too`, async () => {
    const pool = make({ maxWorkers: 2 });
    const futures = Array.from({ length: 20 }, () => pool.submit(repeat, "x", 1 << 20));
    pool.shutdownSync();
    assertEquals(waitSync(futures, { timeout: 0 }).done.size, 20);
    for (const future of futures.slice(0, 10)) assertEquals(future.result(0).length, 1 << 20);
    for (const future of futures.slice(10)) assertEquals((await within(future)).length, 1 << 20);
  });

  test(`${name}.shutdown() may be called from a callback, and a callback may see the pool shut down`, async () => {
    const pool = make({ maxWorkers: 1 });
    const seen: unknown[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    pool.submit(square, 2).addDoneCallback((future) => {
      const ended = pool.shutdown();
      try {
        pool.submit(square, 3);
      } catch (error) {
        seen.push((error as Error).name);
      }
      seen.push(future.result());
      ended.then(resolve);
    });
    await within(promise, "the shutdown in a callback");
    assertEquals(seen, ["ShutdownError", 4]);
  });

  test(`${name}.shutdownSync() may be called from a callback, also while this thread is blocked already`, async () => {
    for (const blocking of [true, false]) {
      const pool = make({ maxWorkers: 1 });
      const futures = Array.from({ length: 5 }, (_, i) => pool.submit(echoLater<number>, i, 5));
      const { promise, resolve } = Promise.withResolvers<void>();
      futures[0].addDoneCallback(() => {
        pool.shutdownSync();
        resolve();
      });
      if (blocking) assertEquals(futures[2].result(BOUND), 2);
      else await within(promise, "the callback");
      assertEquals(futures.map((future) => future.result(0)), [0, 1, 2, 3, 4]);
      assertEquals(liveWorkers(), 0);
    }
  });

  test(`using ${name}: the block ends when everything has run and every worker is gone`, async () => {
    const ledger = new Ledger();
    let future: Future<number>;
    {
      using pool = make({ maxWorkers: 2 });
      for (let i = 0; i < 20; i++) pool.submit(record<number>, ledger.path, i);
      future = pool.submit(recordSlowly<number>, ledger.path, 20, 5);
    }
    assertEquals([liveWorkers(), future.done(), future.result(0), ledger.lines().length], [0, true, 20, 21]);
    {
      await using pool = make({ maxWorkers: 2 });
      for (let i = 0; i < 20; i++) pool.submit(record<number>, ledger.path, i);
      future = pool.submit(echoLater<number>, 7, 10);
    }
    assertEquals([liveWorkers(), future.done(), future.result(0), ledger.lines().length], [0, true, 7, 41]);
  });

  test(`using ${name}: an error of the block passes through, and what was submitted still runs`, async () => {
    const ledger = new Ledger();
    assertThrows(
      () => {
        using pool = make({ maxWorkers: 1 });
        pool.submit(record<number>, ledger.path, 1);
        throw new EvalError("of the block");
      },
      EvalError,
      "of the block",
    );
    await assertRejects(
      async () => {
        await using pool = make({ maxWorkers: 1 });
        pool.submit(record<number>, ledger.path, 2);
        throw new EvalError("of the block");
      },
      EvalError,
      "of the block",
    );
    assertEquals(ledger.lines(), ["1", "2"]);
  });

  // `deno task soak` opens and closes a thousand.
  const rounds = 2;
  test(`${name}: ${rounds} pools one after the other, and 2 at once, leave nothing`, async () => {
    for (let i = 0; i < rounds; i++) {
      const pool = make({ maxWorkers: 1 });
      if (i % 2 === 0) assertEquals(pool.submit(square, i).result(BOUND), i * i);
      else assertEquals(await within(pool.submit(square, i)), i * i);
      if (i % 2 === 1) pool.shutdownSync();
      else await within(pool.shutdown());
      assertEquals(liveWorkers(), 0);
    }
    const pools = Array.from({ length: 2 }, () => make({ maxWorkers: 1 }));
    assertEquals(await within(Promise.all(pools.map((pool, i) => pool.submit(square, i)))), [0, 1]);
    await within(Promise.all(pools.map((pool) => pool.shutdown())));
    assertEquals(liveWorkers(), 0);
  });
}
