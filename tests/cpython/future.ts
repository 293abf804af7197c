/** `FutureTests` of Python's test_future.py: futures of no executor. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { CancelledError, Future, InvalidStateError, ThreadPoolExecutor, TimeoutError } from "@concurrent/futures";
import { both, bothCancelled, bothFail, BOUND, Gate, note, rejectionOf, thrownBy, within } from "../_helpers.ts";
import { passGate, square } from "../fixtures/tasks.ts";
import { row } from "./_rows.ts";

/** A future in each of the six states that Python tells apart. */
interface Six {
  pending: Future<number>;
  running: Future<number>;
  cancelled: Future<number>;
  notified: Future<number>;
  failed: Future<number>;
  succeeded: Future<number>;
}

const ERROR = new RangeError("the outcome");

function six(): Six {
  const made = () => note(new Future<number>());
  const futures = {
    pending: made(),
    running: made(),
    cancelled: made(),
    notified: made(),
    failed: made(),
    succeeded: made(),
  };
  futures.running.setRunningOrNotifyCancel();
  futures.cancelled.cancel();
  futures.notified.cancel();
  assertEquals(futures.notified.setRunningOrNotifyCancel(), false);
  futures.failed.setException(ERROR);
  futures.succeeded.setResult(42);
  return futures;
}

/** What a predicate says of the six. */
function ask(predicate: (future: Future<number>) => boolean): Record<keyof Six, boolean> {
  const { pending, running, cancelled, notified, failed, succeeded } = six();
  return {
    pending: predicate(pending),
    running: predicate(running),
    cancelled: predicate(cancelled),
    notified: predicate(notified),
    failed: predicate(failed),
    succeeded: predicate(succeeded),
  };
}

/** Runs `fn` and gives what was written by `console.error` meanwhile. */
function reported(fn: () => void): string[] {
  const texts: string[] = [];
  const { error } = console;
  console.error = (...args: unknown[]) => texts.push(args.map(String).join(" "));
  try {
    fn();
  } finally {
    console.error = error;
  }
  return texts;
}

function future(title: string, fn: () => void | Promise<void>): void {
  row("Future", title, fn);
}

/** Blocks and awaits while the end of another thread's task, in a callback, completes a future. */
async function whileWaiting(complete: (future: Future<number>) => void, check: (read: Read) => void): Promise<void> {
  using pool = new ThreadPoolExecutor(1);
  for (const blocking of [true, false]) {
    using gate = new Gate();
    const future = note(new Future<number>());
    const other = pool.submit(passGate, gate.path);
    other.addDoneCallback(() => complete(future));
    await gate.arrived();
    gate.open();
    if (blocking) check({ result: () => future.result(BOUND), exception: () => future.exception(BOUND) });
    else {
      const outcome = await within(future.then((value) => ({ value }), (error) => ({ error })), "the future");
      check({
        result: () => {
          if ("error" in outcome) throw outcome.error;
          return outcome.value;
        },
        exception: () => {
          if (!("error" in outcome)) return null;
          if (outcome.error instanceof CancelledError) throw outcome.error;
          return outcome.error;
        },
      });
    }
    await within(other, "the other thread's task");
  }
}

interface Read {
  result(): number;
  exception(): unknown;
}

