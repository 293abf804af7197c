/** `Future` as a promise, and its text form. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import { CancelledError, Future, InvalidStateError } from "@concurrent/futures";
import { rejectionOf, sleep, test, within } from "../_helpers.ts";

function finished<T>(value: T): Future<T> {
  const future = new Future<T>();
  future.setResult(value);
  return future;
}

function failed(error: unknown): Future<never> {
  const future = new Future<never>();
  future.setException(error);
  return future;
}

test("Future can be awaited before and after it settles", async () => {
  const future = new Future<string>();
  const early = within(future, "a future that is awaited early");
  future.setResult("value");
  assertEquals(await early, "value");
  assertEquals(await future, "value");
  assertEquals(await future, "value");
});

test("Future: await throws what the task threw, also a falsy value", async () => {
  for (const thrown of [new RangeError("x"), undefined, null, 0, "", false, NaN]) {
    assert(Object.is(await rejectionOf(failed(thrown)), thrown));
    const pending = new Future<never>();
    const early = rejectionOf(pending);
    pending.setException(thrown);
    assert(Object.is(await early, thrown));
  }
});

test("Future: await throws CancelledError for a cancelled future, before and after", async () => {
  const future = new Future<number>();
  const early = rejectionOf(future);
  future.cancel();
  assertInstanceOf(await early, CancelledError);
  assertInstanceOf(await rejectionOf(future), CancelledError);
});

test("Future works with Promise.resolve, all, allSettled, race and any", async () => {
  assertEquals(await Promise.resolve(finished(1)), 1);
  assertEquals(await Promise.all([finished(1), finished("b"), 3]), [1, "b", 3]);
  const settled = await Promise.allSettled([finished(1), failed(new Error("no"))]);
  assertEquals(settled.map(({ status }) => status), ["fulfilled", "rejected"]);
  assertEquals(await Promise.race([new Future<number>(), finished(2)]), 2);
  assertEquals(await Promise.any([failed(new Error("no")), finished(2)]), 2);
});

test("Future.then() returns a promise, takes either handler or none, and calls asynchronously", async () => {
  const order: string[] = [];
  const promise = finished(2).then((value) => {
    order.push("handler");
    return value * 2;
  });
  order.push("after then");
  assertInstanceOf(promise, Promise);
  assertEquals(await promise, 4);
  assertEquals(order, ["after then", "handler"]);

  assertEquals(await finished(3).then(), 3);
  assertEquals(await finished(3).then(null, null), 3);
  assertEquals(await finished(3).then(undefined, () => 9), 3);
  assertEquals(await failed(new Error("no")).then(() => 1, (error) => (error as Error).message), "no");
  await assertRejects(() => failed(new URIError("no")).then(() => 1), URIError);
  await assertRejects(
    () =>
      finished(1).then(() => {
        throw new EvalError("from the handler");
      }),
    EvalError,
  );
  assertEquals(await finished(1).then(() => finished("nested")), "nested");
});

test("Future.then() calls handlers in the order added", async () => {
  const order: number[] = [];
  const future = new Future<number>();
  const all = [1, 2, 3].map((n) => future.then(() => order.push(n)));
  future.setResult(0);
  await Promise.all(all);
  assertEquals(order, [1, 2, 3]);
});

test("Future.catch() and finally() behave as a promise's", async () => {
  assertEquals(await finished(1).catch(() => 2), 1);
  assertEquals(await failed(new Error("no")).catch((error) => (error as Error).message), "no");
  assertEquals(await failed(undefined).catch((error) => [error]), [undefined]);
  await assertRejects(() => failed(new URIError("no")).catch(), URIError);

  const calls: unknown[][] = [];
  assertEquals(await finished(1).finally((...args: unknown[]) => void calls.push(args)), 1);
  await assertRejects(
    () => failed(new URIError("no")).finally((...args: unknown[]) => void calls.push(args)),
    URIError,
  );
  assertEquals(calls, [[], []]);
  assertInstanceOf(finished(1).finally(), Promise);
  assertEquals(await finished(1).finally(), 1);
  await assertRejects(
    () =>
      finished(1).finally(() => {
        throw new EvalError("from finally");
      }),
    EvalError,
  );
  let waited = false;
  await finished(1).finally(async () => {
    await sleep(5);
    waited = true;
  });
  assert(waited, "finally() waits for the promise of its function");
});

test("Future that fails or is cancelled raises no unhandledrejection when nobody listens", async () => {
  const raised: unknown[] = [];
  const listen = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    raised.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", listen);
  try {
    failed(new Error("nobody listens"));
    failed(undefined);
    new Future<number>().cancel();
    const late = new Future<number>();
    late.addDoneCallback(() => {});
    await sleep(5);
    late.setException(new Error("nobody listens"));
    const looked = failed(new Error("looked at"));
    looked.exception();
    const handled = failed(new Error("handled"));
    await handled.catch(() => {});
    await sleep(20);
  } finally {
    globalThis.removeEventListener("unhandledrejection", listen);
  }
  assertEquals(raised, []);
});

test("Future: a promise that then() makes of a failed future does raise unhandledrejection", async () => {
  const raised: unknown[] = [];
  const listen = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    raised.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", listen);
  const error = new Error("lost");
  try {
    failed(error).then(() => 1);
    await sleep(20);
  } finally {
    globalThis.removeEventListener("unhandledrejection", listen);
  }
  assertEquals(raised, [error]);
});

test("Future is a PromiseLike that yields nothing to a plain await of an object holding it", async () => {
  const future = finished(1);
  const { future: same } = await Promise.resolve({ future });
  assertStrictEquals(same, future);
});

// ---- text ---------------------------------------------------------------------------------------------------------

/** The text form, by every way a program gets one. */
function texts(future: Future<unknown>): string[] {
  const printed: unknown[] = [];
  const original = console.log;
  console.log = (...args: unknown[]) => void printed.push(...args.map((arg) => Deno.inspect(arg)));
  try {
    console.log(future);
  } finally {
    console.log = original;
  }
  return [String(future), `${future}`, future.toString(), Deno.inspect(future), ...printed as string[]];
}

