/** The stacks of the errors of tasks: what the library leaves out of them, and where tasks were submitted. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertThrows } from "@std/assert";
import { CancelledError, type Future, SerializationError, TimeoutError } from "@concurrent/futures";
import { bothFail, BOUND, Gate, rejectionOf, test, until, within } from "../_helpers.ts";
import { awaitLong } from "../fixtures/control_tasks.ts";
import { failDeep, failWith, makeError, rejectValue } from "../fixtures/errors.ts";
import { echo, exitWith, passGate, square, throwInTimer } from "../fixtures/tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

/** As a function for a map. */
const fail: (item: number) => void = failDeep;

/** A place in a module of this library. */
const OWN = /\/(executors|futures)\/[\w/]*\.ts:\d+/;
const { pathname: HERE } = new URL(import.meta.url);

/** The line of this file that calls. */
function here(): number {
  return Number(/stacks\.ts:(\d+):\d+/.exec(new Error().stack!.split("\n")[2])![1]);
}

/** The lines of a stack below its message. */
function frames(error: unknown): string[] {
  assertInstanceOf(error, Error);
  const { stack, message } = error;
  const from = stack!.indexOf("\n", stack!.indexOf(message) + message.length);
  return from < 0 ? [] : stack!.slice(from + 1).split("\n").map((line) => line.trim());
}

/** Looks where an error says that its task was submitted: below all else, in this line of this file. */
function assertSubmittedAt(error: unknown, line: number, what?: string): void {
  const all = frames(error);
  const found = all.findIndex((frame) => frame.startsWith("submitted at "));
  assert(found >= 0, `${what}: ${(error as Error).stack}`);
  assertMatch(all[found], new RegExp(`^submitted at file://${HERE}:${line}:\\d+$`), what);
  // The callers of that line, and nothing of the library or of the task.
  for (const frame of all.slice(found)) assert(!OWN.test(frame) && !frame.includes("fixtures/"), frame);
  assertEquals(all.filter((frame) => frame.startsWith("submitted at ")).length, 1, what);
}

