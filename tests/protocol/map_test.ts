/** The object that `map()` returns: what it keeps, and how the event loop gets its turns. */
import { assert, assertEquals } from "@std/assert";
import { Executor, Future } from "@concurrent/futures";
import { timers } from "../../futures/builtins.ts";
import { readArguments, startMap } from "../../executors/_map/map.ts";
import { bestOf, test } from "../_helpers.ts";

function futureOf(value: unknown): Future<unknown> {
  const future = new Future<unknown>();
  future.setResult(value);
  return future;
}

/** An executor that has only what each must have, and takes no time. */
class Inline extends Executor {
  override submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    return futureOf(fn(...args)) as Future<Awaited<R>>;
  }
}

function* numbers(count: number): Generator<number> {
  for (let i = 0; i < count; i++) yield i;
}

async function* numbersLater(count: number): AsyncGenerator<number> {
  yield* numbers(count);
}

test("map() with buffersize keeps nothing of what it has delivered", async () => {
  for (const chunksize of [1, 3]) {
    for (const input of [numbers, numbersLater]) {
      const target = {
        submit: ([n]: unknown[]) => futureOf(n),
        submitChunk: (items: unknown[]) => futureOf([[...items]]),
        chunksize: () => 1,
      };
      const results = startMap<number>(
        target,
        readArguments(input, [input(50_000), { buffersize: 10, chunksize }]),
      );
      const { parts } = (results as unknown as { pending: { parts: unknown[] } }).pending;
      let [sum, most] = [0, 0];
      for await (const n of results) {
        sum += n;
        most = Math.max(most, parts.length);
      }
      assertEquals(sum, 50_000 * 49_999 / 2);
      assert(most < 5_000, `${most} parts for 10 items in flight, chunks of ${chunksize}`);
      assertEquals(parts.length, 0);
    }
  }
});

test("map() over a quick asynchronous input lets timers fire in time, whether or not anybody reads", async () => {
  const pool = new Inline();
  for (const isRead of [true, false]) {
    await bestOf(3, async () => {
      const late: number[] = [];
      let last = performance.now();
      const timer = setInterval(() => {
        const now = performance.now();
        late.push(now - last - 10);
        last = now;
      }, 10);
      let read = 0;
      async function* input() {
        for (; read < 150_000; read++) yield read;
      }
      const results = pool.map((n: number) => n, input());
      try {
        if (isRead) { for await (const _ of results); }
        else while (read < 150_000) await new Promise((resolve) => setTimeout(resolve, 5));
      } finally {
        clearInterval(timer);
        results.return();
      }
      assertEquals(read, 150_000);
      // Not all: a busy machine holds this thread now and then.
      const latest = late.sort((a, b) => a - b)[Math.floor(late.length * 0.9)];
      assert(late.length >= 5 && latest <= 50, `${late.length} timers, of which a tenth is ${latest} ms late or more`);
    });
  }
});

test("map() that is left while it gives way to timers leaves none behind", async () => {
  const { setTimeout, clearTimeout } = timers;
  const pending = new Set<unknown>();
  Object.assign(timers, {
    setTimeout(fn: () => void, ms: number) {
      const timer = setTimeout(() => {
        pending.delete(timer);
        fn();
      }, ms);
      pending.add(timer);
      return timer;
    },
    clearTimeout(timer: number) {
      pending.delete(timer);
      clearTimeout(timer);
    },
  });
  try {
    const results = new Inline().map((n: number) => n, numbersLater(1e9));
    // It reads for a while at a time, and then lets something else run.
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(pending.size, 1);
    results.return();
    assertEquals(pending.size, 0);
  } finally {
    Object.assign(timers, { setTimeout, clearTimeout });
  }
});
