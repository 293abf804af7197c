/** With whom a row of the benchmark is compared, and what its line says. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "../_helpers.ts";
import type { Figure } from "./_measure.ts";
import { judge, type Result, summary } from "./_report.ts";
import { chooseRows } from "./rows.ts";

const ABOUT = { date: "2026-01-01T00:00:00.000Z", machine: "2 cores", rounds: 5 };
const [AWAITED] = chooseRows(["25"]);

function figure(name: string, family: Figure["family"], median: number): Figure {
  return { name, family, median, min: median, max: median, values: [median] };
}

function judged(...others: Figure[]): Result {
  return judge(AWAITED, { figures: [figure("ours", "ours", 100), ...others], absences: [] }, ABOUT);
}

test("judge() compares with the best library on Deno, and only shows the best one on Node", () => {
  const result = judged(
    figure("a Deno", "npm", 400),
    figure("b Deno", "npm", 200),
    figure("a Node", "npm", 50),
    figure("b Node", "npm", 25),
  );
  assertEquals(result.peer, { name: "b Deno", median: 200, ratio: 0.5 });
  assertEquals(result.onNode, { name: "b Node", median: 25, ratio: 4 });
  assertEquals(result.standing, "ahead");
  assertMatch(summary([result]), /b Deno 200 \(0\.500 ×\) +b Node 25\.0 \(4\.00 ×\) .* ahead\n/);
});

test("judge() says behind where a library on Deno is quicker", () => {
  const result = judged(figure("a Deno", "npm", 50), figure("a Node", "npm", 400));
  assertEquals(result.standing, "behind");
  assertStringIncludes(summary([result]), "BEHIND");
});

test("judge() says nothing of the standing where no library has a figure on Deno", () => {
  const result = judged(figure("a Node", "npm", 50));
  assertEquals([result.peer, result.standing], [undefined, undefined]);
  assertEquals(result.onNode?.ratio, 2);
});
