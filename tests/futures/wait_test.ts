/** `wait` and `waitSync` without an executor. With executors: `behaviour/waiting.ts`. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  ALL_COMPLETED,
  asCompleted,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  Future,
  InvalidStateError,
  wait,
  waitSync,
} from "@concurrent/futures";
import { elapsed, outputOf, rejectionOf, sleep, test, within } from "../_helpers.ts";

const all = [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION] as const;

function pending(): Future<number> {
  return new Future<number>();
}
function successful(): Future<number> {
  const future = pending();
  future.setResult(1);
  return future;
}
function failed(error: unknown = new Error("no")): Future<number> {
  const future = pending();
  future.setException(error);
  return future;
}
function cancelled(): Future<number> {
  const future = pending();
  future.cancel();
  return future;
}

type Sets = { done: Set<Future<number>>; notDone: Set<Future<number>> };

function assertSets(actual: Sets, done: Future<number>[], notDone: Future<number>[]): void {
  assertInstanceOf(actual.done, Set);
  assertInstanceOf(actual.notDone, Set);
  const text = (fs: Iterable<Future<number>>) => [...fs].map(String).sort();
  assertEquals({ done: text(actual.done), notDone: text(actual.notDone) }, {
    done: text(done),
    notDone: text(notDone),
  });
  assert(done.every((f) => actual.done.has(f)) && notDone.every((f) => actual.notDone.has(f)));
}

test("wait: the constants are the strings of their own names", () => {
  assertEquals([ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION].map(String), [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
  ]);
});

test("wait() and waitSync() of nothing return two empty sets at once, for every returnWhen and timeout", async () => {
  for (const returnWhen of [undefined, ...all]) {
    for (const timeout of [undefined, 0, -1, 1e6, Infinity]) {
      assertSets(waitSync<Future<number>>([], { returnWhen, timeout }), [], []);
      assertSets(await within(wait<Future<number>>([], { returnWhen, timeout })), [], []);
    }
  }
  assertSets(waitSync<Future<number>>([]), [], []);
  assertSets(await within(wait<Future<number>>([])), [], []);
});

test("wait() and waitSync() return at once when all are done, a cancelled future included", async () => {
  const fs = [successful(), failed(), cancelled()];
  for (const returnWhen of all) {
    assertSets(waitSync(fs, { returnWhen }), fs, []);
    assertSets(await within(wait(fs, { returnWhen })), fs, []);
  }
});

test("wait() and waitSync() take any iterable, once, and a repeated future once", async () => {
  const [a, b] = [successful(), cancelled()];
  function* generator() {
    yield* [a, b, a, a, b];
  }
  for (const make of [() => [a, b, a], () => new Set([a, b]), generator, () => new Map([[a, 1], [b, 2]]).keys()]) {
    assertSets(waitSync(make()), [a, b], []);
    assertSets(await within(wait(make())), [a, b], []);
  }
});

test("wait() with a timeout resolves with what is done so far and never rejects", async () => {
  const [done, open] = [successful(), pending()];
  for (const timeout of [0, -5, 40]) {
    const start = performance.now();
    assertSets(await within(wait([done, open], { timeout })), [done], [open]);
    const took = performance.now() - start;
    assert(took >= timeout - 1 && took < 5_000, `took ${took} of ${timeout} ms`);
    const blocked = elapsed(() => assertSets(waitSync([done, open], { timeout }), [done], [open]));
    assert(blocked >= timeout - 1 && blocked < 5_000, `waitSync() took ${blocked} of ${timeout} ms`);
  }
});

test("wait() with a timeout beyond what a timer can hold waits all the same", async () => {
  for (const timeout of [2 ** 31, 2 ** 32 + 5, 1e15, Number.MAX_VALUE, Infinity]) {
    const future = pending();
    let returned = false;
    const waiting = wait([future], { timeout }).finally(() => returned = true);
    await sleep(15);
    assert(!returned, `a timeout of ${timeout} ms was over at once`);
    future.setResult(1);
    assertSets(await within(waiting), [future], []);
  }
});

test("wait() with ALL_COMPLETED resolves when the last is done", async () => {
  const fs = [pending(), pending(), pending(), successful()];
  let returned = false;
  const waiting = wait(fs).finally(() => returned = true);
  fs[1].setException(new Error("no"));
  fs[0].cancel();
  await sleep(5);
  assert(!returned, "one is still open");
  fs[2].setResult(1);
  assertSets(await within(waiting), fs, []);
});

test("wait() with FIRST_COMPLETED resolves when any is done, also cancelled", async () => {
  for (const finish of [(f: Future<number>) => f.setResult(1), (f: Future<number>) => f.cancel()]) {
    const fs = [pending(), pending(), pending()];
    let returned = false;
    const waiting = wait(fs, { returnWhen: FIRST_COMPLETED }).finally(() => returned = true);
    await sleep(5);
    assert(!returned);
    finish(fs[1]);
    assertSets(await within(waiting), [fs[1]], [fs[0], fs[2]]);
  }
});

test("wait() with FIRST_COMPLETED returns all that are done already", async () => {
  const fs = [pending(), successful(), failed(), cancelled()];
  assertSets(await within(wait(fs, { returnWhen: FIRST_COMPLETED })), fs.slice(1), [fs[0]]);
  assertSets(waitSync(fs, { returnWhen: FIRST_COMPLETED }), fs.slice(1), [fs[0]]);
});

test("wait() with FIRST_EXCEPTION waits past successes and cancellations until one fails", async () => {
  const fs = [pending(), pending(), pending(), pending()];
  let returned = false;
  const waiting = wait(fs, { returnWhen: FIRST_EXCEPTION }).finally(() => returned = true);
  fs[0].setResult(1);
  fs[1].cancel();
  await sleep(5);
  assert(!returned, "neither a result nor a cancellation is an exception");
  fs[2].setException(undefined);
  assertSets(await within(waiting), fs.slice(0, 3), [fs[3]]);
});

test("wait() with FIRST_EXCEPTION returns at once when one has failed, and waits for all when none does", async () => {
  const fs = [failed(""), pending(), cancelled()];
  assertSets(await within(wait(fs, { returnWhen: FIRST_EXCEPTION })), [fs[0], fs[2]], [fs[1]]);
  assertSets(waitSync(fs, { returnWhen: FIRST_EXCEPTION }), [fs[0], fs[2]], [fs[1]]);
  const good = [successful(), cancelled(), pending()];
  assertSets(await within(wait(good, { returnWhen: FIRST_EXCEPTION, timeout: 5 })), good.slice(0, 2), [good[2]]);
  const waiting = wait(good, { returnWhen: FIRST_EXCEPTION });
  good[2].setResult(1);
  assertSets(await within(waiting), good, []);
});

test("waitSync() on bare unfinished futures throws InvalidStateError at once, unless it has enough already", () => {
  for (const returnWhen of all) {
    for (const options of [{ returnWhen }, { returnWhen, timeout: Infinity }, { returnWhen, timeout: undefined }]) {
      const took = elapsed(() => assertThrows(() => waitSync([pending(), pending()], options), InvalidStateError));
      assert(took < 500, `took ${took} ms`);
    }
  }
  const message = "when no executor completes what the call waits for: 1 (of 2) futures. To fix it, use await, ";
  assertThrows(() => waitSync([successful(), pending()]), InvalidStateError, message);
  assertThrows(() => waitSync([successful(), pending()], { returnWhen: FIRST_EXCEPTION }), InvalidStateError);
  const fs = [successful(), pending()];
  assertSets(waitSync(fs, { returnWhen: FIRST_COMPLETED }), [fs[0]], [fs[1]]);
});

// ---- refusals -----------------------------------------------------------------------------------------------------

type Loose = (fs: unknown, options?: unknown) => unknown;

/** Checks that both functions refuse, `wait` only ever by rejecting. */
async function assertRefused(error: new (...args: never[]) => Error, fs: unknown, options?: unknown): Promise<void> {
  const what = Deno.inspect([fs, options]);
  assertThrows(() => (waitSync as Loose)(fs, options), error, undefined, `waitSync of ${what}`);
  const promise = (wait as Loose)(fs, options);
  assertInstanceOf(promise, Promise, `wait of ${what}`);
  assertInstanceOf(await rejectionOf(promise), error, `wait of ${what}`);
}