export function stackBehaviour(kind: Kind): void {
  const { name, make, isRemote = false } = kind;

  test(`${name}: the stack of a task's error has the user's frames, and none of this library`, async () => {
    using pool = borrow(kind, 1);
    // The first call of a function loads it, the others find it.
    for (let i = 0; i < 2; i++) {
      await bothFail(() => pool.submit(failDeep), (error) => {
        const found = frames(error);
        assertEquals(found.map((frame) => frame.split(" ")[1]), ["innerMostFunction", "failDeep"]);
        assert(found.every((frame) => /fixtures\/errors\.ts:\d+:\d+\)$/.test(frame)), found.join("\n"));
      });
      for await (const outcome of pool.map(fail, [1, 2], { settled: true, chunksize: 2 })) {
        assert(outcome.status === "rejected");
        assertEquals(frames(outcome.reason).length, 2, outcome.reason.stack);
      }
      const items = pool.map(fail, [1, 2], { chunksize: 2 });
      const error = await rejectionOf(items[Symbol.asyncIterator]().next());
      assertEquals(frames(error).length, 2, error.stack);
    }
    await bothFail(() => pool.submit(throwInTimer, "late"), (error) => {
      assertEquals(frames(error).filter((frame) => OWN.test(frame) || frame.includes("ext:")), []);
      assert(frames(error).some((frame) => frame.includes("fixtures/tasks.ts")), error.stack);
    });
    await bothFail(() => pool.submit(exitWith, 3), (error) => {
      assertEquals(frames(error).length, 1, error.stack);
      assertMatch(frames(error)[0], /exitWith .*fixtures\/tasks\.ts/);
    });
    await bothFail(() => pool.submit(failWith, "causes"), (error) => {
      for (let cause = error; cause instanceof Error; cause = cause.cause) {
        assert(!OWN.test(cause.stack!), cause.stack);
        assert(frames(cause).length > 0, cause.stack);
      }
    });
    // Nothing of a refusal's own stack is the user's.
    await bothFail(() => pool.submit(makeError, "function"), (error) => {
      assertInstanceOf(error, SerializationError);
      assert(!OWN.test(error.stack!), error.stack);
    });
    if (!isRemote) {
      await bothFail(
        () =>
          pool.submit(() => {
            throw new RangeError("from source text");
          }),
        (error) => assertMatch(frames(error).join("\n"), /^at \w+ \(<anonymous>:\d+:\d+\)$/),
      );
    }
  });

  test(`${name}: an error that is a value keeps its stack`, async () => {
    using pool = borrow(kind, 1);
    const error = new Error("a value");
    error.stack = `Error: a value\n    at ${new URL("../../executors/x.ts", import.meta.url)}:1:1\n    at any`;
    assertEquals((await within(pool.submit(echo<Error>, error))).stack, error.stack);
  });

  test(`${name}({ submittedAt: true }): errors say where their tasks were submitted`, async () => {
    const pool = make({ maxWorkers: 1, submittedAt: true });
    const submitted: [line: number, future: Future<unknown>][] = [
      [here(), pool.submit(failDeep)],
      [here(), pool.submit(failDeep)],
      [here(), pool.submit(rejectValue, new Error("later"))],
      [here(), pool.with({ name: "named" }).submit(failDeep)],
      [here(), pool.submit(echo<unknown>, () => 1)],
      [here(), pool.submit(makeError, "function")],
      [here(), pool.submit(exitWith, 3)],
    ];
    for (const [line, future] of submitted) {
      assertSubmittedAt(await rejectionOf(future), line, String(line));
      const error = assertThrows(() => future.result());
      assert(error === future.exception(), "the same one each time, and told once");
      assertSubmittedAt(error, line);
    }
    assertEquals(await within(pool.submit(square, 3)), 9);

    async function* later() {
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield* [1, 2];
    }
    const maps = [
      [here(), pool.map(fail, [1, 2, 3], { chunksize: 3 })],
      [here(), pool.map(fail, [1, 2, 3], { chunksize: 1 })],
      [here(), pool.with({ name: "map" }).map(fail, [1, 2, 3])],
      // Its items come when the call of map() is over.
      [here(), pool.map(fail, later())],
    ] as const;
    for (const [line, map] of maps) {
      const error = await rejectionOf(map[Symbol.asyncIterator]().next());
      assertSubmittedAt(error, line);
    }
    const [line, settled] = [here(), pool.map(fail, [1, 2], { settled: true, chunksize: 2 })];
    for await (const outcome of settled) assertSubmittedAt(outcome.status === "rejected" && outcome.reason, line);
    await within(pool.shutdown());
  });

  test(`${name}: only those who ask get to know where a task was submitted`, async () => {
    using pool = borrow(kind, 1);
    const error = await rejectionOf(pool.submit(failDeep));
    assert(!error.stack.includes("submitted at"), error.stack);
    for (const [line, refused] of [[here(), pool.submit(echo<unknown>, () => 1)]] as const) {
      // It costs nothing there.
      assertSubmittedAt(await rejectionOf(refused), line);
    }
    for (const value of [1, "yes", null]) {
      assertThrows(() => make({ submittedAt: value as unknown as boolean }), TypeError, "The option submittedAt");
    }
  });

  test(`${name}({ submittedAt: true }) works where a program changes the stacks of its errors`, async () => {
    const pool = make({ maxWorkers: 1, submittedAt: true });
    const settings = Error as unknown as { stackTraceLimit: number; prepareStackTrace: unknown };
    const { stackTraceLimit, prepareStackTrace } = settings;
    const prepared = () => ["no text"];
    try {
      Object.assign(settings, { stackTraceLimit: 2, prepareStackTrace: prepared });
      const future = pool.submit(failDeep);
      const other = pool.submit(echo<unknown>, () => 1);
      const errors = await within(Promise.all([future, other].map(rejectionOf)));
      assertEquals([settings.stackTraceLimit, settings.prepareStackTrace], [2, prepared]);
      Object.assign(settings, { stackTraceLimit, prepareStackTrace });
      for (const error of errors) assertMatch(String(error.stack), /\n {4}submitted at file:.*behaviour\/stacks\.ts/);
    } finally {
      Object.assign(settings, { stackTraceLimit, prepareStackTrace });
    }
    await within(pool.shutdown());
  });

  test(`${name}({ submittedAt: true }): so do those of tasks that were stopped or cancelled`, async () => {
    const pool = make({ maxWorkers: 1, submittedAt: true });
    const [line, late] = [here(), pool.with({ timeout: 20 }).submit(awaitLong, 60_000)];
    const error = late.exception(BOUND);
    assertInstanceOf(error, TimeoutError);
    assertSubmittedAt(error, line);
    assertEquals(frames(error)[0].slice(0, 12), "submitted at", "there is nothing else to say");
    const [abortLine, aborted] = [here(), pool.submit(awaitLong, 60_000)];
    await until(() => aborted.running(), "the begin");
    aborted.abort();
    const abortError = aborted.exception(BOUND) as Error;
    assertSubmittedAt(abortError, abortLine);
    assert(!OWN.test(abortError.stack!), abortError.stack);
    assert(frames(abortError)[0].includes("behaviour/stacks.ts"), "who has aborted it comes first");
    // A reason is its owner's, who may give it to many.
    const reason = new Error("mine");
    const { stack } = reason;
    const given = pool.submit(awaitLong, 60_000);
    await until(() => given.running(), "the begin");
    given.abort(reason);
    assert(given.exception(BOUND) === reason);
    assertEquals(reason.stack, stack);
    using gate = new Gate();
    const held = pool.submit(passGate, gate.path);
    await gate.arrived();
    const [cancelLine, cancelled] = [here(), pool.submit(square, 1)];
    assert(cancelled.cancel());
    const cancelledError = assertThrows(() => cancelled.result(), CancelledError);
    assertMatch(cancelledError.stack!, new RegExp(`\\n    submitted at file://${HERE}:${cancelLine}:\\d+(\\n|$)`));
    gate.open();
    await within(held);
    await within(pool.shutdown());
  });
}
