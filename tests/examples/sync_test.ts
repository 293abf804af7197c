/** `examples/sync.ts` as a user runs it: all three parts, and one alone. */

import { assertEquals } from "@std/assert";
import { test } from "../_helpers.ts";
import { assertAsOnPage, commandsOf, linesOf, runExample } from "./_run.ts";

const NAMES = ["Aristotle", "Buddha", "Confucius", "Descartes", "Epicurus"];
const ate = (meals: number) => NAMES.map((name) => `${name.padEnd(9)} ate ${meals} times`);

test("sync.ts: threads share a buffer, a page and forks, and nothing is lost, torn or stuck", async () => {
  // A tenth of what it does by default: `tests/sync` looks for what is rare.
  const run = await runExample("sync.ts", ["--items", "200"]);
  assertEquals(linesOf(run), [
    "Two producers and two consumers share a buffer with room for ten",
    "400 items came out, and none twice: their sum is 80200",
    "",
    "Three readers and two writers share a page of 20000 numbers",
    "each number was counted up to 400, and 0 of 600 readers saw half a change",
    "",
    "Five philosophers share five forks, and each one wants 500 meals",
    ...ate(500),
  ]);
  assertAsOnPage("sync.ts", run.stdout);
});

test("sync.ts philosophers runs that part alone, with as many meals as its second command says", async () => {
  const [, command] = commandsOf("sync.ts");
  const lines = linesOf(await runExample("sync.ts", command.split(" ").slice(4)));
  assertEquals(lines, ["Five philosophers share five forks, and each one wants 1000 meals", ...ate(1000)]);
});
