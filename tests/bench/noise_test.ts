/** Which rows of the benchmark are measured again, which are marked, and when the machine was quiet. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "../_helpers.ts";
import { drawHeadline } from "./_headline.ts";
import { ATTEMPTS, describeFloors, type Floor, isQuiet, noiseOf, NOISY_MEANING, quietestOf, Watch } from "./_noise.ts";
import { type Result, rowTable, summary } from "./_report.ts";

const floor = (compute: number, relay = 40, cores = 2): Floor => ({ compute, relay, cores });

/** Measures rows between floors that are given, and returns how the attempts are numbered and what the rows are. */
async function measureRows(count: number, ...computes: number[]) {
  const watch = new Watch(() => floor(computes.shift()!));
  let attempts = 0;
  const rows = [];
  for (let i = 0; i < count; i++) rows.push(await watch.measure(() => Promise.resolve(++attempts)));
  assertEquals(computes, [], "floors that were not taken");
  return { watch, rows };
}

test("noiseOf() is the slower of two floors to the quietest, by computing or by waking", () => {
  assertEquals(quietestOf([floor(40, 30), floor(20, 50)]), { compute: 20, relay: 30 });
  const quietest = { compute: 20, relay: 40 };
  assertEquals(noiseOf({ before: floor(20), after: floor(20) }, quietest), 1);
  assertEquals(noiseOf({ before: floor(32), after: floor(20) }, quietest), 1.6);
  assertEquals(noiseOf({ before: floor(20), after: floor(36) }, quietest), 1.8);
  assertEquals(noiseOf({ before: floor(20, 40), after: floor(20, 120) }, quietest), 3);
});

test("Watch.measure() measures a row once where its floors differ by half at most", async () => {
  const { rows: [{ value, noise }] } = await measureRows(1, 20, 30);
  assertEquals([value, noise.attempts, noise.ratio, noise.isNoisy], [1, 1, 1.5, false]);
});

test("Watch.measure() measures a row again whose floor moved by more than half, up or down", async () => {
  for (const [before, after] of [[20, 30.1], [30.1, 20]]) {
    const { rows: [{ value, noise }] } = await measureRows(1, before, after, 20, 20);
    assertEquals([value, noise.attempts, noise.ratio, noise.isNoisy], [2, 2, 1, false]);
  }
});

test("Watch.measure() measures a row again whose floors are both slower than the quietest of the run", async () => {
  const { rows: [, { value, noise }] } = await measureRows(2, 20, 20, 31, 31, 21, 22);
  assertEquals([value, noise.attempts, noise.isNoisy], [3, 2, false]);
});

test("Watch.measure() gives up after three attempts, marks the row and keeps the quietest attempt", async () => {
  const { rows: [, { value, noise }] } = await measureRows(2, 20, 20, 60, 80, 40, 36, 50, 70);
  assertEquals(ATTEMPTS, 3);
  // The first row was attempt 1, the second row 2, 3 and 4.
  assertEquals([value, noise.attempts, noise.ratio, noise.isNoisy], [3, 3, 2, true]);
});

test("Watch.judge() marks a row for a floor that was quieter later in the run", async () => {
  const { watch, rows: [first, second] } = await measureRows(2, 40, 40, 20, 20);
  assertEquals([first.noise.isNoisy, second.noise.isNoisy], [false, false]);
  assertEquals(watch.judge(first.noise, 1), { ...first.noise, ratio: 2, isNoisy: true });
  assertEquals(watch.judge(second.noise, 1).isNoisy, false);
});

test("isQuiet() wants no noisy row, and the cores in the median floor", () => {
  const [good, bad] = [floor(20, 40, 1.8), floor(20, 40, 1.7)];
  assert(isQuiet([good, good, bad], 0, 2));
  assert(!isQuiet([good, good, bad], 1, 2), "with a noisy row");
  assert(!isQuiet([good, bad, bad], 0, 2), "with a load that is always there");
  assert(isQuiet([floor(40, 80, 0.9)], 0, 1), "with one core");
  assert(!isQuiet([floor(20, 40, 1.7)], 0, 8), "with many cores, of which two threads use two");
});

test("describeFloors() tells least, median and most, and judges the machine", async () => {
  const { watch, rows } = await measureRows(2, 21, 22, 20, 40, 23, 24);
  const noises = rows.map(({ noise }) => noise);
  assertEquals(
    describeFloors(watch.floors, noises, 2),
    "Quiet machine: 0 of 2 rows noisy, 1 measured again\n" +
      "Floors of the machine in ms, minimum / median / maximum of 6: computing 20 / 23 / 40, waking 40 / 40 / 40\n" +
      "Two computing threads had 2.00 of 2 cores (median)",
  );
  assertStringIncludes(describeFloors(watch.floors, [{ ...noises[0], isNoisy: true }], 2), "Busy machine: 1 of 1 rows");
});

/** A row as results.json has it; `noise` is what rows of earlier versions do not have. */
function rowWith(noise?: Result["noise"]): Result {
  const figure = (name: string, family: "ours" | "npm" | "floor", median: number) => (
    { name, family, median, min: median, max: median, values: [median] }
  );
  return {
    id: "2",
    group: "threads",
    name: "round trip, awaited",
    unit: "µs",
    target: "≤ 20 µs",
    date: "2026-01-01T00:00:00.000Z",
    machine: "2 cores",
    rounds: 5,
    verdict: "met",
    figures: [figure("ours", "ours", 7), figure("a Deno", "npm", 28), figure("postMessage", "floor", 21)],
    absences: [],
    floor: { name: "postMessage", median: 21, ratio: 1 / 3 },
    noise,
  };
}

test("a noisy row is marked in the tables and in headline.svg, a quiet or an older one is not", () => {
  const span = { before: floor(20), after: floor(50) };
  const noisy = rowWith({ ...span, ratio: 2.5, isNoisy: true, attempts: 3 });
  assertStringIncludes(rowTable(noisy), "~ 7.00");
  assertStringIncludes(rowTable(noisy), "~ noisy after 3 attempts: floors up to 2.50 times the quietest one");
  assertStringIncludes(summary([noisy]), "~ 7.00");
  assertStringIncludes(summary([noisy]), NOISY_MEANING);
  assertStringIncludes(drawHeadline([noisy])!, ">~ 7 µs<");
  for (const row of [rowWith(), rowWith({ ...span, ratio: 1.2, isNoisy: false, attempts: 1 })]) {
    for (const shown of [rowTable(row), summary([row]), drawHeadline([row])!]) assert(!shown.includes("~"), shown);
  }
});

test("headline.svg says where the noise of a row was not recorded", () => {
  const noise = { before: floor(20), after: floor(20), ratio: 1, isNoisy: false, attempts: 1 };
  const plain = (svg: string) => svg.replaceAll(/\s+/g, " ");
  assertStringIncludes(plain(drawHeadline([rowWith()])!), "The noise of the machine was not recorded.");
  assert(!plain(drawHeadline([rowWith(noise)])!).includes("not recorded"));
});

test("headline.svg shows results.json: draw it anew by `deno task bench chart`", async () => {
  const read = async (name: string) =>
    (await Deno.readTextFile(new URL(name, import.meta.url))).replaceAll("\r\n", "\n");
  const { rows } = JSON.parse(await read("./results.json"));
  assertEquals(await read("./headline.svg"), `${drawHeadline(rows)}\n`);
});
