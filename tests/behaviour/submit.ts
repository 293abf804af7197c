/** `submit()` and the life of one future. Over 400 lines, because that life has many ends, each with a short test. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { Executor, Future, SerializationError, TimeoutError } from "@concurrent/futures";
import {
  bestOf,
  both,
  bothFail,
  BOUND,
  elapsed,
  Gate,
  Ledger,
  sleep,
  test,
  until,
  untilSync,
  within,
} from "../_helpers.ts";
import {
  add,
  countArguments,
  echo,
  echoLater,
  list,
  makePromiseOfPromise,
  makeThenable,
  passGate,
  passGateLater,
  record,
  recordAround,
  square,
  whoAmI,
  whoAmIAtGate,
} from "../fixtures/tasks.ts";
import { throwValue } from "../fixtures/errors.ts";
import { borrow } from "./borrow.ts";
import { begun, type Kind } from "./kind.ts";

export function submitBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`${name}.submit() gives a Future for what the function returns`, async () => {
    using pool = borrow(kind, 1);
    assertInstanceOf(pool, Executor);
    assertInstanceOf(pool.submit(add, 1, 2), Future);
    await both(() => pool.submit(add, 2, 8), (sum) => assertEquals(sum, 10));
    await both(() => pool.submit(square, 12), (n) => assertEquals(n, 144));
  });

  test(`${name}.submit() passes every argument, trailing undefined and option bags included`, async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(list), (args) => assertEquals(args, []));
    await both(
      () => pool.submit(list, 1, "b", undefined, null),
      (args) => assertEquals(args, [1, "b", undefined, null]),
    );
    await both(() => pool.submit(countArguments, 1, undefined, undefined), (n) => assertEquals(n, 3));
    const options = { timeout: 1, chunksize: 2, buffersize: 3, wait: false, initializer: "x" };
    await both(() => pool.submit(list, options), (args) => assertEquals(args, [options]));
    const many = Array.from({ length: 1_000 }, (_, i) => i);
    await both(() => pool.submit(list, ...many), (args) => assertEquals(args, many));
  });

  if (!kind.isRemote) {
    test(`${name}.submit() passes 100,000 arguments to a function that is sent as text`, async () => {
      using pool = borrow(kind, 1);
      const many = Array.from({ length: 100_000 }, (_, i) => i);
      await both(() => pool.submit((...args: number[]) => args.length, ...many), (n) => assertEquals(n, 100_000));
    });
  }

  test(`${name}.submit() throws TypeError for what is not callable, and stays usable`, async () => {
    using pool = borrow(kind, 1);
    const loose = pool as unknown as { submit(...args: unknown[]): unknown };
    for (const wrong of [undefined, null, 5, "add", {}, [], Symbol("x"), /x/, new Map()]) {
      assertThrows(() => loose.submit(wrong), TypeError, undefined, Deno.inspect(wrong));
    }
    assertThrows(() => loose.submit(), TypeError);
    await both(() => pool.submit(add, 1, 2), (sum) => assertEquals(sum, 3));
  });

  test(`${name}.submit() copies its arguments at the call`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const running = pool.submit(passGate, gate.path);
    // One is sent while the worker may already be free for it, the other waits behind a task.
    for (const held of [true, false]) {
      const object = { list: [1, { two: 2 }], map: new Map([["k", 1]]), when: new Date(1) };
      const small = new Uint8Array(16).fill(1);
      const large = new Uint8Array(1 << 20).fill(1);
      const huge = new Float64Array(1 << 20).fill(1);
      const futures = [
        pool.submit(echo<unknown>, object),
        pool.submit(echo<unknown>, small),
        pool.submit(echo<unknown>, large),
        pool.submit(echo<unknown>, huge),
      ];
      object.list.push(3);
      (object.list[1] as { two: number }).two = 22;
      object.map.set("k", 2);
      object.when.setTime(2);
      small.fill(2);
      large.fill(2);
      huge.fill(2);
      if (held) {
        gate.open();
        await within(running, "the task at the gate");
      }
      const [a, b, c, d] = futures.map((future) => future.result(BOUND));
      assertEquals(a, { list: [1, { two: 2 }], map: new Map([["k", 1]]), when: new Date(1) });
      for (const array of [b, c, d] as Uint8Array[]) assert(array.every((n) => n === 1), "a change was seen");
    }
  });

  test(`${name}.submit() gives each caller its own copy of a result`, async () => {
    using pool = borrow(kind, 1);
    const shared = { list: [1] };
    const [a, b] = await within(
      Promise.all([pool.submit(echo<typeof shared>, shared), pool.submit(echo<typeof shared>, shared)]),
    );
    a.list.push(2);
    assertEquals([a, b, shared], [{ list: [1, 2] }, { list: [1] }, { list: [1] }]);
    const future = pool.submit(echo<typeof shared>, shared);
    assertStrictEquals(future.result(BOUND), future.result(), "but one future has one value");
    assertStrictEquals(await future, future.result());
  });

  test(`${name}.submit() awaits what the function returns`, async () => {
    using pool = borrow(kind, 1);
    await both(() => pool.submit(echoLater<string>, "later", 3), (text) => assertEquals(text, "later"));
    await both(
      () => pool.submit(makeThenable),
      (value: unknown) => assertEquals(value, 5),
    );
    await both(
      () => pool.submit(makePromiseOfPromise),
      (value) => assertEquals(value, 6),
    );
  });

  test(`${name}: a worker takes one task at a time, an asynchronous one until it settles`, async () => {
    using pool = borrow(kind, 1);
    const ledger = new Ledger();
    await within(Promise.all(["a", "b", "c"].map((line) => pool.submit(recordAround, ledger.path, line))));
    assertEquals(ledger.lines(), ["start a", "end a", "start b", "end b", "start c", "end c"]);
  });

  test(`${name}: one worker runs tasks in the order of their submission`, async () => {
    using pool = borrow(kind, 1);
    const ledger = new Ledger();
    const order = Array.from({ length: 200 }, (_, i) => i);
    await within(Promise.all(order.map((n) => pool.submit(record<number>, ledger.path, n))));
    assertEquals(ledger.lines().map(Number), order);
  });

  test(`${name}: two workers run two tasks at once, and no more`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const futures = [1, 2, 3, 4].map((n) => pool.submit(passGate<number>, gate.path, n));
    await gate.arrived(2);
    await begun(kind, futures[0], futures[1]);
    await sleep(50); // a third would have arrived by now
    assertEquals(gate.arrivals(), 2);
    assertEquals(futures.map((future) => future.running()), [true, true, false, false]);
    gate.open();
    assertEquals(await within(Promise.all(futures)), [1, 2, 3, 4]);
  });

  test(`${name}: tasks go on past one that holds its worker`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const held = pool.submit(passGate<string>, gate.path, "held");
    const quick = Array.from({ length: 300 }, (_, i) => pool.submit(square, i));
    for (const [i, future] of quick.entries()) assertEquals(future.result(BOUND), i * i);
    const more = Array.from({ length: 300 }, (_, i) => pool.submit(square, i));
    assertEquals(await within(Promise.all(more)), more.map((_, i) => i * i));
    assertEquals(held.state, "RUNNING");
    gate.open();
    await both(held, (value) => assertEquals(value, "held"));
  });

  test(`${name}: maxWorkers workers take part, and an idle one is used again`, async () => {
    // The nodes of the tests have two processes.
    const count = kind.isRemote ? 2 : 3;
    // Beside a process that a busy machine holds up another one is started.
    await bestOf(3, async () => {
      using pool = make({ maxWorkers: count });
      const workers = new Set<string>();
      for (let i = 0; i < 5; i++) workers.add(await within(pool.submit(whoAmI)));
      assertEquals(workers.size, 1, "one after the other, one worker is enough");
      using gate = new Gate();
      const gated = Array.from({ length: count }, () => pool.submit(whoAmIAtGate, gate.path));
      await gate.arrived(count);
      gate.open();
      for (const id of await within(Promise.all(gated))) workers.add(id);
      const more = Array.from({ length: 30 }, () => pool.submit(whoAmI, 2));
      for (const id of await within(Promise.all(more))) workers.add(id);
      assertEquals(workers.size, count);
    });
  });

  test(`Future of ${name}: the states and texts of its life`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const first = pool.submit(passGate<string>, gate.path, "value");
    const second = pool.submit(throwValue, new TypeError("no"));
    const third = pool.submit(echo<number>, 5);
    await gate.arrived();
    await begun(kind, first);
    assertEquals([first, second].map((f) => [f.state, f.running(), f.done(), f.cancelled()]), [
      ["RUNNING", true, false, false],
      ["PENDING", false, false, false],
    ]);
    assertMatch(String(first), /^<Future #\d+ state=running>$/);
    assertMatch(Deno.inspect(second), /^<Future #\d+ state=pending>$/);
    assertEquals(first.cancel(), false);
    gate.open();
    assertEquals(await within(first), "value");
    await bothFail(second, (error) => assertInstanceOf(error, TypeError));
    assertEquals(await within(third), 5);
    assertMatch(Deno.inspect(first), /^<Future #\d+ state=finished returned string>$/);
    assertMatch(String(second), /^<Future #\d+ state=finished raised TypeError>$/);
    assertEquals([first, second].map((f) => [f.state, f.running(), f.done(), f.cancelled()]), [
      ["FINISHED", false, true, false],
      ["FINISHED", false, true, false],
    ]);
    assertEquals(first.cancel(), false);
  });

  test(`Future.running() of ${name} is true once a worker has started the task, and seen without a message`, () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const futures = [1, 2, 3].map(() => pool.submit(passGateLater, gate.path));
    // This thread never yields to its event loop here, so nothing but shared memory can tell.
    untilSync(() => futures[0].running(), "the first is running");
    untilSync(() => futures[1].running(), "the second is running");
    gate.arrivedSync(2);
    assertEquals(futures.map((f) => f.running()), [true, true, false]);
    assertEquals(futures.map((f) => f.state), ["RUNNING", "RUNNING", "PENDING"]);
    gate.open();
    for (const future of futures) future.result(BOUND);
  });

  test(`Future.running() of ${name} is already true when the task's first line runs`, () => {
    using pool = borrow(kind, 1);
    for (let i = 0; i < 30; i++) {
      using gate = new Gate();
      const future = pool.submit(passGate, gate.path);
      gate.arrivedSync();
      if (!kind.isRemote) assertEquals(future.state, "RUNNING");
      assertEquals(future.cancel(), false);
      assertEquals(future.state, "RUNNING");
      gate.open();
      future.result(BOUND);
    }
  });

  test(`Future.result() of ${name} throws TimeoutError in time, and the future stays usable`, async () => {
    using pool = borrow(kind, 1);
    using gate = new Gate();
    const [running, queued] = [pool.submit(passGate<number>, gate.path, 1), pool.submit(echo<number>, 2)];
    await gate.arrived();
    for (const future of [running, queued]) {
      for (const timeout of [0, -1, 50]) {
        for (const method of ["result", "exception"] as const) {
          const took = elapsed(() => assertThrows(() => future[method](timeout), TimeoutError));
          assert(took >= timeout - 1, `${method}(${timeout}) gave up after ${took} ms`);
          assert(took < timeout + 2_000, `${method}(${timeout}) gave up only after ${took} ms`);
        }
      }
      assertThrows(() => future.result(NaN), RangeError);
      assertThrows(() => future.exception(NaN), RangeError);
    }
    assertEquals([running.state, queued.state], ["RUNNING", "PENDING"]);
    gate.open();
    await both(running, (n) => assertEquals(n, 1));
    await both(queued, (n) => assertEquals(n, 2));
    assertThrows(() => running.result(NaN), RangeError);
  });

  test(`Future.result() of ${name} blocks without limit for undefined, and for a timeout beyond any clock`, () => {
    using pool = borrow(kind, 1);
    for (const timeout of [undefined, 2 ** 31, 2 ** 32 + 1, 2 ** 53, Number.MAX_VALUE, Infinity]) {
      assertEquals(pool.submit(echoLater<number>, 4, 10).result(timeout), 4, `timeout ${timeout}`);
    }
  });

  test(`Future.result(0) of ${name} sees what a worker has finished, without the event loop`, () => {
    using pool = borrow(kind, 1);
    const [first, second] = [pool.submit(echo<number>, 1), pool.submit(echo<number>, 2)];
    assertEquals(second.result(BOUND), 2);
    assertEquals(first.result(0), 1, "the one worker has finished the first before the second");
    assertEquals(first.done(), true);
  });

  test(`Future.done() of ${name} becomes true for a thread that never yields`, () => {
    using pool = borrow(kind, 1);
    const future = pool.submit(echo<number>, 1);
    untilSync(() => future.done(), "done() without the event loop");
    assertEquals(future.result(0), 1);
  });

  test(`Future.addDoneCallback() of ${name} calls once each, in order, on this thread`, async () => {
    using pool = borrow(kind, 2);
    const order: string[] = [];
    const [good, bad] = [pool.submit(echo<number>, 1), pool.submit(throwValue, 0)];
    for (const [future, name] of [[good, "good"], [bad, "bad"]] as const) {
      future.addDoneCallback((f: Future<unknown>) => {
        assertStrictEquals(f, future);
        assertEquals([f.done(), f.running()], [true, false]);
        order.push(`${name} 1`);
      });
      future.addDoneCallback(() => void order.push(`${name} 2`));
    }
    await until(() => order.length === 4, "four callbacks");
    assertEquals(order.filter((text) => text.startsWith("good")), ["good 1", "good 2"]);
    assertEquals(order.filter((text) => text.startsWith("bad")), ["bad 1", "bad 2"]);
    good.addDoneCallback(() => void order.push("late"));
    assertEquals(order.at(-1), "late");
    await sleep(5);
    assertEquals(order.length, 5);
  });

  test(`Future.addDoneCallback() of ${name}: callbacks have run a turn after a blocking result()`, async () => {
    using pool = borrow(kind, 1);
    let calls = 0;
    const futures = Array.from({ length: 50 }, (_, i) => pool.submit(square, i));
    for (const future of futures) future.addDoneCallback(() => void calls++);
    futures.at(-1)!.result(BOUND);
    await within(Promise.all(futures));
    await sleep(0);
    assertEquals(calls, 50);
  });

  test(`Future.addDoneCallback() of ${name}: a callback may submit, block and cancel`, async () => {
    using pool = borrow(kind, 1);
    const results: unknown[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    pool.submit(square, 3).addDoneCallback((f) => {
      results.push(f.result());
      const next = pool.submit(square, 4);
      results.push(next.result(BOUND));
      results.push(pool.submit(echo<number>, 1).cancel() || "ran");
      pool.submit(square, 5).addDoneCallback((g) => {
        results.push(g.result());
        resolve();
      });
    });
    await within(promise, "the inner callback");
    assertEquals(results.slice(0, 2), [9, 16]);
    assertEquals(results.at(-1), 25);
  });

  test(`Future.addDoneCallback() of ${name}: a callback may block while this thread is blocked already`, () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const [first, third] = [0, 15].map((ms) => pool.submit(echoLater<number>, ms, ms));
    const second = pool.submit(passGateLater<number>, gate.path, 30); // ends after the callback of the first one
    const seen: unknown[] = [];
    first.addDoneCallback(() => {
      seen.push(third.result(BOUND), pool.submit(square, 3).result(BOUND));
      gate.open();
    });
    assertEquals(second.result(BOUND), 30);
    first.addDoneCallback(() => seen.push("late"));
    assertEquals(seen, [15, 9, "late"]);
  });

  test(`${name}.submit() whose argument submits while it is read disturbs neither`, async () => {
    using pool = borrow(kind, 1);
    const argument = {
      before: "b".repeat(100),
      get inner() {
        return [
          pool.submit(square, 3).result(BOUND),
          pool.submit(echo<string>, "x".repeat(5_000)).result(BOUND).length,
        ];
      },
      after: "a".repeat(100),
    };
    const future = pool.submit(echo<unknown>, argument);
    const error = future.exception(BOUND);
    if (error === null) assertEquals(future.result(), { ...argument });
    else assertInstanceOf(error, SerializationError);
    assertEquals(await within(pool.submit(square, 4)), 16);
  });

  test(`Future of ${name} that fails or is cancelled raises no unhandledrejection when nobody listens`, async () => {
    const raised: unknown[] = [];
    const listen = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      raised.push(event.reason);
    };
    globalThis.addEventListener("unhandledrejection", listen);
    try {
      using pool = borrow(kind, 1);
      for (let i = 0; i < 20; i++) pool.submit(throwValue, new Error("nobody listens"));
      for (let i = 0; i < 20; i++) pool.submit(echo<number>, 1).cancel();
      await within(pool.submit(echo<number>, 1));
      await sleep(20);
    } finally {
      globalThis.removeEventListener("unhandledrejection", listen);
    }
    assertEquals(raised, []);
  });

  test(`${name}: futures of two pools do not disturb each other`, async () => {
    using one = borrow(kind, 1);
    using two = borrow(kind, 2);
    using gate = new Gate();
    const held = one.submit(passGate<number>, gate.path, 1);
    assertEquals(Array.from({ length: 20 }, (_, i) => two.submit(square, i).result(BOUND)).at(-1), 361);
    assertEquals(await within(two.submit(square, 2)), 4);
    assertEquals(held.done(), false);
    gate.open();
    assertEquals(held.result(BOUND), 1);
  });
}
