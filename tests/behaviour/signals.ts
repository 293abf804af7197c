/** Signals among the arguments of tasks: they arrive as live signals. */
import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { SerializationError } from "@concurrent/futures";
import { BOUND, Ledger, spin, test, until, within } from "../_helpers.ts";
import { aborted, awaitSignal, loopUntil, returnSignal } from "../fixtures/control_tasks.ts";
import { echo } from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

export function signalBehaviour(kind: Kind): void {
  const { name, make, isRemote } = kind;

  test(`${name}: an AbortSignal among the arguments arrives as one that is aborted, or not`, async () => {
    using pool = borrow(kind, 1);
    assertEquals(await within(pool.submit(aborted, new AbortController().signal)), [true, false, undefined]);
    const reasons = ["text", 5, null, { a: [1n] }, new TypeError("no"), "x".repeat(500)];
    for (const reason of reasons) {
      const [isSignal, isAborted, arrived] = await within(pool.submit(aborted, AbortSignal.abort(reason)));
      assertEquals([isSignal, isAborted], [true, true]);
      if (reason instanceof Error) {
        assertEquals([(arrived as Error).name, (arrived as Error).message], ["TypeError", "no"]);
      } else assertEquals(arrived, reason);
    }
    // A reason that is too large, or cannot cross, is left out.
    for (const reason of ["x".repeat(100_000), () => 1, new Uint8Array(9_000), undefined]) {
      const [, isAborted, arrived] = await within(pool.submit(aborted, AbortSignal.abort(reason)));
      assertEquals([isAborted, (arrived as Error).name], [true, "AbortError"]);
    }
    const lists = [...pool.map(aborted, [AbortSignal.abort(1), new AbortController().signal, AbortSignal.abort(2)])];
    assertEquals(lists.map(([, isAborted, reason]) => [isAborted, reason]), [[true, 1], [false, undefined], [true, 2]]);
  });

  test(`${name}: a signal among the arguments is aborted in the task at once, also in a loop`, async () => {
    using pool = borrow(kind, 1);
    for (let i = 0; i < 3; i++) {
      const ledger = new Ledger();
      const controller = new AbortController();
      const future = pool.with({ name: i === 1 ? "named" : undefined }).submit(
        loopUntil,
        { signal: controller.signal },
        ledger.path,
      );
      await until(() => ledger.lines().length === 1, "its begin");
      spin(i * 10);
      controller.abort("the reason");
      // Neither this thread nor the task lets an event loop go on.
      assertEquals(future.result(BOUND), "the reason");
    }
  });

  test(`${name}: a signal among the arguments has its event, for each task that listens to it`, async () => {
    using pool = borrow(kind, 2);
    const controller = new AbortController();
    const ledger = new Ledger();
    const futures = [1, 2].map(() => pool.submit(awaitSignal, controller.signal, ledger.path));
    const behind = pool.submit(aborted, controller.signal);
    await until(() => ledger.lines().length === 2, "their begin");
    controller.abort(new Error("enough"));
    for (const future of futures) assertEquals(((await within(future)) as Error).message, "enough");
    assertEquals((await within(behind)).slice(0, 2), [true, true]);
    // It was aborted when others had it before.
    assertEquals((await within(pool.submit(aborted, controller.signal))).slice(0, 2), [true, true]);
  });

  test(`${name}: of many signals among the arguments each aborts its own tasks`, async () => {
    using pool = borrow(kind, 2);
    const controllers = Array.from({ length: 300 }, () => new AbortController());
    const futures = controllers.map(({ signal }) => pool.submit(aborted, signal));
    for (const [i, controller] of controllers.entries()) if (i % 2 === 0) controller.abort(i);
    for (const [i, [isSignal, isAborted, reason]] of (await within(Promise.all(futures))).entries()) {
      assert(isSignal);
      // Where it came in time.
      if (isAborted) assertEquals(reason, i - (i % 2));
    }
    const again = await within(Promise.all(controllers.map(({ signal }) => pool.submit(aborted, signal))));
    assertEquals(again.map(([, isAborted]) => isAborted), controllers.map((_, i) => i % 2 === 0));
  });

  test(`${name}: an AbortSignal is refused in a result, and among the arguments of an initializer`, async () => {
    using pool = borrow(kind, 1);
    const error = pool.submit(returnSignal).exception(BOUND);
    assertInstanceOf(error, SerializationError);
    assertMatch(error.message, /^Cannot send result\.signal .*an AbortSignal, /);
    if (isRemote) return;
    const { signal } = new AbortController();
    using other = make({ initializer: echo, initargs: [signal] });
    const broken = other.submit(echo<number>, 1).exception(BOUND) as Error;
    assertMatch(String((broken.cause as Error).message), /an AbortSignal, /);
    await within(other.shutdown());
  });
}
