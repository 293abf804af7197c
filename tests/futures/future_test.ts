/** `Future` without an executor: states, results, callbacks. */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { CancelledError, Future, InvalidStateError, TimeoutError } from "@concurrent/futures";
import { inspect } from "node:util";
import { Progress } from "../../futures/_progress.ts";
import { bothCancelled, bothFail, elapsed, test, thrownBy, until } from "../_helpers.ts";

/** One future in each state, as CPython's tests have them. */
function inEachState() {
  const pending = new Future<number>();
  const running = new Future<number>();
  running.setRunningOrNotifyCancel();
  const cancelled = new Future<number>();
  cancelled.cancel();
  const notified = new Future<number>();
  notified.cancel();
  notified.setRunningOrNotifyCancel();
  const failed = new Future<number>();
  failed.setException(new RangeError("no"));
  const successful = new Future<number>();
  successful.setResult(42);
  return { pending, running, cancelled, notified, failed, successful };
}

test("Future: the predicates and the state in each of the six situations", () => {
  const look = (f: Future<number>) => [f.state, f.cancelled(), f.running(), f.done()];
  const { pending, running, cancelled, notified, failed, successful } = inEachState();
  assertEquals(look(pending), ["PENDING", false, false, false]);
  assertEquals(look(running), ["RUNNING", false, true, false]);
  assertEquals(look(cancelled), ["CANCELLED", true, false, true]);
  assertEquals(look(notified), ["CANCELLED", true, false, true]);
  assertEquals(look(failed), ["FINISHED", false, false, true]);
  assertEquals(look(successful), ["FINISHED", false, false, true]);
});

test("Future.cancel() answers and leaves the right state in each situation", async () => {
  const { pending, running, cancelled, notified, failed, successful } = inEachState();
  assertStrictEquals(pending.cancel(), true);
  assertStrictEquals(running.cancel(), false);
  assertStrictEquals(cancelled.cancel(), true);
  assertStrictEquals(notified.cancel(), true);
  assertStrictEquals(failed.cancel(), false);
  assertStrictEquals(successful.cancel(), false);
  await bothCancelled(pending);
  await bothCancelled(cancelled);
  await bothCancelled(notified);
  assertEquals(running.state, "RUNNING");
  assertInstanceOf(failed.exception(), RangeError);
  assertEquals(successful.result(), 42);
});

test("Future.result() and exception() answer a poll in each situation", () => {
  const { pending, running, cancelled, notified, failed, successful } = inEachState();
  for (const timeout of [0, -0, -1, -0.5, -Infinity]) {
    for (const future of [pending, running]) {
      assertThrows(() => future.result(timeout), TimeoutError);
      assertThrows(() => future.exception(timeout), TimeoutError);
    }
    for (const future of [cancelled, notified]) {
      assertThrows(() => future.result(timeout), CancelledError);
      assertThrows(() => future.exception(timeout), CancelledError);
    }
    assertThrows(() => failed.result(timeout), RangeError, "no");
    assertInstanceOf(failed.exception(timeout), RangeError);
    assertStrictEquals(successful.result(timeout), 42);
    assertStrictEquals(successful.exception(timeout), null);
  }
});

test("Future.result(NaN) and exception(NaN) are a RangeError in every situation", () => {
  for (const [name, future] of Object.entries(inEachState())) {
    assertThrows(() => future.result(NaN), RangeError, undefined, name);
    assertThrows(() => future.exception(NaN), RangeError, undefined, name);
  }
  const { failed } = inEachState();
  assert(thrownBy(() => failed.result(NaN)) !== failed.exception(), "the RangeError of the task itself");
  const { pending } = inEachState();
  assertThrows(() => pending.result(NaN), RangeError);
  assertEquals(pending.state, "PENDING", "the future is as it was");
});

test("Future.result() returns at once whatever the timeout, once the future is finished", () => {
  const { successful, failed, cancelled } = inEachState();
  for (const timeout of [undefined, 0, 1, 1e6, 2 ** 31, 2 ** 53, Number.MAX_VALUE, Infinity]) {
    assertStrictEquals(successful.result(timeout), 42);
    assertStrictEquals(successful.exception(timeout), null);
    assertThrows(() => failed.result(timeout), RangeError);
    assertThrows(() => cancelled.result(timeout), CancelledError);
  }
});

test("Future.result() on a bare unfinished future throws InvalidStateError at once, as nobody can complete it", () => {
  for (const name of ["pending", "running"] as const) {
    for (const timeout of [[], [undefined], [Infinity]] as [number?][]) {
      const future = inEachState()[name];
      const took = elapsed(() => {
        assertThrows(() => future.result(...timeout), InvalidStateError);
        assertThrows(() => future.exception(...timeout), InvalidStateError);
      });
      assert(took < 500, `${name}: took ${took} ms`);
      future.setResult(1);
      assertStrictEquals(future.result(), 1, "the future stays usable");
    }
  }
});

