/** `wait`, `waitSync` and `asCompleted` over the futures of an executor. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import {
  asCompleted,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  Future,
  InvalidStateError,
  TimeoutError,
  wait,
  waitSync,
} from "@concurrent/futures";
import { BOUND, Gate, rejectionOf, test, thrownBy, untilSync, within } from "../_helpers.ts";
import { echo, echoLater, lengthOf, passGate, passGateLater, square } from "../fixtures/tasks.ts";
import { throwValue } from "../fixtures/errors.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

function finished(): Future<number> {
  const future = new Future<number>();
  future.setResult(1);
  return future;
}

export function waitingBehaviour(kind: Kind): void {
  const { name } = kind;

  test(`wait() and waitSync() of ${name} return when all are done`, async () => {
    using pool = borrow(kind, 2);
    const submit = () => [
      pool.submit(square, 2),
      pool.submit(throwValue, new Error("no")),
      pool.submit(echoLater<number>, 1, 5),
    ];
    for (const returnWhen of [undefined, "ALL_COMPLETED"] as const) {
      const blocked: Future<unknown>[] = submit();
      const sets = waitSync(blocked, { returnWhen, timeout: BOUND });
      assertEquals([sets.done.size, sets.notDone.size], [3, 0]);
      assert(blocked.every((future) => sets.done.has(future) && future.done()));
      const awaited: Future<unknown>[] = submit();
      const { done, notDone } = await within(wait([...awaited, ...awaited], { returnWhen }));
      assertEquals([done.size, notDone.size], [3, 0]);
      assert(awaited.every((future) => done.has(future) && future.done()));
    }
  });

  // A program that asks again and again neither blocks nor yields: each question has to hand over what waits for room.
  test(`Future.done(), running() and state of ${name} get on with a task that waits for room`, async () => {
    using pool = borrow(kind, 1);
    const asks: { [what: string]: (future: Future<unknown>) => boolean } = {
      done: (future) => future.done(),
      state: (future) => future.state === "FINISHED",
      running: (future) => future.running(),
    };
    for (const [what, isTrue] of Object.entries(asks)) {
      for (const [count, size] of kind.isRemote ? [[200, 5_000]] : [[200, 5_000], [17_000, 0]]) {
        using gate = new Gate();
        const before = Array.from({ length: count }, () => pool.submit(lengthOf, "x".repeat(size)));
        const last = what === "running" ? pool.submit(passGate<number>, gate.path, size) : before.pop()!;
        untilSync(() => isTrue(last), `${what} of the last of ${count}`);
        gate.open();
        assertEquals(await within(last), size);
        for (const future of before) assertEquals(future.result(BOUND), size);
      }
    }
  }, { bound: 60_000 });

  test(`waitSync() of ${name} without a timeout blocks until all are done`, () => {
    using pool = borrow(kind, 1);
    const futures = [pool.submit(echoLater<number>, 1, 30), pool.submit(square, 3)];
    const { done, notDone } = waitSync(futures);
    assertEquals([done.size, notDone.size], [2, 0]);
  });

  test(`wait() and waitSync() of ${name} with FIRST_COMPLETED return on the first`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const held = pool.submit(passGateLater<number>, gate.path, 1);
    for (let i = 0; i < 10; i++) {
      const quick = pool.submit(square, i);
      const sets = waitSync([held, quick], { returnWhen: FIRST_COMPLETED, timeout: BOUND });
      assertEquals([[...sets.done], [...sets.notDone]], [[quick], [held]]);
      const next = pool.submit(square, i);
      const { done, notDone } = await within(wait([held, next], { returnWhen: FIRST_COMPLETED }));
      assertEquals([[...done], [...notDone]], [[next], [held]]);
    }
    gate.open();
    await within(wait([held]));
  });

  test(`wait() and waitSync() of ${name} with FIRST_EXCEPTION return on the first failure`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const held = pool.submit(passGateLater<number>, gate.path, 1);
    for (const thrown of [new Error("no"), undefined, 0]) {
      for (const blocking of [true, false]) {
        const fs: Future<unknown>[] = [held, pool.submit(square, 1), pool.submit(throwValue, thrown)];
        const options = { returnWhen: FIRST_EXCEPTION, timeout: BOUND } as const;
        const { done, notDone } = blocking ? waitSync(fs, options) : await within(wait(fs, options));
        assert(done.has(fs[2]), "the failed one");
        assertEquals([...notDone], [held]);
      }
    }
    gate.open();
    const good = [held, pool.submit(square, 1)];
    assertEquals(waitSync(good, { returnWhen: FIRST_EXCEPTION, timeout: BOUND }).notDone.size, 0);
  });

  test(`wait() and waitSync() of ${name} return after the timeout with what is done`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const held = pool.submit(passGateLater<number>, gate.path, 1);
    const quick = pool.submit(square, 2);
    quick.result(BOUND);
    for (const timeout of [0, -1, 50]) {
      const start = performance.now();
      const sets = waitSync([held, quick], { timeout });
      assertEquals([[...sets.done], [...sets.notDone]], [[quick], [held]]);
      const { done, notDone } = await within(wait([held, quick], { timeout }));
      assertEquals([[...done], [...notDone]], [[quick], [held]]);
      const took = performance.now() - start;
      assert(took >= 2 * timeout - 2 && took < 5_000, `took ${took} of ${2 * timeout} ms`);
    }
    gate.open();
    assertEquals(held.result(BOUND), 1);
  });

  test(`wait() and waitSync() of ${name} count a cancelled future as done, at once`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const held = pool.submit(passGateLater<number>, gate.path, 1);
    const queued = pool.submit(square, 2);
    const early = wait([queued]);
    queued.cancel();
    assertEquals((await within(early)).done.size, 1);
    assertEquals(waitSync([queued]).done.size, 1);
    const sets = waitSync([held, queued], { returnWhen: FIRST_COMPLETED });
    assertEquals([[...sets.done], [...sets.notDone]], [[queued], [held]]);
    assertEquals([...asCompleted([queued])], [queued]);
    gate.open();
    assertEquals(held.result(BOUND), 1);
  });

  test(`wait() and asCompleted() take futures of several pools of ${name} and bare ones, mixed`, async () => {
    using one = borrow(kind, 1);
    using two = borrow(kind, 2);
    const submit = () => [
      one.submit(echoLater<number>, 1, 5),
      two.submit(echoLater<number>, 2, 1),
      one.submit(square, 3),
      two.submit(square, 4),
      finished(),
    ];
    assertEquals(waitSync(submit(), { timeout: BOUND }).done.size, 5);
    assertEquals((await within(wait(submit()))).done.size, 5);
    assertEquals([...asCompleted(submit(), { timeout: BOUND })].length, 5);
    let count = 0;
    for await (const future of asCompleted(submit(), { timeout: BOUND })) {
      assertInstanceOf(future, Future);
      count++;
    }
    assertEquals(count, 5);
  });

  test(`waitSync() and asCompleted() of ${name}: InvalidStateError once only bare futures are left`, () => {
    using pool = borrow(kind, 1);
    const bare = new Future<number>();
    for (const returnWhen of ["ALL_COMPLETED", FIRST_EXCEPTION] as const) {
      const live = pool.submit(echoLater<number>, 1, 20);
      assertThrows(() => waitSync([bare, live], { returnWhen }), InvalidStateError);
      assertEquals(live.done(), true, "what could be completed was waited for");
    }
    const live = pool.submit(echoLater<number>, 1, 20);
    assertEquals([...waitSync([bare, live], { returnWhen: FIRST_COMPLETED }).done], [live]);
    const yielded: Future<number>[] = [];
    const last = pool.submit(echoLater<number>, 1, 20);
    assertThrows(() => {
      for (const future of asCompleted([bare, last])) yielded.push(future);
    }, InvalidStateError);
    assertEquals(yielded, [last]);
  });

  test(`asCompleted() of ${name} yields in the order of finishing, blocking and awaited`, async () => {
    using pool = borrow(kind, 2);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const held = pool.submit(passGateLater<number>, gate.path, -1);
      const quick = Array.from({ length: 20 }, (_, i) => pool.submit(square, i));
      const seen: Future<number>[] = [];
      const take = (future: Future<number>) => {
        assertInstanceOf(future, Future);
        assertEquals(future.done(), true);
        seen.push(future);
        if (seen.length === 20) gate.open();
      };
      const completed = asCompleted([held, ...quick, held, ...quick], { timeout: BOUND });
      if (blocking) { for (const future of completed) take(future); }
      else for await (const future of completed) take(future);
      assertEquals(seen.length, 21);
      assertStrictEquals(seen[20], held);
      assertEquals(new Set(seen), new Set([held, ...quick]));
    }
  });

  test(`asCompleted() of ${name} throws TimeoutError with the count, and yields what had finished`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const held = [1, 2].map((n) => pool.submit(passGateLater<number>, gate.path, n));
    const behind = [pool.submit(square, 2)];
    await gate.arrived(2);
    const all = [...held, ...behind, finished()];
    for (const timeout of [0, 60]) {
      const yielded: Future<number>[] = [];
      const error = thrownBy(() => {
        for (const future of asCompleted(all, { timeout })) yielded.push(future);
      });
      assertInstanceOf(error, TimeoutError);
      assertEquals([error.message, yielded.length], ["3 (of 4) futures unfinished", 1]);
      const rejection = await rejectionOf((async () => {
        for await (const future of asCompleted(all, { timeout })) yielded.push(future);
      })());
      assertInstanceOf(rejection, TimeoutError);
      assertEquals([rejection.message, yielded.length], ["3 (of 4) futures unfinished", 2]);
    }
    gate.open();
    assertEquals([...asCompleted(all, { timeout: BOUND })].length, 4);
  });

  test(`asCompleted() of ${name}: leaving the loop early leaves the tasks running`, async () => {
    using pool = borrow(kind, 2);
    const futures = Array.from({ length: 30 }, (_, i) => pool.submit(echoLater<number>, i, 1));
    for (const _ of asCompleted(futures)) break;
    for await (const _ of asCompleted(futures)) break;
    assertEquals(await within(Promise.all(futures)), futures.map((_, i) => i));
  });

  test(`wait() and asCompleted() of ${name} lose no wake-up when many tasks finish at once`, async () => {
    using pool = borrow(kind, 2);
    for (let round = 0; round < (kind.isRemote ? 4 : 8); round++) {
      using gate = new Gate();
      const futures = Array.from({ length: 2 }, (_, i) => pool.submit(passGate<number>, gate.path, i));
      for (let i = 2; i < 100; i++) futures.push(pool.submit(echo<number>, i));
      await gate.arrived(2);
      gate.open();
      const options = { timeout: BOUND };
      switch (round % 4) {
        case 0:
          assertEquals(waitSync(futures, options).notDone.size, 0);
          break;
        case 1:
          assertEquals((await wait(futures, options)).notDone.size, 0);
          break;
        case 2:
          assertEquals([...asCompleted(futures, options)].length, 100);
          break;
        case 3: {
          let count = 0;
          for await (const _ of asCompleted(futures, options)) count++;
          assertEquals(count, 100);
        }
      }
      assertEquals(futures.map((future) => future.result(0)), futures.map((_, i) => i));
    }
  });
}
