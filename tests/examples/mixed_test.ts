/** `examples/mixed.ts` as a user runs it. */

import { assert, assertEquals } from "@std/assert";
import { test } from "../_helpers.ts";
import { assertAsOnPage, linesOf, runExample } from "./_run.ts";

test("mixed.ts takes the futures of threads and of processes out of one loop, as they finish", async () => {
  const run = await runExample("mixed.ts");
  const lines = linesOf(run);
  assertEquals(lines.map((line) => line.replace(/ process \d+$/, " another process")).sort(), [
    "process  counted 148933 primes below 2000000, in another process",
    "process  counted 17984 primes below 200000, in another process",
    "process  counted 78498 primes below 1000000, in another process",
    "thread   waited 200 ms, in this process",
    "thread   waited 400 ms, in this process",
    "thread   waited 900 ms, in this process",
  ]);
  const place = (text: string) => lines.findIndex((line) => line.includes(text));
  assert(place("200 ms") < place("400 ms") && place("400 ms") < place("900 ms"), lines.join("\n"));
  assert(place("below 200000") < place("below 2000000"), lines.join("\n"));
  const pids = lines.flatMap((line) => line.match(/ process (\d+)$/)?.[1] ?? []);
  assert(new Set(pids).size <= 2, "at most two processes share the work");
  assertAsOnPage("mixed.ts", run.stdout);
});
