/**
 * Draws a trace: a row for each worker with a bar for each task, and above them how many tasks waited.
 *
 * @module
 */

import type { ChromeTrace, TracedTask } from "@concurrent/futures";

/** What the picture calls things. */
export interface Wording {
  /** What the workers are, such as `"threads"`. */
  workers: string;
  /** What it says of a task that was stopped. */
  stopped: string;
}

/** A task, in milliseconds since the trace began. */
interface Task extends TracedTask {
  name: string;
  row: number;
  start: number;
  end: number;
}

const [WIDTH, MARGIN, HEAD, WAITING, ROW, AXIS] = [960, 24, 74, 64, 30, 56];

const STYLE = `<style>
  text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
  .page { fill: #ffffff; } .title { font-size: 17px; font-weight: 600; } .small { fill: #57606a; }
  .end { text-anchor: end; } .middle { text-anchor: middle; } .track { fill: #f3f5f7; } .grid { stroke: #d8dee4; }
  .waiting { fill: #a9b8c6; } .returned { fill: #0b7a75; } .threw { fill: #c93a50; } .stopped { fill: #a85a00; }
  .cancelled { fill: #6e7781; } .on { fill: #ffffff; font-size: 11px; } .mark { stroke: #ffffff; stroke-width: 2.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .page { fill: #0d1117; } .small { fill: #9198a1; } .track { fill: #171d25; }
    .grid { stroke: #2b333d; } .waiting { fill: #46586b; } .returned { fill: #2fb5ad; } .threw { fill: #f07a8b; }
    .stopped { fill: #e8a04c; } .cancelled { fill: #9198a1; } .on { fill: #0d1117; } .mark { stroke: #0d1117; }
  }
</style>`;

/** Draws the picture: SVG, in the colours of the reader's scheme. */
export function drawTimeline({ traceEvents }: ChromeTrace, { workers, stopped }: Wording): string {
  const names = new Map<number, string>();
  const places = new Map<number, number>();
  const tasks: Task[] = [];
  for (const { name, tid, ts = 0, dur = 0, args } of traceEvents) {
    if ("wait" in args) tasks.push({ ...args, name, row: tid, start: ts / 1_000, end: (ts + dur) / 1_000 });
    else if (name === "thread_name" && "name" in args) names.set(tid, args.name);
    else if (name === "thread_sort_index" && "sort_index" in args) places.set(tid, args.sort_index);
  }
  const rows = [...names.keys()].toSorted((a, b) => places.get(a)! - places.get(b)!);
  const last = Math.max(1, ...tasks.map(({ end }) => end));
  const left = MARGIN + Math.max(60, ...[...names.values()].map((name) => widthOf(name, 13))) + 10;
  const scale = (WIDTH - MARGIN - left) / last;
  const x = (ms: number) => Number((left + ms * scale).toFixed(1));
  const top = HEAD + WAITING + 14;
  const bottom = top + rows.length * ROW;
  const height = bottom + AXIS;
  const outcomes = [["returned", "returned"], ["threw", "threw"], ["stopped", stopped], [
    "cancelled",
    "cancelled before it started",
  ]].filter(([outcome]) => tasks.some((task) => task.outcome === outcome));
  const title = `${tasks.length} tasks on ${workers}, ${Math.round(last)} ms`;

  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`,
    `  role="img" aria-label="${escaped(title)}">`,
    STYLE,
    `<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>`,
    text(MARGIN, 30, "title", title),
    ...legend([...outcomes, ["waiting", "waiting"]]),
    ...ticks(last).flatMap((ms) => [
      `<line class="grid" x1="${x(ms)}" x2="${x(ms)}" y1="${HEAD}" y2="${bottom + 4}"/>`,
      text(x(ms), bottom + 20, "small middle", String(ms)),
    ]),
    text(WIDTH - MARGIN, bottom + 40, "small end", "milliseconds"),
    ...waiting(tasks, x),
    ...rows.map((tid, i) => {
      const y = top + i * ROW;
      return `<rect class="track" x="${left}" y="${y + 3}" width="${WIDTH - MARGIN - left}" height="${ROW - 6}"/>` +
        text(left - 10, y + ROW / 2 + 4, "end", names.get(tid)!);
    }),
    ...tasks.flatMap((task) => bar(task, x, top + rows.indexOf(task.row) * ROW)),
    "</svg>\n",
  ].join("\n");
}

/** A bar, with its name where there is room; one that was stopped ends with a cross. */
function bar({ name, start, end, wait, outcome }: Task, x: (ms: number) => number, y: number): string[] {
  const [from, to] = [x(start), x(end)];
  const width = Math.max(2, to - from - 1);
  const told = `${name}: waited ${wait.toFixed(1)} ms, ran for ${(end - start).toFixed(1)} ms, ${outcome}`;
  const [middle, arm] = [y + ROW / 2, 4];
  const mark = outcome === "stopped" ? 14 : 0;
  return [
    // What no worker has run has done nothing but wait.
    ...(outcome === "cancelled"
      ? [
        `<rect class="waiting" x="${x(Math.max(0, start - wait))}" y="${middle - 1}" ` +
        `width="${(from - x(Math.max(0, start - wait))).toFixed(1)}" height="3"/>`,
      ]
      : []),
    `<rect class="${outcome}" x="${from}" y="${y + 5}" width="${width.toFixed(1)}" height="${ROW - 10}" rx="2">` +
    `<title>${escaped(told)}</title></rect>`,
    ...(widthOf(name, 13) + 8 + mark < width ? [text(from + 5, middle + 4, "on", name)] : []),
    ...(mark === 0 ? [] : [
      `<path class="mark" d="M${to - 4 - 2 * arm} ${middle - arm}l${2 * arm} ${2 * arm}m0 ${-2 * arm}` +
      `l${-2 * arm} ${2 * arm}"/>`,
    ]),
  ];
}