test("wait() and waitSync() refuse a bad returnWhen, always", async () => {
  for (const returnWhen of ["first", "", "all_completed", "FIRST_COMPLETED ", null, 0, 5, {}]) {
    for (const fs of [[], [successful()], [pending()], new Set([cancelled()])]) {
      await assertRefused(RangeError, fs, { returnWhen });
      await assertRefused(RangeError, fs, { returnWhen, timeout: 0 });
    }
  }
});

test("wait() and waitSync() refuse a timeout of NaN, always and first", async () => {
  for (const fs of [[], [successful()], [pending()], 5, undefined, [5]]) {
    await assertRefused(RangeError, fs, { timeout: NaN });
    await assertRefused(RangeError, fs, { timeout: NaN, returnWhen: FIRST_COMPLETED });
  }
});

test("wait() and waitSync() refuse what is not an iterable of futures", async () => {
  for (const fs of [undefined, null, 5, {}, true, successful(), () => 1]) await assertRefused(TypeError, fs);
  const thenable = { then: () => {} };
  for (const item of [undefined, null, 5, "f", {}, Promise.resolve(1), thenable]) {
    await assertRefused(TypeError, [item]);
    await assertRefused(TypeError, [successful(), item], { timeout: 0 });
    await assertRefused(TypeError, new Set([item]), { returnWhen: FIRST_COMPLETED });
  }
  await assertRefused(TypeError, "futures");
});

