/**
 * `headline.svg`: four rows of the benchmark for a reader who is new here, as bars.
 *
 * Each panel has a linear scale of its own that starts at 0, so that lengths can be compared. The picture has a
 * background, and follows the colour scheme of the reader.
 *
 * @module
 */

import { NOISY_SIGN } from "./_noise.ts";
import { marked, type Result } from "./_report.ts";

/** The rows, and what they are called here. */
const PANELS: readonly [id: string, title: string][] = [
  ["2", "One task in a thread, awaited"],
  ["3", "20,000 tasks at once in threads, per task"],
  ["4", "map() over 100,000 numbers in threads, per item"],
  ["14", "10,000 tasks at once in processes, per task"],
];

/** What floors are called here. */
const BARE: Record<string, string> = { postMessage: "bare postMessage", child: "bare pipes" };

/** A bar: the time in microseconds. */
export interface Bar {
  kind: "ours" | "other" | "bare";
  label: string;
  time: number;
}

/** The bars of a row, ours first: the best library on each runtime, Python, and what nothing built upon it can beat. */
export function barsOf({ figures, floor }: Result): Bar[] {
  const bestOn = (runtime: string) =>
    figures.filter(({ name, family }) => family === "npm" && name.endsWith(` ${runtime}`))
      .toSorted((a, b) => a.median - b.median)[0];
  const bars: Bar[] = [];
  const add = (kind: Bar["kind"], label: string, figure: { median: number } | undefined) => {
    if (figure) bars.push({ kind, label, time: figure.median });
  };
  add("ours", "this library", figures.find(({ name }) => name === "ours"));
  for (const runtime of ["Deno", "Node"]) {
    const best = bestOn(runtime);
    add("other", best?.name.replace(/ (\w+)$/, ", $1"), best);
  }
  add("other", "Python", figures.find(({ family }) => family === "python"));
  if (floor) add("bare", BARE[floor.name] ?? floor.name, floor);
  return bars;
}

const [WIDTH, MARGIN, HEAD, BAR, PANEL_HEIGHT] = [880, 20, 62, 20, 146];
const PANEL_WIDTH = (WIDTH - 3 * MARGIN) / 2;
const LABEL_WIDTH = 158;
const VALUE_WIDTH = 100;

const STYLE = `<style>
  text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
  .page { fill: #ffffff; } .title { font-size: 17px; font-weight: 600; }
  .panel { font-size: 13px; font-weight: 600; } .small { fill: #57606a; } .end { text-anchor: end; }
  .ours { fill: #0b7a75; } text.ours { font-weight: 600; } .other { fill: #d1495b; } .bare { fill: #9a9a9a; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .page { fill: #0d1117; } .small { fill: #9198a1; }
    .ours { fill: #2fb5ad; } .other { fill: #e0697a; } .bare { fill: #7d8590; }
  }
</style>`;

function digits(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 2 });
}

/** Breaks long texts in the file. The blanks behind a line break become one; the break alone may be dropped. */
function text(x: number, y: number, names: string, content: string): string {
  const lines = content.replaceAll(/(.{1,70})( |$)/g, "$1\n  ").trimEnd();
  return `<text x="${x}" y="${y}" class="${names}">${lines}</text>`;
}

function panel(result: Result, title: string, x: number, y: number): string[] {
  const bars = barsOf(result);
  const ours = bars[0].time;
  const longest = Math.max(...bars.map(({ time }) => time));
  const start = x + LABEL_WIDTH;
  const lines = [text(x, y, "panel", title)];
  for (const [i, { kind, label, time }] of bars.entries()) {
    const top = y + 12 + i * BAR;
    const width = Math.max(1.5, time / longest * (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH));
    const isOurs = kind === "ours";
    const figure = `${digits(time)} µs`;
    const value = isOurs ? marked(figure, result) : `${figure} (${digits(time / ours)}×)`;
    lines.push(
      text(start - 8, top + 13, isOurs ? "ours end" : "end", label),
      `<rect x="${start}" y="${top + 2}" width="${width.toFixed(1)}" height="${BAR - 5}" rx="2" class="${kind}"/>`,
      text(Number((start + width + 6).toFixed(1)), top + 13, isOurs ? "ours" : "value", value),
    );
  }
  return lines;
}

/** Draws those of the rows that are there; `undefined` when there are none. */
export function drawHeadline(results: readonly Result[]): string | undefined {
  const found = PANELS.flatMap(([id, title]) => {
    const result = results.find((row) => row.id === id && row.figures.some(({ name }) => name === "ours"));
    return result ? [{ result, title }] : [];
  });
  if (found.length === 0) return undefined;
  const { date, machine } = found.map(({ result }) => result).toSorted((a, b) => a.date < b.date ? 1 : -1)[0];
  const noises = found.map(({ result }) => result.noise);
  const noisy = noises.some((noise) => noise?.isNoisy) ? ` ${NOISY_SIGN} marks a row measured on a busy machine.` : "";
  const unknown = noises.includes(undefined) ? " The noise of the machine was not recorded." : "";
  const height = HEAD + Math.ceil(found.length / 2) * PANEL_HEIGHT + 34;
  const title = "Time per task: shorter is better";
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}"`,
    `  viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">`,
    STYLE,
    `<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>`,
    text(MARGIN, 30, "title", title),
    text(WIDTH - MARGIN, 30, "small end", "µs = millionths of a second · (2×) = twice the time of this library"),
    ...found.flatMap(({ result, title }, i) =>
      panel(result, title, MARGIN + (i % 2) * (PANEL_WIDTH + MARGIN), HEAD + Math.floor(i / 2) * PANEL_HEIGHT)
    ),
    text(
      MARGIN,
      height - 32,
      "small",
      `Tasks that compute nothing, 2 workers. Of the libraries from npm, the fastest on Deno and` +
        ` on Node. Each panel has its own scale.`,
    ),
    text(MARGIN, height - 14, "small", `${machine}, ${date.slice(0, 10)}.${noisy}${unknown}`),
    "</svg>",
  ].join("\n");
}