/** How many tasks waited, as an area. */
function waiting(tasks: readonly Task[], x: (ms: number) => number): string[] {
  const steps = tasks.flatMap(({ start, wait }) => [[start - wait, 1], [start, -1]]).toSorted(([a], [b]) => a - b);
  let count = 0;
  const levels = steps.map(([at, by]) => [Math.max(0, at), count += by]);
  const most = Math.max(1, ...levels.map(([, level]) => level));
  const base = HEAD + WAITING;
  const y = (level: number) => (base - level / most * (WAITING - 16)).toFixed(1);
  const path = levels.map(([at, level]) => `H${x(at)}V${y(level)}`).join("\n  ");
  return [
    `<path class="waiting" d="M${x(0)} ${base}\n  ${path}\n  V${base}Z"/>`,
    text(x(0) - 10, base - 2, "end", "waiting"),
    text(x(0) - 10, base - WAITING + 26, "small end", String(most)),
  ];
}

function legend(outcomes: readonly (readonly string[])[]): string[] {
  let left = MARGIN;
  return outcomes.flatMap(([outcome, label]) => {
    const at = left;
    left += 18 + widthOf(label, 11) + 20;
    return [
      `<rect class="${outcome}" x="${at}" y="43" width="12" height="12" rx="2"/>`,
      text(at + 18, 53, "small", label),
    ];
  });
}

/** Round numbers for the axis. */
function ticks(last: number): number[] {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((step) => last / step <= 10) ??
    1_000 * Math.ceil(last / 10_000);
  return Array.from({ length: Math.floor(last / step) + 1 }, (_, i) => i * step);
}

/** About how wide a text is: nothing else knows the font of the reader. */
function widthOf(text: string, size: number): number {
  return Math.ceil(text.length * size * 0.56);
}

function text(x: number, y: number, names: string, content: string): string {
  return `<text x="${x}" y="${y}" class="${names}">${escaped(content)}</text>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
