/** Large values of a `ProcessPoolExecutor`: whose memory is used again, and when it is free. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { ProcessPoolExecutor } from "@concurrent/futures";
import { sleep, test, within } from "../_helpers.ts";
import { memoryInUse } from "../fixtures/process_tasks.ts";
import { echo, echoLater } from "../fixtures/tasks.ts";

const MEBIBYTE = 2 ** 20;

/** A text that is like no other one, at its beginning and its end, and in each of its pages. */
function textOf(number: number, length: number): string {
  return `${number},`.padEnd(4_001, "abcdefg").repeat(Math.ceil(length / 4_001)).slice(0, length) + number;
}

test("large texts of many sizes come back as they were, one after the other and at once", async () => {
  const pool = new ProcessPoolExecutor(2);
  const sizes = [2 * MEBIBYTE, 1_500_000, MEBIBYTE, MEBIBYTE + 1, 700_000, 140_000, 100, 600_000, 3 * MEBIBYTE];
  const values = sizes.map((size, i) => textOf(i, size));
  for (const value of values) assert(pool.submit(echo<string>, value).result() === value, `${value.length} alone`);
  for (let round = 0; round < 3; round++) {
    const futures = values.map((value) => pool.submit(echo<string>, value));
    for (const [i, future] of futures.entries()) assert(await within(future) === values[i], `${values[i].length}`);
  }
  // What is no ASCII, what is JSON, and bytes behind a large text.
  for (
    const value of [`${values[2]}é漢😀`, [values[3]], { text: values[4], bytes: new Uint8Array(MEBIBYTE).fill(3) }]
  ) {
    const [first, second] = [pool.submit(echo<unknown>, value), pool.submit(echo<unknown>, values[0])];
    assertEquals(await within(first), value);
    assert(await within(second) === values[0]);
  }
  await within(pool.shutdown());
});

test("large texts keep what they are where results arrive at once, or one while the other one waits", async () => {
  const pool = new ProcessPoolExecutor(2);
  const values = Array.from({ length: 4 }, (_, i) => textOf(i, MEBIBYTE));
  for (let round = 0; round < 15; round++) {
    const last = round === 14 ? 60 : 0;
    const futures = values.map((value, i) => pool.submit(echoLater<string>, value, i % 2 === 0 ? last : 0));
    for (const [i, future] of futures.entries()) assert(await within(future) === values[i], `${i} in round ${round}`);
  }
  await within(pool.shutdown());
});

test("a process frees the texts that tasks were given and returned before it collects all garbage", async () => {
  // Else it might collect all at any time.
  const env = { DENO_V8_FLAGS: "--expose-gc,--initial-old-space-size=500" };
  const pool = new ProcessPoolExecutor({ maxWorkers: 1, env });
  // Until the process can tell the errors of one task from those of another one.
  for (let i = 0; i < 3; i++) pool.submit(memoryInUse, "major").result();
  await sleep(100);
  // In MiB. What is in use while a part is collected stays until all is: some three texts of each chunk.
  const trips: [what: string, most: number, trip: (text: string) => unknown][] = [
    ["of tasks", 6, (text) => pool.submit(echo<string>, text).result()],
    ["of a map", 42, (text) => [...pool.map(echo<string>, [text, text + 1, text + 2], { chunksize: 3 })]],
  ];
  for (const [what, most, trip] of trips) {
    const before = pool.submit(memoryInUse, "major").result();
    for (let i = 0; i < 12; i++) trip("x".repeat(MEBIBYTE));
    const more = (pool.submit(memoryInUse, "minor").result() - before) / MEBIBYTE;
    assertLess(more, most, what);
  }
  await within(pool.shutdown());
});
