/** How many tasks may wait: `maxQueued`, `ready()`, and a `map` that waits for room. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { CancelledError, type Future, QueueFullError, ShutdownError, TimeoutError } from "@concurrent/futures";
import { bestOf, Gate, Ledger, sleep, test, thrownBy, until, within } from "../_helpers.ts";
import { echoLater, failToStart, lengthOf, passGate, record, square } from "../fixtures/tasks.ts";
import { lend, type Lent } from "./borrow.ts";
import { begun, type Kind } from "./kind.ts";
import { asynchronous, collect, range } from "./map.ts";

export function boundBehaviour(kind: Kind): void {
  const { name, make } = kind;

  // Of one worker, where one task may wait and where two may, and of two workers.
  const [one, two, five] = [[1, 1], [1, 2], [2, 5]].map(([maxWorkers, maxQueued]) =>
    lend(kind, { maxWorkers: maxWorkers as 1 | 2, maxQueued })
  );

  /** Holds all workers of a pool at a gate, so that each task more waits. */
  async function hold(pool: Lent, maxWorkers = 1) {
    const gate = new Gate();
    const running: Future<number | undefined>[] = [];
    for (let i = 0; i < maxWorkers; i++) {
      await within(pool.ready(), "ready()");
      running.push(pool.submit(passGate<number | undefined>, gate.path, i));
    }
    await gate.arrived(maxWorkers);
    await begun(kind, ...running);
    return { pool, gate, running };
  }

  test(`${name} refuses a maxQueued that is no integer of at least 1, and names it`, () => {
    for (const value of [0, -1, 1.5, NaN, Infinity, -Infinity]) {
      assertThrows(() => make({ maxQueued: value }), RangeError, `maxQueued`);
      assertThrows(() => make({ maxQueued: value }), RangeError, String(value));
    }
    for (const value of ["3", null, {}, [], true, 1n]) {
      assertThrows(() => make({ maxQueued: value as number }), TypeError, "maxQueued");
    }
  });

  test(`${name}: a burst fills maxQueued exactly, and submit() throws QueueFullError beyond it`, async () => {
    for (const maxQueued of [1, 60]) {
      const own = maxQueued === 1 ? undefined : make({ maxWorkers: 2, maxQueued });
      const { pool, gate, running } = await hold(own ?? one(), own && 2);
      const waiting = range(maxQueued).map((n) => pool.submit(square, n));
      for (let i = 0; i < 3; i++) {
        const error = thrownBy(() => pool.submit(square, 1));
        assertInstanceOf(error, QueueFullError);
        assertInstanceOf(error, Error);
        assertEquals(error.name, "QueueFullError");
        for (const part of [name, `maxQueued`, String(maxQueued), "ready()"]) {
          assert(error.message.includes(part), `${part} in ${error.message}`);
        }
      }
      // Those that are cancelled wait no more.
      assert(waiting[0].cancel());
      waiting[0] = pool.submit(square, 0);
      assertThrows(() => pool.submit(square, 1), QueueFullError);
      gate.open();
      assertEquals(await within(Promise.all(waiting)), range(maxQueued).map(square));
      await within(Promise.all(running));
      assertEquals(await within(pool.submit(square, 5)), 25);
      await within(Promise.resolve(own?.shutdown()));
    }
  });

  test(`${name}: what a burst before the first worker may leave waiting is maxQueued, too`, async () => {
    const pool = make({ maxWorkers: 1, maxQueued: 50 });
    const futures = range(50).map((n) => pool.submit(square, n));
    assertEquals(await within(Promise.all(futures)), range(50).map(square));
    await within(pool.shutdown());
  });

  test(`${name}: an argument whose getter submits leaves no more tasks waiting than maxQueued`, async () => {
    const { pool, gate, running } = await hold(two());
    const inner: Future<number>[] = [];
    const greedy = {
      get length() {
        while (inner.length < 2) inner.push(pool.submit(square, inner.length));
        return 1;
      },
    };
    assertThrows(() => pool.submit(lengthOf, greedy), QueueFullError);
    gate.open();
    assertEquals(await within(Promise.all(inner)), [0, 1]);
    await within(Promise.all(running));
  });

  test(`${name}.ready() resolves when a task begins, not only when one ends`, async () => {
    const pool = make({ maxWorkers: 1, maxQueued: 1 });
    using gate = new Gate();
    await within(pool.ready(), "ready() of a new pool");
    for (let i = 0; i < 2; i++) {
      const running = pool.submit(passGate, gate.path);
      await within(pool.ready(), "ready() while a task runs");
      assert(running.running() || i > 0);
      const waiting = pool.submit(square, 3);
      let isReady = false;
      const ready = pool.ready().then(() => isReady = true);
      await sleep(20);
      if (i === 0) assertEquals([isReady, waiting.state], [false, "PENDING"]);
      gate.open();
      await within(ready, "ready() after the task");
      assertEquals(await within(waiting), 9);
    }
    await within(pool.shutdown());
  });

  test(`${name}.ready() resolves when a waiting task is cancelled`, async () => {
    const { pool, gate } = await hold(two());
    const waiting = [pool.submit(square, 1), pool.submit(square, 2)];
    const ready = pool.ready();
    assert(waiting[1].cancel());
    await within(ready, "ready()");
    waiting[1] = pool.submit(square, 3);
    gate.open();
    assertEquals(await within(Promise.all(waiting)), [1, 9]);
  });

  test(`${name}.ready() offers each place to one of those who wait, in order`, async () => {
    const pool = two();
    const order: number[] = [];
    const results = await within(
      Promise.all(
        range(12).map(async (producer) => {
          const own = [];
          for (let i = 0; i < 10; i++) {
            await pool.ready();
            if (i === 0) order.push(producer);
            own.push(pool.submit(square, producer));
          }
          return await Promise.all(own);
        }),
      ),
      "producers",
    );
    assertEquals(results.map((own) => own.length), Array(12).fill(10));
    assertEquals(order, range(12));
  });

  test(`${name}.ready() tells the next one when the one who was told does not submit`, async () => {
    const { pool, gate, running } = await hold(one());
    const waiting = pool.submit(square, 1);
    const all = Promise.all([pool.ready(), pool.ready(), pool.ready()]);
    assert(waiting.cancel());
    await within(all, "all three");
    gate.open();
    await within(Promise.all(running));
  });

  test(`${name}.ready() rejects at shutdown and after it, and without maxQueued resolves at once`, async () => {
    const { pool, gate } = await hold(make({ maxWorkers: 1, maxQueued: 1 }));
    const waiting = pool.submit(square, 2);
    const pending = [pool.ready(), pool.ready()].map((ready) => ready.catch((error) => error));
    const ended = pool.shutdown();
    for (const ready of pending) {
      const error = await within(ready, "ready() at shutdown");
      assertInstanceOf(error, ShutdownError);
    }
    await assertRejects(() => pool.ready(), ShutdownError);
    gate.open();
    assertEquals(await within(waiting), 4);
    await within(ended);
    const other = make({ maxWorkers: 1 });
    await within(other.ready(), "ready() without a limit");
    await within(other.shutdown());
    await assertRejects(() => other.ready(), ShutdownError);
  });

  test(`${name}.map() waits for room by itself, blocking and awaited`, async () => {
    const pool = five();
    const input = range(kind.isRemote ? 24 : 60);
    const wanted = input.map(square);
    for (const options of [{}, { chunksize: 3 }, { chunksize: 20 }, { buffersize: 4 }, { buffersize: 40 }]) {
      // A process of a busy machine gives back a task that it comes to late, which waits again beside all others.
      await bestOf(3, () => {
        const blocking: number[] = [];
        let most = 0;
        for (const value of pool.map(square, input, options)) {
          blocking.push(value);
          most = Math.max(most, pool.stats().queued);
        }
        assertEquals(blocking, wanted);
        assert(most <= 5, `${most} tasks wait with ${Deno.inspect(options)}`);
      });
      assertEquals(await collect(pool.map(square, input, options)), wanted);
      assertEquals(await collect(pool.map(square, asynchronous(input), options)), wanted);
    }
  });

  test(`${name}.map() that nobody reads submits what was read all the same, as there is room`, async () => {
    const pool = five();
    const ledger = new Ledger();
    const results = pool.map(record<number>, range(30).map(() => ledger.path), range(30));
    await until(() => ledger.lines().length === 30, "all items have run");
    assertEquals([...results], range(30));
  });

  test(`${name}.map() waits for room that others have taken, and no longer than its timeout`, async () => {
    const { pool, gate } = await hold(one());
    const other = pool.submit(square, 7);
    assertThrows(() => [...pool.map(square, [1, 2], { timeout: 30 })], TimeoutError);
    await assertRejects(() => collect(pool.map(square, [1, 2], { timeout: 30 })), TimeoutError);
    const results = collect(pool.map(square, [1, 2, 3]));
    await sleep(10);
    gate.open();
    assertEquals(await within(results, "a map that waits"), [1, 4, 9]);
    assertEquals(await within(other), 49);
    // Blocked, also where somebody else was told of the only place, and cannot use it meanwhile.
    const told = pool.ready();
    assertEquals([...pool.map(square, range(10))], range(10).map(square));
    await within(told, "ready()");
  });

  test(`${name}.map() whose loop is left early runs none of the items that wait for room`, async () => {
    const pool = two();
    for (const blocking of [true, false]) {
      const ledger = new Ledger();
      const input = range(200);
      const results = pool.map(record<number>, input.map(() => ledger.path), input);
      if (blocking) { for (const value of results) if (value === 3) break; }
      else for await (const value of results) if (value === 3) break;
      await within(pool.submit(square, 1));
      const { length } = ledger.lines();
      assert(length < 50, `${length} of them have run`);
    }
  });

  test(`${name}.map() that waits for room ends by ShutdownError, behind the good items`, async () => {
    const { pool, gate } = await hold(make({ maxWorkers: 1, maxQueued: 2 }));
    const results = pool.map(square, range(10));
    const ended = pool.shutdown();
    gate.open();
    const seen: number[] = [];
    await assertRejects(async () => {
      for await (const value of results) seen.push(value);
    }, ShutdownError);
    assertEquals(seen, [0, 1]);
    await within(ended);
  });

  test(`${name}.map() over an input that throws submits what was read before, as there is room`, async () => {
    const pool = two();
    function* failing(): Generator<number> {
      yield* range(20);
      throw new RangeError("no more");
    }
    async function* failingLater(): AsyncGenerator<number> {
      yield* failing();
    }
    const seen: number[] = [];
    await assertRejects(
      async () => {
        for await (const value of pool.map(square, failingLater())) seen.push(value);
      },
      RangeError,
      "no more",
    );
    assertEquals(seen, range(20).map(square));
    assertThrows(() => pool.map(square, failing()), RangeError, "no more");
    await until(() => pool.stats().running + pool.stats().queued === 0, "the end of what was submitted");
  });

  if (kind.isRemote) return;

  test(`${name}.ready() rejects with the error of a pool that breaks`, async () => {
    const pool = make({ maxWorkers: 1, maxQueued: 1, initializer: failToStart, initargs: ["no"] });
    const future = pool.submit(square, 1);
    const error = await within(pool.ready().catch((error) => error), "ready()");
    assertInstanceOf(error, kind.broken);
    await assertRejects(() => pool.ready(), kind.broken);
    assertInstanceOf(await within(future.catch((error) => error)), kind.broken);
    await within(pool.shutdown());
  });

  test(`${name}: shutdown({ cancelFutures: true }) cancels what maxQueued let wait`, async () => {
    const { pool, gate } = await hold(make({ maxWorkers: 1, maxQueued: 3 }));
    const waiting = range(3).map((n) => pool.submit(echoLater<number>, n, 1));
    const ended = pool.shutdown({ cancelFutures: true });
    for (const future of waiting) assertInstanceOf(await future.catch((error) => error), CancelledError);
    gate.open();
    await within(ended);
  });
}