export function futureRows(): void {
  future("test_done_callback_with_result: a callback sees the value", async () => {
    const future = new Future<number>();
    const seen: unknown[] = [];
    future.addDoneCallback((f) => seen.push(f.result()));
    future.setResult(5);
    assertEquals(seen, [5]);
    await both(future, (value) => assertEquals(value, 5));
  });

  future("test_done_callback_with_exception: a callback sees the error", async () => {
    const future = new Future<number>();
    const seen: unknown[] = [];
    future.addDoneCallback((f) => seen.push(f.exception()));
    future.setException(ERROR);
    assertStrictEquals(seen[0], ERROR);
    await bothFail(future, (error) => assertStrictEquals(error, ERROR));
  });

  future("test_done_callback_with_cancel: cancel() calls the callback, which sees it cancelled", async () => {
    const future = new Future<number>();
    const seen: boolean[] = [];
    future.addDoneCallback((f) => seen.push(f.cancelled()));
    assertEquals([future.cancel(), seen], [true, [true]]);
    assertEquals([future.cancel(), seen], [true, [true]], "the second cancel() calls nothing");
    await bothCancelled(future);
  });

  future("test_done_callback_raises: a callback that throws is reported, and the others are called", async () => {
    const future = new Future<number>();
    let calls = 0;
    future.addDoneCallback(() => {
      calls++;
      throw new EvalError("thrown by the callback");
    });
    future.addDoneCallback(() => void calls++);
    const texts = reported(() => future.setResult(5));
    assertEquals([calls, texts.length], [2, 1]);
    assertMatch(texts[0], /Uncaught error in a done callback of <Future #\d+ .*thrown by the callback/s);
    await both(future, (value) => assertEquals(value, 5));
  });

  future("test_done_callback_already_successful: a late callback is called at once, with the value", () => {
    const seen: unknown[] = [];
    six().succeeded.addDoneCallback((f) => seen.push(f.result()));
    assertEquals(seen, [42]);
  });

  future("test_done_callback_already_failed: a late callback is called at once, with the error", () => {
    const seen: unknown[] = [];
    six().failed.addDoneCallback((f) => seen.push(f.exception()));
    assertStrictEquals(seen[0], ERROR);
  });

  future("test_done_callback_already_cancelled: a late callback is called at once, for both cancelled states", () => {
    const seen: boolean[] = [];
    six().cancelled.addDoneCallback((f) => seen.push(f.cancelled()));
    six().notified.addDoneCallback((f) => seen.push(f.cancelled()));
    assertEquals(seen, [true, true]);
  });

  future(
    "test_done_callback_raises_already_succeeded: a late callback that throws is reported, not thrown",
    async () => {
      const { succeeded } = six();
      const texts = reported(() =>
        succeeded.addDoneCallback(() => {
          throw new EvalError("thrown by the callback");
        })
      );
      assertEquals(texts.length, 1);
      assertMatch(texts[0], /thrown by the callback/);
      await both(succeeded, (value) => assertEquals(value, 42));
    },
  );

  future("test_repr: the text form tells the state, and the type of the outcome, also of a falsy one", () => {
    const { pending, running, cancelled, notified, failed, succeeded } = six();
    const falsy = new Future<number>();
    falsy.setException(0);
    for (const text of [String, Deno.inspect]) {
      assertMatch(text(pending), /^<Future #\d+ state=pending>$/);
      assertMatch(text(running), /^<Future #\d+ state=running>$/);
      assertMatch(text(cancelled), /^<Future #\d+ state=cancelled>$/);
      assertMatch(text(notified), /^<Future #\d+ state=cancelled>$/);
      assertMatch(text(failed), /^<Future #\d+ state=finished raised RangeError>$/);
      assertMatch(text(succeeded), /^<Future #\d+ state=finished returned number>$/);
      assertMatch(text(falsy), /^<Future #\d+ state=finished raised number>$/);
    }
  });

  future("test_cancel: what it returns and leaves, from each state", async () => {
    const futures = six();
    const { pending, running, cancelled, notified, failed, succeeded } = futures;
    assertEquals([pending.cancel(), cancelled.cancel(), notified.cancel()], [true, true, true]);
    assertEquals([running.cancel(), failed.cancel(), succeeded.cancel()], [false, false, false]);
    assertEquals(Object.values(futures).map((future) => future.state), [
      "CANCELLED",
      "RUNNING",
      "CANCELLED",
      "CANCELLED",
      "FINISHED",
      "FINISHED",
    ]);
    for (const future of [pending, cancelled, notified]) await bothCancelled(future);
  });

  future("test_cancelled: true in both cancelled states only", () => {
    assertEquals(ask((future) => future.cancelled()), {
      pending: false,
      running: false,
      cancelled: true,
      notified: true,
      failed: false,
      succeeded: false,
    });
  });

  future("test_done: true in the last four states", () => {
    assertEquals(ask((future) => future.done()), {
      pending: false,
      running: false,
      cancelled: true,
      notified: true,
      failed: true,
      succeeded: true,
    });
  });

  future("test_running: true in one state only", () => {
    assertEquals(ask((future) => future.running()), {
      pending: false,
      running: true,
      cancelled: false,
      notified: false,
      failed: false,
      succeeded: false,
    });
  });

  future("test_result_with_timeout: result(0) in each state", async () => {
    const { pending, running, cancelled, notified, failed, succeeded } = six();
    for (const future of [pending, running]) {
      assertThrows(() => future.result(0), TimeoutError);
      const untouched = Symbol("not settled");
      assertStrictEquals(await Promise.race([future, Promise.resolve(untouched)]), untouched);
    }
    await bothCancelled(cancelled);
    await bothCancelled(notified);
    await bothFail(failed, (error) => assertStrictEquals(error, ERROR));
    await both(succeeded, (value) => assertEquals(value, 42));
  });

  future("test_result_with_success: completed by the end of another thread's task while result() blocks", async () => {
    await whileWaiting((future) => future.setResult(42), ({ result }) => assertEquals(result(), 42));
  });

  future("test_result_with_cancel: cancelled at the end of another thread's task while result() blocks", async () => {
    await whileWaiting(
      (future) => assertEquals(future.cancel(), true),
      ({ result }) => assertInstanceOf(thrownBy(result), CancelledError),
    );
    // The same for a future of a pool, which a worker would have run next.
    using pool = new ThreadPoolExecutor(1);
    for (const blocking of [true, false]) {
      using gate = new Gate();
      const other = pool.submit(square, 2);
      const held = pool.submit(passGate, gate.path);
      const queued = pool.submit(square, 3);
      other.addDoneCallback(() => assertEquals(queued.cancel(), true));
      const error = blocking ? thrownBy(() => queued.result(BOUND)) : await rejectionOf(queued);
      assertInstanceOf(error, CancelledError);
      gate.open();
      await within(held, "the task at the gate");
    }
  });

  future("test_exception_with_timeout: exception(0) in each state", () => {
    const { pending, running, cancelled, notified, failed, succeeded } = six();
    for (const future of [pending, running]) assertThrows(() => future.exception(0), TimeoutError);
    for (const future of [cancelled, notified]) assertThrows(() => future.exception(0), CancelledError);
    assertStrictEquals(failed.exception(0), ERROR);
    assertStrictEquals(succeeded.exception(0), null);
  });

  future(
    "test_exception_with_success: failed at the end of another thread's task while exception() blocks",
    async () => {
      await whileWaiting(
        (future) => future.setException(ERROR),
        ({ exception }) => assertStrictEquals(exception(), ERROR),
      );
    },
  );

  future(
    "test_multiple_set_result: the second throws InvalidStateError with state and text, the first stays",
    async () => {
      const future = new Future<number>();
      future.setResult(1);
      const error = thrownBy(() => future.setResult(2));
      assertInstanceOf(error, InvalidStateError);
      assert(error.message.includes(`FINISHED: ${future}`), error.message);
      await both(future, (value) => assertEquals(value, 1));
    },
  );

  future(
    "test_multiple_set_exception: the second throws InvalidStateError with state and text, the first stays",
    async () => {
      const future = new Future<number>();
      future.setException(ERROR);
      const error = thrownBy(() => future.setException(new TypeError("another")));
      assertInstanceOf(error, InvalidStateError);
      assert(error.message.includes(`FINISHED: ${future}`), error.message);
      await bothFail(future, (thrown) => assertStrictEquals(thrown, ERROR));
    },
  );
}
