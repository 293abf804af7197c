/**
 * `results.svg`: what a task costs, for all rows that are times, on a logarithmic scale. Drawn by Apache ECharts, which
 * is installed with the peers.
 *
 * @module
 */

import { createRequire } from "node:module";
import { PEERS_FOLDER } from "./contestants.ts";
import { NOISY_SIGN } from "./_noise.ts";
import { marked, type Result } from "./_report.ts";

/** The parts of ECharts that are used here. */
interface ECharts {
  init(element: null, theme: null, options: { renderer: "svg"; ssr: true; width: number; height: number }): {
    setOption(option: unknown): void;
    renderToSVGString(): string;
    dispose(): void;
  };
}

const LINE_HEIGHT = 34;
const WIDTH = 960;

const MARKS = [
  { key: "ours", name: "this library", color: "#0b7a75", symbol: "circle", size: 13 },
  { key: "peer", name: "best library on Deno", color: "#d1495b", symbol: "diamond", size: 13 },
  { key: "onNode", name: "best library on Node", color: "#b48a3c", symbol: "diamond", size: 10 },
  { key: "python", name: "Python", color: "#3a6ea5", symbol: "triangle", size: 11 },
  { key: "floor", name: "bare messages, memory or pipes", color: "#9a9a9a", symbol: "rect", size: 9 },
] as const;

const UNITS: [number, string][] = [[1e6, " s"], [1e3, " ms"], [1, " µs"], [1e-3, " ns"]];

function duration(microseconds: number): string {
  const [factor, unit] = UNITS.find(([factor]) => microseconds >= factor * 0.999) ?? UNITS[3];
  return `${Number((microseconds / factor).toPrecision(2))}${unit}`;
}

/** Microseconds of one mark in one row. */
function value(result: Result, key: typeof MARKS[number]["key"]): number | undefined {
  const figure = key === "ours" ? result.figures.find(({ name }) => name === "ours") : result[key];
  return figure && figure.median * (result.unit === "ms" ? 1_000 : 1);
}

/** Draws the rows that are times; `undefined` when there are none. */
export function drawChart(results: readonly Result[]): string | undefined {
  const rows = results.filter((row) => ["µs", "ms"].includes(row.unit) && value(row, "ours") !== undefined);
  if (rows.length === 0) return undefined;
  const all = rows.flatMap((row) => MARKS.flatMap(({ key }) => value(row, key) ?? []));
  const decades = [Math.floor(Math.log10(Math.min(...all))), Math.ceil(Math.log10(Math.max(...all)))];
  const { date, machine } = rows.toSorted((a, b) => a.date < b.date ? 1 : -1)[0];

  const noisy = rows.some(({ noise }) => noise?.isNoisy)
    ? `\n${NOISY_SIGN} noisy: the machine did other work while this row was measured`
    : "";

  const { init } = createRequire(PEERS_FOLDER)("echarts") as ECharts;
  const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: 150 + rows.length * LINE_HEIGHT });
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    textStyle: { fontFamily: "system-ui, sans-serif" },
    title: {
      text: "Time per task: less is better. Logarithmic: each line is ten times the one before",
      subtext: `Medians of rounds that take turns. ${machine}, ${date.slice(0, 10)}${noisy}`,
      left: "center",
      textStyle: { fontSize: 15 },
      subtextStyle: { color: "#57606a", lineHeight: 16 },
    },
    legend: { bottom: 4, itemGap: 24, data: MARKS.map(({ name }) => name) },
    grid: { left: 350, right: 40, top: 80, bottom: 60 },
    xAxis: {
      type: "log",
      min: 10 ** decades[0],
      max: 10 ** decades[1],
      axisLabel: { formatter: duration },
      splitLine: { lineStyle: { color: "#dddddd" } },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: rows.map(({ id, group, name }) => `${group} ${id}: ${name}`),
      axisTick: { show: false },
      axisLabel: { color: "#222222", width: 340, overflow: "truncate" },
      splitLine: { show: true, lineStyle: { color: "#f0f0f0" } },
    },
    series: MARKS.toReversed().map(({ key, name, color, symbol, size }) => ({
      type: "scatter",
      name,
      symbol,
      symbolSize: size,
      itemStyle: { color, opacity: 1 },
      data: rows.flatMap((row, i) => {
        const x = value(row, key);
        return x === undefined ? [] : [[x, i]];
      }),
      label: key === "ours"
        ? {
          show: true,
          position: "top",
          distance: 1,
          fontSize: 10,
          color,
          formatter: ({ data: [x, i] }: { data: [number, number] }) => marked(duration(x), rows[i]),
        }
        : undefined,
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return wrapped(renumbered(svg));
}

/** ECharts counts its charts and classes through the whole run: here they count from 0, so that diffs stay small. */
function renumbered(svg: string): string {
  const names = new Map<string, string>();
  return svg.replaceAll(/zr\d+-cls-\d+/g, (name) => {
    if (!names.has(name)) names.set(name, `cls-${names.size}`);
    return names.get(name)!;
  });
}

const MAX_LENGTH = 120;

/**
 * Breaks long lines where a blank is as good as a line break: within tags. The text behind a tag stays as it is, since
 * blanks are preserved there.
 */
function wrapped(svg: string): string {
  return svg.replaceAll(/(<\w[^<>]*?)(\/?>)([^<\n]*(?:<\/\w+>)?)/g, (_, tag: string, end: string, text: string) => {
    const [first, ...attributes] = tag.split(" ");
    const lines = [first];
    const add = (part: string, blank: string) => {
      const line = lines.at(-1)! + blank + part;
      if (line.length > MAX_LENGTH) lines.push(part);
      else lines[lines.length - 1] = line;
    };
    for (const attribute of attributes) add(attribute, " ");
    add(end + text, "");
    return lines.join("\n");
  });
}