test("Future.result() on a bare unfinished future throws TimeoutError after its timeout", () => {
  for (const name of ["pending", "running"] as const) {
    for (const method of ["result", "exception"] as const) {
      const future = inEachState()[name];
      const took = elapsed(() => assertThrows(() => future[method](60), TimeoutError));
      assert(took >= 59, `${method}() gave up after ${took} of 60 ms`);
      assert(took < 5_000, `${method}() gave up only after ${took} ms`);
      future.setResult(7);
      assertStrictEquals(future.result(), 7, "the future stays usable");
    }
  }
});

test("Future.result() throws the same object each time, and exception() returns it", async () => {
  const error = new TypeError("mine");
  const future = new Future<never>();
  future.setException(error);
  await bothFail(future, (thrown) => assertStrictEquals(thrown, error));
});

test("Future.setException() with a falsy value still counts as failed", async () => {
  for (const falsy of [undefined, null, 0, -0, NaN, "", false, 0n]) {
    const future = new Future<never>();
    future.setException(falsy);
    assertEquals(future.state, "FINISHED");
    await bothFail(future, (thrown) => assert(Object.is(thrown, falsy), `${Deno.inspect(falsy)} became ${thrown}`));
  }
});

test("Future.setResult() keeps the very value", () => {
  for (const value of [undefined, null, 0, -0, NaN, "", false, {}, [], new Error("a value"), () => 1]) {
    const future = new Future<unknown>();
    future.setResult(value);
    assert(Object.is(future.result(), value));
    assertStrictEquals(future.exception(), null);
  }
});

test("Future: every illegal move is an InvalidStateError that names the state, and changes nothing", () => {
  for (const name of ["cancelled", "notified", "failed", "successful"] as const) {
    const future = inEachState()[name];
    const before = String(future);
    for (const move of [() => future.setResult(1), () => future.setException(new Error("late"))]) {
      const error = thrownBy(move);
      assertInstanceOf(error, InvalidStateError);
      assertStringIncludes(error.message, future.state);
      assertStringIncludes(error.message, before);
    }
    assertEquals(String(future), before);
    if (name === "successful") assertStrictEquals(future.result(), 42);
    if (name === "failed") assertThrows(() => future.result(), RangeError, "no");
  }
});

test("Future.setResult() and setException() are legal from PENDING and from RUNNING", () => {
  for (const name of ["pending", "running"] as const) {
    const good = inEachState()[name];
    good.setResult(1);
    assertStrictEquals(good.result(), 1);
    const bad = inEachState()[name];
    bad.setException(new URIError("x"));
    assertThrows(() => bad.result(), URIError);
  }
});

test("Future.setRunningOrNotifyCancel(): true once, always false when cancelled, else InvalidStateError", () => {
  const future = new Future<number>();
  assertStrictEquals(future.setRunningOrNotifyCancel(), true);
  assertStrictEquals(future.running(), true);
  assertThrows(() => future.setRunningOrNotifyCancel(), InvalidStateError);
  assertStrictEquals(future.running(), true);

  const { cancelled, failed, successful } = inEachState();
  for (let i = 0; i < 3; i++) assertStrictEquals(cancelled.setRunningOrNotifyCancel(), false);
  assertStrictEquals(cancelled.cancelled(), true);
  assertThrows(() => failed.setRunningOrNotifyCancel(), InvalidStateError);
  assertThrows(() => successful.setRunningOrNotifyCancel(), InvalidStateError);
  assertStrictEquals(successful.result(), 42);
});

// ---- callbacks ----------------------------------------------------------------------------------------------------

/** What went to `console.error` while `fn` ran. */
function errorsLogged(fn: () => void): string[] {
  const logged: string[] = [];
  const original = console.error;
  console.error = (...values: unknown[]) => {
    logged.push(values.map((value) => typeof value === "string" ? value : Deno.inspect(value)).join(" "));
  };
  try {
    fn();
  } finally {
    console.error = original;
  }
  return logged;
}

test("Future.addDoneCallback() calls with the future, whichever way it ends", () => {
  const endings: ((f: Future<number>) => void)[] = [
    (f) => f.setResult(5),
    (f) => f.setException(new Error("no")),
    (f) => void f.cancel(),
  ];
  for (const end of endings) {
    const future = new Future<number>();
    const calls: unknown[][] = [];
    const early = future.addDoneCallback((...args) => void calls.push([...args, future.done(), future.running()]));
    assertStrictEquals(early, undefined);
    assertEquals(calls.length, 0);
    end(future);
    assertEquals(calls.length, 1, "the callback has been called when the move returns");
    assertStrictEquals(calls[0][0], future);
    assertEquals(calls[0].slice(1), [true, false]);
    future.addDoneCallback((...args) => void calls.push(args));
    assertEquals(calls.length, 2, "added late, it is called at once");
    assertStrictEquals(calls[1][0], future);
    assertEquals(calls[1].length, 1);
  }
});

