/** What a future does with the progress of its task, and with a signal that stops it, whoever runs the task. */
import { assertEquals, assertStrictEquals } from "@std/assert";
import { Future } from "@concurrent/futures";
import { type FutureOwner, internals } from "../../futures/future.ts";
import { stopWith } from "../../futures/signals.ts";
import { test } from "../_helpers.ts";

/** A future that another thread completes, without one. */
function createFuture(): Future<unknown> {
  const owner: FutureOwner = { peek: () => "running", revoke: () => false, collect() {} };
  return internals.create(owner);
}

test("Future: what a task has said is told before its end, whoever delivers that first", () => {
  for (const how of ["callback", "waiter"]) {
    const future = createFuture();
    const heard: unknown[] = [];
    future.addProgressCallback((value) => heard.push(value));
    if (how === "waiter") internals.addWaiter(future, { completed: () => heard.push("waiter") });
    internals.progress(future, 1);
    internals.progress(future, 2);
    internals.settle(future, true, "value");
    internals.progress(future, "too late");
    // Neither the event loop nor a call that blocks has delivered anything.
    future.addDoneCallback(() => heard.push("done"));
    assertEquals(heard, how === "waiter" ? [1, 2, "too late", "waiter", "done"] : [1, 2, "too late", "done"]);
    internals.progress(future, "later");
    assertStrictEquals(heard.at(-1), "done");
  }
});

test("Future.progress(): a loop ends with its future, and has all that was said before", async () => {
  const future = createFuture();
  const [first, second] = [future.progress(), future.progress()];
  const waiting = [first.next(), first.next()];
  internals.progress(future, 1);
  internals.settle(future, true, "value");
  const third = future.progress();
  future.addDoneCallback(() => {});
  assertEquals(await Promise.all(waiting), [{ done: false, value: 1 }, { done: true, value: undefined }]);
  assertEquals(await second.next(), { done: false, value: 1 });
  for (const loop of [first, second, third]) assertEquals(await loop.next(), { done: true, value: undefined });

  // A slow one has the newest ones.
  const busy = createFuture();
  const [slow, left] = [busy.progress(), busy.progress()];
  const waits = left.next();
  assertEquals(await left.return!(), { done: true, value: undefined });
  assertEquals(await waits, { done: true, value: undefined });
  for (let i = 1; i <= 2_000; i++) internals.progress(busy, i);
  internals.settle(busy, true, "value");
  busy.addDoneCallback(() => {});
  const heard = await Array.fromAsync(slow);
  assertEquals([heard.length, heard[0], heard.at(-1)], [1024, 977, 2_000]);
  assertEquals(await left.next(), { done: true, value: undefined });
});

test("stopWith(): a future that is done when it comes gets no listener, and one that is not loses it then", () => {
  const { signal } = new AbortController();
  let listeners = 0;
  signal.addEventListener = () => void listeners++;
  signal.removeEventListener = () => void listeners--;
  const done = new Future<number>();
  done.setResult(1);
  stopWith(signal, done);
  assertStrictEquals(listeners, 0);
  const futures = [1, 2, 3].map(() => new Future<number>());
  for (const future of futures) stopWith(signal, future);
  assertStrictEquals(listeners, 1);
  for (const future of futures) future.setResult(1);
  assertStrictEquals(listeners, 0);
  stopWith(signal, new Future<number>());
  assertStrictEquals(listeners, 1);
});
