/** `examples/parallel.ts` as a user runs it: each part, on threads and on processes. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { COMMAND, drawRow } from "../../examples/parallel.ts";
import { test } from "../_helpers.ts";
import { assertAsOnPage, assertCannotUse, linesOf, runExample } from "./_run.ts";

/** More than a program may take. */
const OPTIONS = { bound: 65_000 };

/** The rows of the picture, each of which is computed here, too. */
const ROWS = Array.from({ length: 17 }, (_, i) => drawRow((i - 8) * 0.14));

for (const kind of ["threads", "processes"]) {
  test(
    `parallel.ts -x ${kind} runs its three parts, and ends long before the tasks that were aborted would`,
    async () => {
      const start = performance.now();
      const run = await runExample("parallel.ts", ["-x", kind]);
      const parts = linesOf(run).join("\n").split("\n\n").map((part) => part.split("\n"));
      assertEquals(parts.length, 3, run.stdout);
      const [parallel, parallelize, invoke] = parts.map(([title, ...lines]) => {
        assertMatch(title, /^[a-zA-Z]+: /);
        return lines;
      });
      assertEquals(parallel, [
        "4 calls have been made, and nobody has waited so far",
        "22044 + 19494 + 18700 + 18260 = 78498 primes below 1000000",
      ]);
      assertEquals(parallelize, ROWS);
      assertEquals(invoke, [
        "1229 primes below 10000; 48 points of the real axis are in the set",
        "Lima was the first to answer, and the others were aborted",
      ]);
      // The others would take a minute.
      assert(performance.now() - start < 50_000);
      assertAsOnPage("parallel.ts", run.stdout);
    },
    OPTIONS,
  );
}

test("parallel.ts draws what is symmetric to the real axis", () => {
  assertEquals(ROWS.slice(0, 8), ROWS.slice(9).reverse());
  assert(ROWS[8].startsWith("   ######") && !ROWS[0].includes("#"), ROWS.join("\n"));
});

test("parallel.ts parallelize runs that part alone", async () => {
  const lines = linesOf(await runExample("parallel.ts", ["parallelize"]));
  assertEquals(lines.slice(1), ROWS);
}, OPTIONS);

for (
  const [args, ...told] of [
    [["fork"], '"fork"', "one of parallel, parallelize, invoke"],
    [["-x", "cluster"], '--executor "cluster"', "one of processes, threads"],
  ] as [string[], ...string[]][]
) test(`parallel.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
