/** `examples/asyncio.ts` as a user runs it: each part, together and alone. */

import { assert, assertEquals } from "@std/assert";
import { COMMAND } from "../../examples/asyncio.ts";
import { test } from "../_helpers.ts";
import { assertAsOnPage, assertCannotUse, linesOf, runExample } from "./_run.ts";

/** What each part prints, below its title. */
const PARTS: Record<string, string[]> = {
  run_in_executor: ["a thread found 114155 primes, and the event loop had many turns meanwhile"],
  wrap_future: [
    "168 primes, from the future",
    "168 primes, from a promise",
    "168 primes, for who may block until they are there",
  ],
  gather: ["30 bytes, 25 primes", "30 bytes", "failed: 404 Not Found"],
  as_completed: ["/quick: 30 bytes", "/late: 300 bytes", "/slow: 600 bytes"],
  semaphore: ["12 downloads on the event loop, at most 3 at the same time"],
};

/** Checks the lines of a part. */
function assertPart(name: string, [title, ...lines]: string[]) {
  if (name === "semaphore") {
    // On a busy machine threads may come one after the other; more than the permits are never there.
    const [, most] = /^12 downloads in threads, at most (\d) at the same time$/.exec(lines.pop()!)!.map(Number);
    assert(most >= 1 && most <= 3, `${most}`);
  }
  assertEquals(lines, PARTS[name], title);
}

test("asyncio.ts shows what five functions of asyncio are here", async () => {
  const run = await runExample("asyncio.ts");
  const parts = linesOf(run).join("\n").split("\n\n").map((part) => part.split("\n"));
  assertEquals(parts.length, 5, run.stdout);
  for (const [i, name] of Object.keys(PARTS).entries()) assertPart(name, parts[i]);
  assertAsOnPage("asyncio.ts", run.stdout);
});

test("asyncio.ts semaphore gather runs these two parts, in this order", async () => {
  const lines = linesOf(await runExample("asyncio.ts", ["semaphore", "gather"]));
  assertEquals(lines.length, 8);
  assertPart("semaphore", lines.slice(0, 3));
  assertPart("gather", lines.slice(4));
});

test("asyncio.ts sleep is refused", () => {
  const names = "one of run_in_executor, wrap_future, gather, as_completed, semaphore";
  assertCannotUse(COMMAND, ["sleep"], '"sleep"', names);
});