function assertText(future: Future<unknown>, state: string): void {
  const all = texts(future);
  assertEquals(new Set(all).size, 1, all.join(" | "));
  assertEquals(all[0].replace(/#\d+/, "#N"), `<Future #N state=${state}>`);
}

test("Future: the text form tells the state", () => {
  const future = new Future<string>();
  assertText(future, "pending");
  future.setRunningOrNotifyCancel();
  assertText(future, "running");
  future.setResult("x");
  assertText(future, "finished returned string");

  const cancelled = new Future<string>();
  cancelled.cancel();
  assertText(cancelled, "cancelled");
  cancelled.setRunningOrNotifyCancel();
  assertText(cancelled, "cancelled");
});

test("Future: the text form tells the type of a result", () => {
  assertText(finished("s"), "finished returned string");
  assertText(finished(""), "finished returned string");
  assertText(finished(1), "finished returned number");
  assertText(finished(true), "finished returned boolean");
  assertText(finished(1n), "finished returned bigint");
  assertText(finished(undefined), "finished returned undefined");
  for (const value of [null, {}, [], new Map(), Object.create(null), () => 1, new Error("x")]) {
    assertMatch(String(finished(value)), /^<Future #\d+ state=finished returned \S+>$/);
  }
});

test("Future: the text form tells the class of an error", () => {
  class Mine extends Error {
    override name = "Mine";
  }
  assertText(failed(new TypeError("x")), "finished raised TypeError");
  assertText(failed(new Error("x")), "finished raised Error");
  assertText(failed(new Mine("x")), "finished raised Mine");
  assertText(failed(new InvalidStateError("x")), "finished raised InvalidStateError");
  for (const falsy of [undefined, null, 0, "", false]) {
    assertMatch(String(failed(falsy)), /^<Future #\d+ state=finished raised \S+>$/, `thrown: ${Deno.inspect(falsy)}`);
  }
  for (const odd of ["text", { name: 5 }, Object.create(null), Object.create(null, { name: { get: () => fail() } })]) {
    assertMatch(String(failed(odd)), /^<Future #\d+ state=finished raised \S+>$/);
  }
  function fail(): never {
    throw new Error("a name that cannot be read");
  }
});

test("Future: the number is unique and stays", () => {
  const futures = Array.from({ length: 1_000 }, () => new Future());
  const numbers = futures.map((future) => String(future).match(/#(\d+)/)![1]);
  assertEquals(new Set(numbers).size, 1_000);
  futures[7].cancel();
  assertEquals(String(futures[7]).match(/#(\d+)/)![1], numbers[7]);
});

test("Future: the text form is used inside printed arrays, objects, sets and maps", () => {
  const future = finished(1);
  const text = String(future);
  for (const holder of [[future], { future }, new Set([future]), new Map([[1, future]]), { deep: { a: [future] } }]) {
    assert(Deno.inspect(holder).includes(text), Deno.inspect(holder));
  }
});
