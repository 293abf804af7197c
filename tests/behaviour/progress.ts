/** `reportProgress()`, `Future.addProgressCallback()` and `Future.progress()`. */
import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import { BOUND, Gate, pause, test, within } from "../_helpers.ts";
import { add } from "../fixtures/tasks.ts";
import {
  reportAll,
  reportAndWait,
  reportFunction,
  reportLarge,
  reportWhereStackEnds,
} from "../fixtures/control_tasks.ts";
import { borrow } from "./borrow.ts";
import type { Kind } from "./kind.ts";

export function progressBehaviour(kind: Kind): void {
  const { name, make } = kind;

  test(`Future.addProgressCallback() of ${name}: all values, in order, before the done callbacks`, async () => {
    using pool = borrow(kind, 1);
    const expected = Array.from({ length: 100 }, (_, i) => i + 1);
    for (const isBlocked of [true, false]) {
      const future = pool.submit(reportAll, 100);
      const heard: unknown[] = [];
      future.addProgressCallback((value) => heard.push(value));
      future.addDoneCallback(() => heard.push("done"));
      assertEquals(isBlocked ? future.result(BOUND) : await within(future), 100);
      assertEquals(heard, [...expected, "done"]);
      future.addProgressCallback(() => heard.push("too late"));
      assertEquals(heard.length, 101);
    }
  });

  test(`Future.addProgressCallback() of ${name} is called while the task runs and this thread blocks`, async () => {
    using pool = borrow(kind, 2);
    using gate = new Gate();
    const future = pool.submit(reportAndWait, { percent: 50 }, gate.path);
    const heard: unknown[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    future.addProgressCallback((value) => {
      heard.push(value);
      gate.open();
      resolve();
    });
    future.result(BOUND);
    assertEquals(heard, [{ percent: 50 }]);
    await within(promise);
  });

  test(`Future.addProgressCallback() of ${name} hears all where this thread was held up since submit()`, async () => {
    using pool = borrow(kind, 1);
    await within(pool.submit(reportAll, 1));
    const [heard, looped]: unknown[][] = [[], []];
    const [called, other] = [pool.submit(reportAll, 3), pool.submit(reportAll, 3)];
    // Both tasks are done meanwhile, and nobody has collected that.
    pause(200);
    called.addProgressCallback((value) => heard.push(value));
    for await (const value of other.progress()) looped.push(value);
    await within(called);
    assertEquals([heard, looped], [[1, 2, 3], [1, 2, 3]]);
  });

  test(`Future.addProgressCallback() of ${name}: an error of one is printed and stops no other one`, async () => {
    using pool = borrow(kind, 1);
    const future = pool.submit(reportAll, 2);
    const heard: unknown[] = [];
    const printed: string[] = [];
    const { error } = console;
    console.error = (text: string) => printed.push(text);
    try {
      future.addProgressCallback(() => {
        throw new Error("a bad callback");
      });
      future.addProgressCallback((value) => heard.push(value));
      await within(future);
    } finally {
      console.error = error;
    }
    assertEquals(heard, [1, 2]);
    assertEquals(printed.length, 2);
    assertMatch(printed[0], /progress callback/);
    assertThrows(() => future.addProgressCallback(1 as unknown as () => void), TypeError, "number");
  });

  test(`Future.progress() of ${name}: for await gets the values, and ends with the future`, async () => {
    using pool = make({ maxWorkers: 1 });
    const heard: unknown[] = [];
    for await (const value of pool.submit(reportAll, 50).progress()) heard.push(value);
    assertEquals(heard, Array.from({ length: 50 }, (_, i) => i + 1));
    const aborted = pool.with({ grace: 10 }).submit(reportAndWait, "first", "/nowhere");
    for await (const value of aborted.progress()) {
      assertEquals(value, "first");
      assert(aborted.abort());
    }
    assertEquals((aborted.exception(BOUND) as Error).name, "AbortError");
    for await (const value of aborted.progress()) throw new Error(`it is done, and says ${value}`);
    using gate = new Gate();
    const left = pool.submit(reportAndWait, 1, gate.path);
    for await (const value of left.progress()) {
      assertEquals(value, 1);
      break;
    }
    gate.open();
    await within(left);
  });

  test(`reportProgress() of ${name}: a task may call it where its stack ends, and goes on, as do others`, async () => {
    using pool = make({ maxWorkers: 1 });
    for (let i = 0; i < 6; i++) {
      const said = await within(pool.submit(reportWhereStackEnds, i % 2 === 0 ? 10 : 20_000));
      assert(said > 0, `${said} times`);
    }
    assertEquals(await within(pool.submit(reportAll, 1)), 1);
  });

  test(`reportProgress() of ${name} throws in the task for what cannot cross, with its path`, async () => {
    using pool = borrow(kind, 1);
    const message = "Cannot send progress.list[1] to the program: a function";
    assertEquals(await within(pool.submit(reportFunction)), `SerializationError progress.list[1]: ${message}`);
  });

  test(`reportProgress() of ${name}: a reader that is slow delays no task, and gets the newest value`, async () => {
    using pool = borrow(kind, 1);
    for (const [task, count, size] of [[reportAll, 30_000, 0], [reportLarge, 100, 40_000]] as const) {
      const future = pool.submit(task as typeof reportAll, count, size);
      const heard: unknown[] = [];
      future.addProgressCallback((value) => heard.push(value));
      // Nobody reads meanwhile.
      pause(300);
      assertEquals(await within(future), count);
      const numbers = heard.map((value) => parseInt(String(value)));
      assertEquals(numbers.at(-1), count);
      assertEquals(numbers, [...new Set(numbers)].sort((a, b) => a - b), "in order, each once");
    }
    assertEquals(await within(pool.submit(add, 1, 2)), 3);
  });

  test(`reportProgress() of ${name} is of the task that calls it, and only who listens hears of it`, async () => {
    using pool = borrow(kind, 2);
    const futures = Array.from({ length: 40 }, (_, i) => pool.submit(reportAll, i));
    const heard = futures.map((future, i) => {
      const values: unknown[] = [];
      if (i % 2 === 0) future.addProgressCallback((value) => values.push(value));
      return values;
    });
    assertEquals(await within(Promise.all(futures)), [...futures.keys()]);
    for (const [i, values] of heard.entries()) {
      assertEquals(values, i % 2 === 0 ? Array.from({ length: i }, (_, n) => n + 1) : []);
    }
    assertStrictEquals(futures[1].done(), true);
  });
}
