/** Tasks that try to end their worker: they end themselves, and the pool stays usable. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { type Executor, type Future, TaskExitError, taskRef } from "@concurrent/futures";
import { bothFail, BOUND, Gate, Ledger, rejectionOf, sleep, test, until, within } from "../_helpers.ts";
import {
  breakWorkerLater,
  callerNames,
  closeGlobal,
  closeInTimer,
  closeSelf,
  echo,
  echoLater,
  echoSlowly,
  eighth,
  endInGetter,
  exitAfterReturn,
  exitAndCatch,
  exitInTimer,
  exitLater,
  exitWith,
  goWrongIn,
  goWrongLater,
  halve,
  passGate,
  quarter,
  rejectAfterReturn,
  rejectUnhandled,
  replaceGlobals,
  square,
  squareLater,
  squareUnless,
  throwAfterReturn,
  throwInMicrotask,
  throwInTimer,
} from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

export function exitBehaviour(kind: Kind): void {
  const { name, make } = kind;
  /** A pool whose worker no other test has left anything in; the workers of a node outlive its pools anyway. */
  const makeAlone = () => kind.isRemote ? borrow(kind, 1) : make({ maxWorkers: 1 });

  function assertUsable(pool: Executor): void {
    for (let i = 0; i < 5; i++) assertEquals(pool.submit(square, i).result(BOUND), i * i);
  }

  test(`${name}: Deno.exit() in a task fails its future with TaskExitError, the pool stays usable`, async () => {
    using pool = borrow(kind, 1);
    const tasks: [string, () => Future<unknown>, number][] = [
      ["with a code", () => pool.submit(exitWith, 3), 3],
      ["with 0", () => pool.submit(exitWith, 0), 0],
      ["without a code", () => pool.submit(exitWith), 0],
      ["after an await", () => pool.submit(exitLater, 4), 4],
      ["in a timer", () => pool.submit(exitInTimer, 5), 5],
      ["caught by the task", () => pool.submit(exitAndCatch, 6), 6],
    ];
    if (!kind.isRemote) {
      tasks.push(["in source text", () => pool.submit((code: number) => Deno.exit(code), 7), 7]);
      const exitWhereStackEnds = (code: number) => {
        const descend = (): unknown => {
          try {
            return descend();
          } catch (error) {
            // The end of the task overflows here, and further up again and again, until it does not.
            if (error instanceof RangeError) Deno.exit(code);
            throw error;
          }
        };
        return descend();
      };
      tasks.push(["where the stack ends", () => pool.submit(exitWhereStackEnds, 8), 8]);
    }
    for (const [what, submit, code] of tasks) {
      await bothFail(submit, (error) => {
        assertInstanceOf(error, TaskExitError, `${what}: ${Deno.inspect(error)}`);
        assertEquals([error.name, error.exitCode], ["TaskExitError", code], what);
      });
      assertUsable(pool);
    }
  });

  test(`${name}: self.close() in a task fails its future with TaskExitError, the pool stays usable`, async () => {
    using pool = borrow(kind, 1);
    for (const task of [closeSelf, closeGlobal, closeInTimer, ...(kind.isRemote ? [] : [() => close()])]) {
      await bothFail(() => pool.submit<[], unknown>(task), (error) => {
        assertInstanceOf(error, TaskExitError, `${task.name}: ${Deno.inspect(error)}`);
        assertEquals(typeof error.exitCode, "number");
      });
      assertUsable(pool);
    }
  });

  // Each outcome is told once: told twice, the second one would become that of another task.
  test(`${name}: a getter of an outcome that ends the task settles its future once, and no other future`, () => {
    const inner = { exit: TaskExitError, close: TaskExitError, "exit and catch": TaskExitError, report: EvalError };
    const beside = kind.isRemote ? [0, 1] : [0, 1, 2, 3];
    const ends: { [how: string]: unknown } = { ...inner, "report again": EvalError, throw: undefined, none: undefined };
    for (const [how, expected] of Object.entries(ends)) {
      // A node encodes what a chunk gave in the midst of its task; an error that is reported while one is ends a
      // process.
      if (kind.isRemote && how === "report again") continue;
      using pool = borrow(kind, 2);
      for (const outcome of ["thrown", "returned", "map", "rejected", "resolved", "cause"]) {
        for (const chunksize of [undefined, 3]) {
          const future = chunksize ? undefined : pool.submit(endInGetter, how, outcome);
          const mapped = chunksize
            ? pool.map(endInGetter, [how, "", how], [outcome, "map", outcome], { chunksize })
            : [];
          const others = beside.map((n) => pool.submit(echoSlowly<number>, n, 2));
          let error: unknown = null;
          try {
            // The value crosses where its getter ends nothing.
            void (future?.result(BOUND) ?? [...mapped]);
          } catch (thrown) {
            error = thrown;
          }
          const what = `${how} in a getter of what is ${outcome}${chunksize ? ", in a chunk" : ""}: ${
            Deno.inspect(error)
          }`;
          if (expected !== undefined) assertInstanceOf(error, expected as ErrorConstructor, what);
          else if (how === "none" && !["thrown", "rejected", "cause"].includes(outcome)) {
            assertEquals(error, null, what);
          } else assert(error instanceof Error && !(error instanceof TaskExitError), what);
          if (how.startsWith("exit")) assertEquals((error as TaskExitError).exitCode, 6, what);
          if (how === "exit and catch") assert(!(error as Error).stack!.includes("left out"), what);
          assertEquals(others.map((other) => other.result(BOUND)), beside, what);
        }
      }
      assertUsable(pool);
    }
  });

  test(`${name}: a throw in a timer or microtask, or an unhandled rejection, fails the task that waits`, async () => {
    using pool = borrow(kind, 1);
    for (const task of [throwInTimer, rejectUnhandled, throwInMicrotask]) {
      await bothFail(() => pool.submit(task, "from outside the task"), (error) => {
        assertInstanceOf(error, Error, task.name);
        assertStringIncludes(error.message, "from outside the task", task.name);
        assertInstanceOf(error, EvalError, task.name);
      });
      assertUsable(pool);
    }
  });

  test(`${name}: what a task leaves behind to throw or exit later harms no other task for good`, async () => {
    using pool = makeAlone();
    for (const task of [throwAfterReturn, rejectAfterReturn, exitAfterReturn]) {
      for (const blocking of [true, false]) {
        const future = pool.submit(task);
        assertEquals(blocking ? future.result(BOUND) : await within(future), "returned");
        if (blocking) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 15);
        else await sleep(15); // it happens now, while the worker is idle
        assertUsable(pool);
      }
    }
  });

  test(`${name}: what goes wrong of an earlier task does not fail the one that runs meanwhile`, async () => {
    using pool = makeAlone();
    for (const how of ["throw", "reject", "exit", "close"] as const) {
      for (const ms of [10, 10, undefined, undefined]) {
        const earlier = pool.submit(goWrongLater, how, ms);
        const meanwhile = pool.submit(echoLater<string>, how, 25);
        assertEquals(await within(earlier), "returned");
        assertEquals(await within(meanwhile), how);
      }
      assertUsable(pool);
    }
  });

  test(`${name}: what goes wrong in a listener, which nobody knows the task of, fails the one that runs`, async () => {
    using pool = makeAlone();
    // A worker that has rested can tell most tasks apart; one that has not begun to cannot.
    for (const isWarm of [false, true]) {
      for (const caller of callerNames) {
        for (const how of ["throw", "reject", "exit", "close"] as const) {
          const what = `${how} in ${caller}, ${isWarm ? "warm" : "cold"}`;
          const error = await rejectionOf(pool.submit(goWrongIn, caller, how));
          if (how === "exit" || how === "close") {
            assertInstanceOf(error, TaskExitError, `${what}: ${Deno.inspect(error)}`);
          } else {
            assertInstanceOf(error, EvalError, `${what}: ${Deno.inspect(error)}`);
            assertStringIncludes(error.message, "from a listener", what);
          }
          assertUsable(pool);
          if (isWarm) await sleep(1);
        }
      }
    }
  });

  test(`${name}: a task that ends itself leaves those behind it and beside it alone`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const beside = pool.submit(passGate<string>, gate.path, "beside");
    const endings = [
      pool.submit(exitWith, 1),
      pool.submit(closeSelf),
      pool.submit(throwInTimer, "x"),
      pool.submit(rejectUnhandled, "x"),
    ];
    const behind = Array.from({ length: 100 }, (_, i) => pool.submit(square, i));
    assertEquals(await within(Promise.all(behind)), behind.map((_, i) => i * i));
    for (const future of endings) assertInstanceOf(future.exception(BOUND), Error);
    assertEquals(beside.state, "RUNNING");
    gate.open();
    assertEquals(await within(beside), "beside");
  });

  test(`${name}: 50 tasks that end themselves among 200 that do not`, async () => {
    using pool = borrow(kind, 2);
    const futures = Array.from({ length: 250 }, (_, i): Future<unknown> => {
      if (i % 5 !== 0) return pool.submit(echo<number>, i);
      return i % 2 === 0 ? pool.submit(exitWith, i) : pool.submit(closeSelf);
    });
    const outcomes = await within(Promise.allSettled(futures));
    for (const [i, outcome] of outcomes.entries()) {
      if (i % 5 !== 0) assertEquals(outcome, { status: "fulfilled", value: i });
      else assertInstanceOf((outcome as PromiseRejectedResult).reason, TaskExitError);
    }
  });

  test(`${name}: a module that exits or closes at its import fails that future, the pool stays usable`, async () => {
    using pool = borrow(kind, 1);
    for (const file of ["exits", "closes"]) {
      const task = taskRef<() => number>(import.meta.resolve(`../fixtures/${file}_on_import.ts`), "never");
      const outcome = await within(pool.submit(task).then((n) => n, (error) => error));
      assert(outcome instanceof Error || (file === "closes" && outcome === 1), `${file}: ${outcome}`);
      assertUsable(pool);
    }
  });

  test(`${name}: a task that exits in an asynchronous task's place does not settle the next one`, async () => {
    using pool = borrow(kind, 1);
    for (let i = 0; i < 10; i++) {
      const [exit, next] = [pool.submit(exitInTimer, 2), pool.submit(echoLater<number>, i, 8)];
      assertInstanceOf(exit.exception(BOUND), TaskExitError);
      assertEquals(await within(next), i);
    }
  });

  if (kind.isRemote) return;
  for (const how of ["stops", "throws"] as const) {
    test(`${name}: a task that replaces the functions of the global scope stops no worker (${how})`, async () => {
      using pool = make({ maxWorkers: 1 });
      assertEquals(await within(pool.submit(replaceGlobals, how)), "replaced");
      for (let i = 0; i < 3; i++) {
        assertUsable(pool);
        const futures = Array.from({ length: 300 }, (_, n) => pool.submit(squareLater, n));
        assertEquals(await within(Promise.all(futures)), futures.map((_, n) => n * n));
        assertEquals([...pool.map(square, futures.keys(), { chunksize: 7 })], futures.map((_, n) => n * n));
        assertEquals([...pool.map(squareLater, futures.keys(), { chunksize: 7 })], futures.map((_, n) => n * n));
        assertEquals(await within(pool.submit(echo<string>, "x".repeat(100_000))), "x".repeat(100_000));
        assertEquals((await within(pool.submit(echo<Uint8Array>, new Uint8Array(100_000)))).length, 100_000);
        await bothFail(pool.submit(exitWith, 3), (error) => assertInstanceOf(error, TaskExitError));
        await bothFail(pool.submit(squareUnless, 1, 1), (error) => assertInstanceOf(error, RangeError));
        // A function that it has not seen yet, too.
        assertEquals(await within(pool.submit([halve, quarter, eighth][i], 8)), 8 / 2 ** (i + 1));
      }
    });
  }

  test(`${name}: a task whose timer breaks what its worker needs breaks the pool, and no future hangs`, async () => {
    const pool = make({ maxWorkers: 1 });
    const ledger = new Ledger();
    assertEquals(await within(pool.submit(breakWorkerLater, ledger.path)), "soon");
    await until(() => ledger.lines().length === 1, "the timer of the task");
    const futures = [1, 2, 3].map((n) => pool.submit(square, n));
    for (const outcome of await within(Promise.allSettled(futures))) {
      assertInstanceOf((outcome as PromiseRejectedResult).reason, kind.broken);
    }
    await within(pool.shutdown());
  });
}
