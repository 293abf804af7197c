/** `progress` where stderr is no terminal, and the line that it shows. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { asCompleted, Future, ThreadPoolExecutor } from "@concurrent/futures";
import { progress } from "@concurrent/futures/progress";
import { columns, line, type Progress } from "../../executors/progress/_line.ts";
import { test } from "../_helpers.ts";

const bar = (fraction: number, size: number) => "#".repeat(Math.round(fraction * size)).padEnd(size, ".");
const STATE: Progress = { label: "", unit: "", value: 5, total: 10, elapsed: 1_000, hasEnded: false };

test("progress() passes items on, in for and in for await, and yields futures as futures", async () => {
  assertEquals([...progress([1, 2])], [1, 2]);
  assertEquals(await Array.fromAsync(progress(new Set([1, Promise.resolve(2)]))), [1, 2]);
  const future = new Future<number>();
  future.setResult(1);
  for await (const each of progress(asCompleted([future]))) assertEquals(each, future);
});

test("progress() of an async iterable is one, so map() reads it as such", async () => {
  async function* later() {
    yield* [1, 2];
  }
  using pool = new ThreadPoolExecutor(1);
  const double = (n: number) => 2 * n;
  assertEquals(await Array.fromAsync(pool.map(double, progress(later()))), [2, 4]);
  assertEquals([...pool.map(double, progress([1, 2]))], [2, 4]);
  assertEquals([Symbol.iterator in progress(later()), Symbol.iterator in progress([1])], [false, true]);
});

test("progress() closes the iterator of the items when the loop ends early", async () => {
  const closed: string[] = [];
  function* items() {
    try {
      yield* [1, 2];
    } finally {
      closed.push("sync");
    }
  }
  async function* later() {
    try {
      yield* items();
    } finally {
      closed.push("async");
    }
  }
  for (const _ of progress(items())) break;
  for await (const _ of progress(later())) break;
  assertEquals(closed, ["sync", "sync", "async"]);
});

test("progress() closes the items at throw(), and throws that error", async () => {
  const closed: string[] = [];
  async function* items() {
    try {
      yield* [1, 2];
    } finally {
      closed.push("closed");
    }
  }
  async function* loop() {
    yield* progress(items());
  }
  const iterator = loop();
  await iterator.next();
  await assertRejects(() => iterator.throw(new RangeError("thrown")), RangeError, "thrown");
  assertEquals([await iterator.next(), closed], [{ done: true, value: undefined }, ["closed"]]);
});

test("progress() passes on the errors of the items, and closes what for await would close", async () => {
  const closed: number[] = [];
  function* promises(n: number) {
    try {
      yield Promise.resolve(n);
      yield Promise.reject(new RangeError("rejected"));
    } finally {
      closed.push(n);
    }
  }
  const seen: number[] = [];
  const error = await assertRejects(async () => {
    for await (const n of progress(promises(1))) seen.push(n);
  }, RangeError);
  assertEquals([error.message, seen, closed], ["rejected", [1], [1]]);
  function* failing(): Generator<number> {
    yield 1;
    throw new RangeError("thrown");
  }
  assertThrows(() => [...progress(failing())], RangeError, "thrown");
  await assertRejects(() => Array.fromAsync(progress(failing())), RangeError, "thrown");
});

test("progress() around map() cancels the rest when the loop ends early, blocked and awaited", async () => {
  const pool = new ThreadPoolExecutor(1);
  /** How many have begun, and up to which one they may end. */
  const words = new Int32Array(new SharedArrayBuffer(8));
  const hold = async (n: number, words: Int32Array) => {
    Atomics.add(words, 0, 1);
    while (Atomics.load(words, 1) < n) await new Promise((resolve) => setTimeout(resolve, 1));
    return n;
  };
  const map = () => {
    Atomics.store(words, 1, 1);
    return pool.map(hold, [1, 2, 3, 4, 5, 6], Array(6).fill(words), { chunksize: 1 });
  };
  for (const n of progress(map())) {
    // The one that may have been fetched ahead ends, too, and the one behind it does not before the loop has ended.
    Atomics.store(words, 1, n + 1);
    if (n === 1) break;
  }
  Atomics.store(words, 1, 6);
  await pool.submit(() => 0);
  for await (const n of progress(map())) {
    Atomics.store(words, 1, n + 1);
    if (n === 1) break;
  }
  Atomics.store(words, 1, 6);
  await pool.shutdown();
  // In each loop the first, the one fetched ahead, and the one behind that.
  assert(Atomics.load(words, 0) <= 6, `${words[0]} of 12 have begun`);
});

test("progress() around asCompleted() lets go of the futures when the loop ends early", async () => {
  const done = new Future<number>();
  done.setResult(1);
  const pending = new Future<number>();
  const closed: string[] = [];
  const futures = asCompleted([done, pending]);
  const spy = {
    [Symbol.asyncIterator]() {
      const iterator = futures[Symbol.asyncIterator]();
      return {
        next: () => iterator.next(),
        return: async () => {
          closed.push("returned");
          return await iterator.return!();
        },
      };
    },
  };
  for await (const future of progress(spy)) {
    assertEquals(future, done);
    break;
  }
  assertEquals(closed, ["returned"]);
});

test("progress() refuses what it cannot use", () => {
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  const bad = progress as any;
  for (const items of [5, null, undefined, {}]) assertThrows(() => bad(items), TypeError, "must be iterable");
  for (const total of [-1, 1.5, NaN, Infinity]) assertThrows(() => bad([], { total }), RangeError, String(total));
  for (const options of [{ total: "5" }, { label: 5 }, { unit: 5 }, { units: "5" }, null]) {
    assertThrows(() => bad([], options), TypeError);
  }
});

test("the line of progress() fits the terminal, whatever its width and label", () => {
  assertEquals(line({ ...STATE, label: "load", unit: "files" }, 60, bar).length, 57);
  for (const label of ["", "a label", "日本語\n", "👩‍👩‍👧 é"]) {
    for (let width = 1; width < 100; width++) {
      for (const total of [undefined, 0, 3, 10]) {
        const text = line({ ...STATE, label, total }, width, bar);
        assertEquals([columns(text) + 2 < Math.max(width, 3), text.includes("\n")], [true, false], text);
      }
    }
  }
});

test("the line of progress() counts each column of a label, also where terminals differ", () => {
  const labels: [label: string, columns: number][] = [
    ["e\u0301", 1], // a letter and its accent
    ["日本", 4],
    ["\u1112\u1161\u11ab", 2], // a syllable in three parts
    ["का", 2], // a vowel beside its consonant
    ["ทำ", 2],
    ["👩\u200d👩\u200d👧", 6], // a family, or its people
    ["👍🏽", 4], // a hand, or a hand and its colour
    ["1\ufe0f\u20e3", 2],
  ];
  for (const [label, count] of labels) assertEquals(columns(label), count, label);
});

test("the line of progress() tells the rate and the time left, or how long it took", () => {
  assertEquals(line(STATE, 42, bar), " 50% |#####.....| 5/10, 5.0/s, 1 s left");
  assertEquals(line({ ...STATE, total: undefined, unit: "files" }, 40, bar), "5 files, 5.0/s, 1 s");
});
