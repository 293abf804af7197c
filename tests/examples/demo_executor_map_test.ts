/** `examples/demo_executor_map.ts` as a user runs it. */

import { assert, assertEquals, assertLess } from "@std/assert";
import { test } from "../_helpers.ts";
import { COMMAND } from "../../examples/demo_executor_map.ts";
import { assertAsOnPage, assertCannotUse, linesOf, type Run, runExample } from "./_run.ts";

/** Each line without its time, and the seconds since the first line. */
function transcript(run: Run): Map<string, number> {
  const lines = linesOf(run).map((line) => {
    const [, hours, minutes, seconds, text] = line.match(/^\[(\d\d):(\d\d):(\d\d)\] (.*)$/) ?? [];
    assert(text !== undefined, `no time in front of: ${line}`);
    return { text, at: Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds) };
  });
  const map = new Map(lines.map(({ text, at }) => [text, (at - lines[0].at + 86_400) % 86_400]));
  assertEquals(map.size, lines.length, "a line comes twice");
  return map;
}

const start = (n: number) => `${"\t".repeat(n)}loiter(${n}): doing nothing for ${n}s...`;
const end = (n: number) => `${"\t".repeat(n)}loiter(${n}): done.`;
const HEAD = [
  "Script starting.",
  "results: <MapResults inFlight=5>",
  "Waiting for individual results:",
];

test("demo_executor_map.ts starts three at once, then one by one, and gives results in order", async () => {
  const run = await runExample("demo_executor_map.ts");
  assertAsOnPage("demo_executor_map.ts", run.stdout);
  const seconds = transcript(run);
  const lines = [...seconds.keys()];
  const tasks = [0, 1, 2, 3, 4];
  const results = tasks.map((n) => `result ${n}: ${n * 10}`);
  assertEquals(lines.toSorted(), [...HEAD, ...tasks.map(start), ...tasks.map(end), ...results].sort());
  assertEquals(lines.filter((line) => HEAD.includes(line)), HEAD);
  assertEquals(lines.filter((line) => results.includes(line)), results, "not in the order of the tasks");

  const before = (a: string, b: string) => assertLess(lines.indexOf(a), lines.indexOf(b), `${a} / ${b}`);
  before(start(2), end(1));
  before(end(0), start(3)); // only three threads
  before(end(1), start(4));
  for (const n of tasks) before(end(n), results[n]);
  // The end of loiter(4) is 5 s after the start, that of the others n. What is more is for rounding and a busy machine.
  for (const [n, due] of [0, 1, 2, 3, 5].entries()) {
    for (const line of [end(n), results[n]]) {
      const at = seconds.get(line)!;
      assert(at >= due && at <= due + 3, `${line} after ${at} s instead of ${due}`);
    }
  }
});

test("demo_executor_map.ts takes other waits, and results wait for those before them", async () => {
  const run = await runExample("demo_executor_map.ts", ["1", "0", "-w", "2"]);
  const lines = [...transcript(run).keys()];
  const rest = lines.filter((line) => line.includes("done") || line.startsWith("result "));
  assertEquals(rest, [end(0), end(1), "result 0: 10", "result 1: 0"]);
});

for (
  const [args, ...told] of [
    [["--workers", "0"], '--workers "0"', "whole number"],
    [["--workers", "many"], '--workers "many"', "whole number"],
    [["--workers"], "--workers without a value", "whole number"],
    [["soon"], '"soon"', "seconds"],
    [["1.5"], '"1.5"', "seconds"],
    [["10"], '"10"', "seconds"],
    [["--fast"], "--fast", "--workers"],
    [["-1"], "-1"],
  ] as [string[], ...string[]][]
) {
  test(`demo_executor_map.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
}