test("wait() rejects and waitSync() throws what the iterable throws", async () => {
  function* broken() {
    yield successful();
    throw new EvalError("from the iterable");
  }
  assertThrows(() => waitSync(broken()), EvalError);
  assertInstanceOf(await rejectionOf(wait(broken())), EvalError);
});

// ---- nothing is left behind ---------------------------------------------------------------------------------------

test("wait() leaves no timer behind when it resolves early", async () => {
  const fs = [pending(), pending()];
  const waiting = wait(fs, { timeout: 600_000, returnWhen: FIRST_COMPLETED });
  fs[0].setResult(1);
  await within(waiting); // a timer that is left fails this test
});

test("wait() does not keep a listener on a future after it has resolved", async () => {
  const ways = ["wait", "wait-timeout"];
  const { bytesEach } = await outputOf("listeners.ts", ways, { flags: ["-A", "--v8-flags=--expose-gc"] });
  for (const how of ways) {
    assert(bytesEach[how] < 60, `${how}: each wait on one pending future left ${bytesEach[how]} bytes behind`);
  }
});

test("a timeout that is no number is refused by all that takes one", async () => {
  for (const timeout of ["1", null, {}, 1n] as unknown as number[]) {
    const future = successful();
    for (
      const call of [
        () => future.result(timeout),
        () => future.exception(timeout),
        () => waitSync([future], { timeout }),
        () => asCompleted([future], { timeout }),
      ]
    ) assertThrows(call, TypeError, "The timeout must be a number of milliseconds: ");
    assertInstanceOf(await rejectionOf(wait([future], { timeout })), TypeError);
  }
});

test("wait() of 100,000 futures is quick", async () => {
  const fs = Array.from({ length: 100_000 }, pending);
  const start = performance.now();
  const waiting = wait(fs);
  for (const future of fs) future.setResult(1);
  const { done } = await within(waiting);
  assertEquals(done.size, 100_000);
  const took = performance.now() - start;
  assert(took < 3_000, `took ${took} ms`);
});
