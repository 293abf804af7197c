/** `repeat()`, and what `map()` of an executor makes of it that knows nothing of it. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { Executor, Future, repeat } from "@concurrent/futures";
import { square } from "../fixtures/tasks.ts";
import { test, thrownBy } from "../_helpers.ts";

test("repeat() gives a value so many times, and then no more", () => {
  const value = { a: 1 };
  assertEquals([...repeat(7, 3)], [7, 7, 7]);
  assertEquals([...repeat(undefined, 2)], [undefined, undefined]);
  for (const times of [0, -0, -1, -5, -Infinity]) assertEquals([...repeat(7, times)], []);
  const three = repeat(value, 3);
  assertStrictEquals(three.next().value, value, "the value itself");
  assertEquals([...three].length, 2, "an iterator goes on where it was, as Python's does");
  assertEquals([three.next(), three.next()], Array(2).fill({ done: true, value: undefined }));
  assertStrictEquals(three[Symbol.iterator](), three);
});

test("repeat() is endless without a number of times", () => {
  for (const endless of [repeat("x"), repeat("x", undefined), repeat("x", Infinity)]) {
    assertEquals([...endless.take(3)], ["x", "x", "x"]);
    for (let i = 0; i < 10_000; i++) assertEquals(endless.next(), { done: false, value: "x" });
  }
  const [a, b] = repeat(1);
  assertEquals([a, b], [1, 1]);
});

test("repeat() refuses what is no number of times", () => {
  for (const times of ["3", null, {}, [], true, 3n, () => 1, Symbol("x")]) {
    const error = thrownBy(() => repeat(1, times as number));
    assertInstanceOf(error, TypeError);
    const value = typeof times === "string" ? JSON.stringify(times) : Deno.inspect(times);
    assertEquals(error.message, `The argument times must be a number: ${value}`);
  }
  for (const times of [NaN, 1.5, -0.5, 1e-9]) {
    const error = thrownBy(() => repeat(1, times));
    assertInstanceOf(error, RangeError);
    assertEquals(error.message, `The argument times must be an integer: ${times}`);
  }
});

test("Executor.map() of a subclass that only implements submit() takes repeat()", () => {
  const seen: unknown[] = [];
  class Inline extends Executor {
    override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
      seen.push(args[0]);
      const future = new Future<Awaited<R>>();
      future.setResult(fn(...args) as Awaited<R>);
      return future;
    }
  }
  const value = { large: "x".repeat(1e6) };
  const results = new Inline().map(({ large }: typeof value, n: number) => large.length + n, repeat(value), [1, 2]);
  assertEquals([...results], [1_000_001, 1_000_002]);
  assert(seen.length === 2 && seen.every((each) => each === value));
});

test("Executor.map() refuses endless repeats alone, which it would read for ever", () => {
  class Never extends Executor {
    override submit(): never {
      throw new EvalError("never called");
    }
  }
  const pool = new Never();
  const error = thrownBy(() => pool.map(Math.max, repeat(1), repeat(2)));
  assertInstanceOf(error, RangeError);
  assertEquals(
    error.message,
    "Cannot map over endless inputs only. To fix it, give repeat() a number of times, or map() a buffersize",
  );
  assertEquals([...pool.map(Math.max, repeat(1), repeat(2, 0))], []);
  assertEquals([...pool.map(square, repeat(1, 0))], []);
  // With a buffersize that is fine.
  assertInstanceOf(thrownBy(() => pool.map(square, repeat(1), { buffersize: 2 })), EvalError);
});
