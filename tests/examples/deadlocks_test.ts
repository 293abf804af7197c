/** `examples/deadlocks.ts` as a user runs it. */

import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { test } from "../_helpers.ts";
import { assertAsOnPage, linesOf, runExample } from "./_run.ts";

test("deadlocks.ts tells what becomes of each attempt, and why, and never hangs", async () => {
  const start = performance.now();
  const run = await runExample("deadlocks.ts");
  const lines = linesOf(run);
  // A wait that reaches the program's limit takes ten seconds, and is a deadlock.
  assertLess(performance.now() - start, 10_000);

  const outcomes = new Map(lines.flatMap((line, i) => line.startsWith("- ") ? [[line.slice(2), lines[i + 1]]] : []));
  const expected: [attempt: string, outcome: RegExp][] = [
    ["a uses b, a name of the program:", /^ {2}ReferenceError: b is not defined/],
    ["b uses a:", /^ {2}ReferenceError: a is not defined/],
    ["a task takes a future as its argument:", /^ {2}SerializationError: .*args\[0\].*Future/],
    ["a task takes the result instead, for which the program waits:", /^ {2}returned 6$/],
    ["it uses pool, a name of the program:", /^ {2}ReferenceError: pool is not defined/],
    ["it takes the pool as its argument:", /^ {2}SerializationError: .*args\[0\].*ThreadPoolExecutor/],
    ["it makes a pool of its own:", /^ {2}returned 25$/],
    ["a task waits for a flag that the next task sets, at most 500 ms; threads: 1", /^ {2}returned "timed-out"$/],
    ["a task waits for a flag that the next task sets, at most 500 ms; threads: 2", /^ {2}returned "ok"$/],
  ];
  assertEquals([...outcomes.keys()], expected.map(([attempt]) => attempt));
  for (const [attempt, outcome] of expected) assertMatch(outcomes.get(attempt)!, outcome);

  const text = lines.join("\n");
  assertMatch(text, /A task cannot get a future, so two tasks cannot wait for each other\./);
  assertMatch(text, /A task cannot get its own pool, so it cannot wait for its queue\./);
  assertMatch(text, /With one thread, .* stays in the queue until the limit is over\./);
  assertAsOnPage("deadlocks.ts", run.stdout);
});
