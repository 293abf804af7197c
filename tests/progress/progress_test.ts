/** `progress` where stderr is no terminal, and the line that it shows. */
import { assertEquals, assertThrows } from "@std/assert";
import { asCompleted, Future } from "@concurrent/futures";
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
  assertEquals(line({ ...STATE, label: "load", unit: "files" }, 60, bar).length, 59);
  for (const label of ["", "a label", "日本語\n", "👩‍👩‍👧 é"]) {
    for (let width = 1; width < 100; width++) {
      for (const total of [undefined, 0, 3, 10]) {
        const text = line({ ...STATE, label, total }, width, bar);
        assertEquals([columns(text) < width, text.includes("\n")], [true, false], text);
      }
    }
  }
});

test("the line of progress() tells the rate and the time left, or how long it took", () => {
  assertEquals(line(STATE, 40, bar), " 50% |#####.....| 5/10, 5.0/s, 1 s left");
  assertEquals(line({ ...STATE, total: undefined, unit: "files" }, 40, bar), "5 files, 5.0/s, 1 s");
});
