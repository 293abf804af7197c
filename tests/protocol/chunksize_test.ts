/** How many items of a map are sent at once. */
import { assert, assertEquals } from "@std/assert";
import { msOf, stepsOf } from "../../executors/_queue/protocol.ts";
import { nextChunksize } from "../../executors/_owner/chunk_size.ts";
import { test } from "../_helpers.ts";

/** The sizes of all chunks of a map. */
function sizesOf(items: number, maxWorkers: number, msPerItem?: number): number[] {
  const sizes: number[] = [];
  for (let submitted = 0; submitted < items;) {
    const size = nextChunksize(submitted, items - submitted, maxWorkers, msPerItem);
    assert(Number.isInteger(size) && size >= 1 && size <= items - submitted, `${size} of ${items - submitted}`);
    sizes.push(size);
    submitted += size;
  }
  return sizes;
}

test("chunks: of an unknown function the first and the last are small, those between larger", () => {
  for (const maxWorkers of [1, 2, 8]) {
    const sizes = sizesOf(10_000, maxWorkers);
    assertEquals(sizes.slice(0, 4 * maxWorkers), Array(4 * maxWorkers).fill(1));
    assertEquals(sizes.at(-1), 1);
    assert(Math.max(...sizes) > 64 && Math.max(...sizes) <= 256);
  }
});

test("chunks: those of a known function take some milliseconds, and the last are small", () => {
  assertEquals(sizesOf(100, 2, 10), Array(100).fill(1));
  assertEquals(sizesOf(1_000, 2, 1)[0], 5);
  assertEquals(sizesOf(1_000, 2, 0.5)[0], 10);
  assertEquals(sizesOf(100_000, 2, 0.000_125)[0], 1024);
  for (const msPerItem of [0.000_125, 0.01, 0.1, 1]) assertEquals(sizesOf(100_000, 2, msPerItem).at(-1), 1);
});

test("chunks: no worker is left with more than an eighth of what the others have still to do", () => {
  for (const msPerItem of [undefined, 0.000_125, 0.01]) {
    let left = 20_000;
    for (const size of sizesOf(left, 2, msPerItem)) {
      assert(size === 1 || size <= left / 8);
      left -= size;
    }
  }
});

test("a result tells how long an item took, to an eighth of a microsecond, and no more than it can", () => {
  const most = 0x7fff_ffff / 8_000;
  for (
    const [ms, told] of [[0, 0], [0.000_01, 0.000_125], [0.000_125, 0.000_125], [0.5, 0.5], [1_000, 1_000], [1e9, most]]
  ) {
    const steps = stepsOf(ms);
    assert(steps >= 0 && (steps | 0) === steps, `${steps}`);
    assertEquals(msOf(steps), told);
  }
});
