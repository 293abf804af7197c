/**
 * What the figures say: verdicts, the tables on the terminal, and what `results.json` holds.
 *
 * @module
 */

import type { Absence, Figure, Measured } from "./_measure.ts";
import { type Noise, NOISY_MEANING, NOISY_SIGN } from "./_noise.ts";
import type { Row } from "./rows.ts";

/** A row with its figures. */
export interface Result extends Measured {
  id: string;
  group: Row["group"];
  name: string;
  unit: Row["unit"];
  target: string;
  /** When it was measured, and on what. */
  date: string;
  machine: string;
  rounds: number;
  /** `scaled`: met when the target grows as the floor does, because this machine is slower. */
  verdict: "met" | "scaled" | "missed" | "failed";
  /** How many times as long the floor takes as where the target was set. */
  pace?: number;
  /** The best library from npm on Deno: the one to beat. */
  peer?: Comparison;
  /** The best library from npm on Node, which is only shown. */
  onNode?: Comparison;
  python?: Comparison;
  floor?: Comparison;
  /** Against the quicker of peer and Python; a tie is a difference that noise can make. */
  standing?: "ahead" | "tie" | "behind";
  /** What else the machine did; not in results of earlier versions. */
  noise?: Noise;
}

/** How ours stands to another's figure: `ratio` is ours divided by it. */
export interface Comparison {
  name: string;
  median: number;
  ratio: number;
}

/** Waking a thread takes one time or another: smaller differences of times say nothing. */
const TIE = 1.3;
const SPEEDUP_TIE = 1.05;

/** Whether rounds of somebody gave less as well as more. */
function isWithin(value: number, { min, max }: Figure): boolean {
  return min <= value && value <= max;
}

export function judge(row: Row, measured: Measured, about: Pick<Result, "date" | "machine" | "rounds">): Result {
  const { id, group, name, unit } = row;
  const sign = row.ofFloor ? " × floor" : unit === "×" ? " ×" : ` ${unit}`;
  const target = `${row.more ? "≥" : "≤"} ${row.target.toLocaleString("en")}${sign}`;
  const result: Result = { id, group, name, unit, target, ...about, verdict: "failed", ...measured };
  const ours = measured.figures.find((figure) => figure.name === "ours");
  if (!ours) return result;

  const compare = (figure: Figure | undefined): Comparison | undefined =>
    figure && { name: figure.name, median: figure.median, ratio: ours.median / figure.median };
  const isBetter = (a: number, b: number) => row.more ? a > b : a < b;
  const best = (figures: Figure[]) => figures.toSorted((a, b) => isBetter(a.median, b.median) ? -1 : 1)[0];
  const bestOn = (runtime: string) =>
    best(measured.figures.filter(({ name, family }) => family === "npm" && name.endsWith(` ${runtime}`)));
  result.peer = compare(bestOn("Deno"));
  result.onNode = compare(bestOn("Node"));
  result.python = compare(measured.figures.find(({ family }) => family === "python"));
  result.floor = compare(measured.figures.find((figure) => figure.name === row.floors[0]));

  const judged = row.ofFloor ? result.floor?.ratio : ours.median;
  if (row.floorThen !== undefined && result.floor) {
    const pace = result.floor.median / row.floorThen;
    result.pace = row.more ? 1 / pace : pace;
  }
  if (judged !== undefined) {
    const slower = Math.max(1, result.pace ?? 1);
    const scaled = row.more ? row.target / slower : row.target * slower;
    result.verdict = !isBetter(row.target, judged) ? "met" : isBetter(scaled, judged) ? "missed" : "scaled";
  }
  const tie = unit === "×" || unit === "tasks" ? SPEEDUP_TIE : TIE;
  const standings = [result.peer, row.python === "compared" ? result.python : undefined].flatMap((comparison) => {
    const theirs = measured.figures.find(({ name }) => name === comparison?.name);
    if (comparison === undefined || theirs === undefined) return [];
    const ratio = row.more ? 1 / comparison.ratio : comparison.ratio;
    const isTie = (ratio <= tie && ratio >= 1 / tie) ||
      (isWithin(theirs.median, ours) && isWithin(ours.median, theirs));
    return [isTie ? "tie" : ratio > 1 ? "behind" : "ahead"] as const;
  });
  result.standing = (["behind", "tie", "ahead"] as const).find((standing) => standings.includes(standing));
  return result;
}