test("Future.addDoneCallback() calls in the order added, a function added twice twice, nested ones at once", () => {
  const order: string[] = [];
  const future = new Future<number>();
  const b = () => void order.push("b");
  future.addDoneCallback(() => {
    order.push("a");
    future.addDoneCallback(() => void order.push("nested"));
  });
  future.addDoneCallback(b);
  future.addDoneCallback(b);
  future.setResult(1);
  assertEquals(order, ["a", "nested", "b", "b"]);
});

test("Future.addDoneCallback(): callbacks run once, also when cancel() is called again", () => {
  let calls = 0;
  const future = new Future<number>();
  future.addDoneCallback(() => calls++);
  future.cancel();
  future.cancel();
  future.setRunningOrNotifyCancel();
  assertEquals(calls, 1);
});

test("Future: an asynchronous callback that rejects is reported with console.error and stops nothing", async () => {
  const logged: string[] = [];
  const { error } = console;
  console.error = (text: string, reason: Error) => logged.push(`${text.replace(/#\d+/, "#n")} ${reason.message}`);
  try {
    const failed = new Future<number>();
    const order: string[] = [];
    failed.addDoneCallback(async (future) => void await future);
    failed.addDoneCallback(() => void order.push("last"));
    failed.setException(new EvalError("of the task"));
    assertEquals(order, ["last"]);
    const progress = new Progress("<Future>");
    progress.add(() => Promise.reject(new EvalError("of a callback")));
    progress.take(1);
    progress.deliver();
    await until(() => logged.length === 2, "both errors");
  } finally {
    console.error = error;
  }
  assertEquals(logged.sort(), [
    "Uncaught error in a done callback of <Future #n state=finished raised EvalError>: of the task",
    "Uncaught error in a progress callback of <Future>: of a callback",
  ]);
});

test("Future.addDoneCallback(): one that throws is reported with console.error and stops nothing", () => {
  const order: string[] = [];
  const future = new Future<number>();
  future.addDoneCallback(() => void order.push("first"));
  future.addDoneCallback(() => {
    order.push("bad");
    throw new EvalError("thrown by a callback");
  });
  future.addDoneCallback(() => void order.push("last"));
  const logged = errorsLogged(() => future.setResult(3));
  assertEquals(order, ["first", "bad", "last"]);
  assertEquals(logged.length, 1);
  assertStringIncludes(logged[0], "thrown by a callback");
  assertStrictEquals(future.result(), 3);

  const late = errorsLogged(() =>
    future.addDoneCallback(() => {
      throw new EvalError("thrown late");
    })
  );
  assertEquals(late.length, 1);
  assertStringIncludes(late[0], "thrown late");

  const cancelled = new Future<number>();
  cancelled.addDoneCallback(() => {
    throw undefined;
  });
  assertEquals(errorsLogged(() => assertStrictEquals(cancelled.cancel(), true)).length, 1);
});

test("Future.addDoneCallback() refuses what is not a function", () => {
  // deno-lint-ignore no-explicit-any
  const future = new Future<number>() as any;
  for (const wrong of [undefined, null, 5, "f", {}]) assertThrows(() => future.addDoneCallback(wrong), TypeError);
  future.setResult(1);
  for (const wrong of [undefined, null, 5, "f", {}]) assertThrows(() => future.addDoneCallback(wrong), TypeError);
});

test("Future is shown by Node's util.inspect as by console.log", () => {
  const future = new Future<number>();
  assertEquals(inspect(future), Deno.inspect(future));
  assertEquals(inspect([future]), `[ ${future} ]`);
});

test("Future says what its value is, and object of one that does not tell", () => {
  const untold = {
    get constructor() {
      throw new Error("not told");
    },
  };
  for (const [value, type] of [[null, "null"], [1, "number"], [[], "Array"], [untold, "object"]] as const) {
    const future = new Future<unknown>();
    future.setResult(value);
    assertStringIncludes(`${future}`, `state=finished returned ${type}>`);
  }
});

test("Future.addDoneCallback(): a callback may settle other futures, and read and block on its own", () => {
  const [first, second] = [new Future<number>(), new Future<number>()];
  const seen: number[] = [];
  first.addDoneCallback((f) => {
    seen.push(f.result());
    second.setResult(f.result() + 1);
  });
  second.addDoneCallback((f) => void seen.push(f.result()));
  first.setResult(1);
  assertEquals(seen, [1, 2]);
});

test("Future.addDoneCallback() takes 100,000 callbacks", () => {
  let calls = 0;
  const future = new Future<number>();
  for (let i = 0; i < 100_000; i++) future.addDoneCallback(() => calls++);
  future.setResult(1);
  assertEquals(calls, 100_000);
});
