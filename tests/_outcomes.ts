/** What becomes of a future, or of an iteration, looked at blocked and awaited. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, fail } from "@std/assert";
import { CancelledError, type Future } from "@concurrent/futures";
import { BOUND, note, within } from "./_waiting.ts";

/** What `fn` throws, whatever it is; fails when it throws nothing. */
// deno-lint-ignore no-explicit-any
export function thrownBy(fn: () => unknown): any {
  let value: unknown;
  try {
    value = fn();
  } catch (error) {
    return error;
  }
  fail(`nothing was thrown, but returned: ${Deno.inspect(value)}`);
}

/** What `promise` rejects with, whatever it is; fails when it does not. */
// deno-lint-ignore no-explicit-any
export async function rejectionOf(promise: PromiseLike<unknown>): Promise<any> {
  const outcome = await within(
    promise.then((value) => ({ value, failed: false }), (error) => ({ value: error, failed: true })),
    "a promise that shall reject",
  );
  if (!outcome.failed) fail(`nothing was thrown, but resolved: ${Deno.inspect(outcome.value)}`);
  return outcome.value;
}

/** Reads to the end or the error, and gives both, blocking or awaited. */
export async function readUntilError<T>(
  results: Iterable<T> & AsyncIterable<T>,
  blocking: boolean,
): Promise<{ seen: T[]; error: unknown }> {
  const seen: T[] = [];
  try {
    if (blocking) { for (const item of results) seen.push(item); }
    else for await (const item of results) seen.push(item);
  } catch (error) {
    return { seen, error };
  }
  return { seen, error: "no error" };
}

/** A future, or what makes one: then one is looked at blocked first and another one awaited first. */
export type Source<T> = Future<T> | (() => Future<T>);

/** Checks the value of a future, both through a blocking `result()` and through `await`. */
export async function both<T>(source: Source<T>, check: (value: T) => void): Promise<void> {
  const blocked = note(typeof source === "function" ? source() : source);
  check(blocked.result(BOUND));
  assertStrictEquals(blocked.exception(BOUND), null, "exception() of a future that succeeded");
  check(await within(blocked, "a finished future") as T);
  if (typeof source !== "function") return;
  const awaited = note(source());
  check(await within(awaited, "a future") as T);
  check(awaited.result(0));
}

/** Checks the error of a future, both through a blocking `result()` and through `await`. */
// deno-lint-ignore no-explicit-any
export async function bothFail(source: Source<unknown>, check: (error: any) => void): Promise<void> {
  const blocked = note(typeof source === "function" ? source() : source);
  const error = thrownBy(() => blocked.result(BOUND));
  check(error);
  assert(Object.is(thrownBy(() => blocked.result(0)), error), "result() throws the same object each time");
  assert(Object.is(blocked.exception(BOUND), error), "exception() returns what result() throws");
  assert(Object.is(await rejectionOf(blocked), error), "await throws what result() throws");
  assert(blocked.done() && !blocked.cancelled() && !blocked.running(), `wrong state: ${blocked}`);
  if (typeof source !== "function") return;
  const awaited = note(source());
  check(await rejectionOf(awaited));
  check(thrownBy(() => awaited.result(0)));
}

/** Checks that a future is cancelled, in every way one can look. */
export async function bothCancelled(future: Future<unknown>): Promise<void> {
  assertEquals([future.cancelled(), future.done(), future.running(), future.state], [true, true, false, "CANCELLED"]);
  assertInstanceOf(thrownBy(() => future.result(BOUND)), CancelledError);
  assertInstanceOf(thrownBy(() => future.result()), CancelledError);
  assertInstanceOf(thrownBy(() => future.exception(BOUND)), CancelledError);
  assertInstanceOf(await rejectionOf(future), CancelledError);
  assertStrictEquals(future.cancel(), true, "cancel() again");
}