/** A figure as tables and charts show it: with a sign in front of it where the row is noisy. */
export function marked(figure: string, { noise }: Pick<Result, "noise">): string {
  return noise?.isNoisy ? `${NOISY_SIGN} ${figure}` : figure;
}

/** Three digits that count. */
function digits(value: number): string {
  const decimals = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

function table(lines: string[][], leftAligned: number[]): string {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) =>
    line.map((cell, i) => leftAligned.includes(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join("  ")
      .trimEnd()
  ).join("\n");
}

/** All contestants of one row. */
export function rowTable(result: Result): string {
  const { id, group, name, unit, figures, absences, rounds } = result;
  const oursMedian = figures.find((figure) => figure.name === "ours")?.median;
  const lines = [[`${group} ${id}`, "median", "min", "max", "ours is"]];
  for (const { name, family, median, min, max } of figures) {
    const ratio = oursMedian === undefined || name === "ours" ? "" : `${digits(oursMedian / median)} ×`;
    const middle = marked(digits(median), result);
    lines.push([family === "floor" ? `floor: ${name}` : name, middle, digits(min), digits(max), ratio]);
  }
  const title = `\n${name}, ${unit}, ${rounds} rounds; target ${result.target}: ${describeVerdict(result)}`;
  const reasons = absences.map((absence) => `${absence.name}: ${describe(absence)}`);
  const details = figures.flatMap(({ name, detail }) =>
    result.group === "growth" && detail ? [`${name}: ${describeDetail(detail)}`] : []
  );
  return [title, table(lines, [0]), ...details, ...reasons, ...describeNoise(result)].join("\n");
}

function describeNoise({ noise }: Result): string[] {
  if (noise === undefined || (!noise.isNoisy && noise.attempts === 1)) return [];
  const { ratio, attempts } = noise;
  const floors = `floors up to ${digits(ratio)} times the quietest one`;
  return [`${noise.isNoisy ? `${NOISY_SIGN} noisy` : "Quiet"} after ${attempts} attempts: ${floors}`];
}

function describe({ reason, isFault }: Absence): string {
  return isFault ? `FAILED: ${reason}` : `– (${reason})`;
}

function describeDetail(detail: unknown): string {
  return Object.entries(detail as Record<string, number>).map(([key, value]) => `${key} → ${digits(value)}`).join(", ");
}

function describeComparison(comparison: Comparison | undefined, withName: boolean): string {
  if (!comparison) return "–";
  const { name, median, ratio } = comparison;
  return `${withName ? `${name} ` : ""}${digits(median)} (${digits(ratio)} ×)`;
}

function describeVerdict({ verdict, pace, target }: Result): string {
  const sign = target.startsWith("≥") ? "÷" : "×";
  const slower = pace !== undefined && pace > 1 && verdict !== "met" ? `target ${sign} ${digits(pace)}` : "";
  return verdict === "scaled" ? `met: ${slower}` : slower && verdict === "missed" ? `missed, also ${slower}` : verdict;
}

/** One line for each row. */
export function summary(results: readonly Result[]): string {
  const lines = [
    ["row", "work", "unit", "ours", "min – max", "target", "verdict", "best on Deno", "on Node", "Python", "floor", ""],
  ];
  for (const result of results) {
    const ours = result.figures.find(({ name }) => name === "ours");
    lines.push([
      result.id,
      `${result.group}: ${result.name}`,
      result.unit,
      ours ? marked(digits(ours.median), result) : "–",
      ours ? `${digits(ours.min)} – ${digits(ours.max)}` : "–",
      result.target,
      describeVerdict(result).replace("missed", "MISSED").replace("failed", "FAILED"),
      describeComparison(result.peer, true),
      describeComparison(result.onNode, true),
      describeComparison(result.python, false),
      describeComparison(result.floor, true),
      (result.standing ?? "").replace("behind", "BEHIND"),
    ]);
  }
  return [
    "",
    table(lines, [1, 2, 6, 7, 8, 10, 11]),
    "(In brackets: ours divided by it. Ahead, tie or behind: against the best library on Deno, and Python.)",
    ...results.some(({ noise }) => noise?.isNoisy) ? [`(${NOISY_MEANING})`] : [],
  ].join("\n");
}
