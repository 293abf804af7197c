/**
 * The rooms of the library, as `deno info` finds them, and the picture of them: `deno task rooms` draws
 * `executors/rooms.svg`. `house_test.ts` holds that nobody imports what the rule forbids, and that the picture is up to
 * date.
 *
 * @module
 */

import { instance } from "@viz-js/viz";
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);

/** Where the picture lies. */
export const PICTURE: URL = new URL("executors/rooms.svg", ROOT);

/** What each room is for; in layers, those above all others first. */
const LAYERS: readonly Record<string, string>[] = [
  { parallel: "calls without a pool", progress: "a bar around a loop" },
  { sync: "locks and queues in shared memory" },
  { threads: "workers are threads", processes: "workers are processes", cluster: "workers are on many machines" },
  { _owner: "the half that submits", _runner: "how a worker runs a task", sync: "locks and queues" },
  { _queue: "what lies between the two" },
  { _values: "what crosses", _functions: "which function it is", _map: "the results of a map" },
  { futures: "futures, waiting, errors" },
];

/** The names of all rooms. */
const ROOMS = LAYERS.flatMap((layer) => Object.keys(layer));

/** A file beside the rooms is in the one that it is the door of. */
const DOORS: Record<string, string> = {
  "repeat.ts": "_map",
  "transfer.ts": "_values",
  "register_error.ts": "_values",
  "task_ref.ts": "_functions",
  "map.ts": "_map",
  "task_options.ts": "_map",
  "current_task.ts": "_runner",
  "executor.ts": "_map",
  "pool_stats.ts": "_owner",
  "pool_trace.ts": "_owner",
};

/** A module of the library. */
export interface Place {
  room: string;
  folder: string;
  /** From `executors/` on, or from `futures/`. */
  path: string;
}

/** The room of the modules that only programs import, such as `mod.ts`. */
export const OUTSIDE = "outside";

/** Where a module belongs; `undefined` where it is not of this repository. */
function place(specifier = ""): Place | undefined {
  if (!specifier.startsWith(ROOT.href)) return undefined;
  const whole = specifier.slice(ROOT.href.length);
  const [top, ...parts] = whole.split("/");
  if (top !== "futures" && top !== "executors") return { room: OUTSIDE, folder: OUTSIDE, path: whole };
  const path = parts.join("/");
  if (top === "futures") return { room: top, folder: top, path: `futures/${path}` };
  const room = parts.length === 1 ? DOORS[path] : parts[0];
  if (!ROOMS.includes(room)) throw new Error(`No room has this file: ${path}`);
  return { room, folder: parts.slice(0, -1).join("/"), path };
}

interface Graph {
  modules: { specifier: string; dependencies?: { code?: { specifier: string }; type?: { specifier: string } }[] }[];
}

async function graphOf(entry: string): Promise<Graph> {
  const args = ["info", "--json", "--no-lock", entry];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, env: { NO_COLOR: "1" } }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Who imports whom in the library, as pairs. */
export async function imports(): Promise<[from: Place, to: Place][]> {
  const pairs = new Map<string, [Place, Place]>();
  for (const entry of Object.values(config.exports)) {
    for (const { specifier, dependencies = [] } of (await graphOf(new URL(entry, ROOT).href)).modules) {
      const from = place(specifier);
      for (const { code, type } of dependencies) {
        const to = place((code ?? type)?.specifier);
        if (from !== undefined && to !== undefined) pairs.set(`${from.path} → ${to.path}`, [from, to]);
      }
    }
  }
  return [...pairs.values()];
}

type Arrow = readonly [from: string, to: string];

/** Without the arrows that others make up for: where a leads to b and b to c, the one from a to c is left out. */
function reduced(arrows: readonly Arrow[]): Arrow[] {
  const leads = (from: string, to: string): boolean =>
    arrows.some(([a, b]) => a === from && (b === to || leads(b, to)));
  return arrows.filter(([from, to]) => !arrows.some(([a, b]) => a === from && b !== to && leads(b, to)));
}

/** The picture as SVG: readable on light and on dark pages, as boxes have a colour of their own. */
export async function draw(pairs: readonly (readonly [Place, Place])[]): Promise<string> {
  const all = [...new Set(pairs.map(([from, to]) => `${from.room} ${to.room}`))].sort()
    .map((arrow) => arrow.split(" ") as [string, string]).filter(([from, to]) => from !== to && from !== OUTSIDE);
  const isLevel = ([from, to]: Arrow) => LAYERS.some((layer) => from in layer && to in layer);
  const arrows = [...reduced(all.filter((arrow) => !isLevel(arrow))), ...all.filter(isLevel)];
  const viz = await instance();
  const svg = viz.renderString({
    graphAttributes: { bgcolor: "transparent", ranksep: 0.45, nodesep: 0.35, pad: 0.1 },
    nodeAttributes: {
      shape: "box",
      style: "filled,rounded",
      color: "#3a6ea5",
      fillcolor: "#e3edf7",
      margin: "0.35,0.08",
      fontname: "Helvetica,Arial,sans-serif",
      fontsize: 12,
    },
    edgeAttributes: { color: "#848d97", arrowsize: 0.8 },
    subgraphs: LAYERS.map((layer) => ({
      graphAttributes: { rank: "same" },
      nodes: Object.entries(layer).map(([name, what]) => ({
        name,
        attributes: { label: `${name}\n${what}` },
      })),
    })),
    edges: arrows.map((arrow) => ({
      tail: arrow[0],
      head: arrow[1],
      attributes: { style: isLevel(arrow) ? "dashed" : "solid", constraint: !isLevel(arrow) },
    })),
  }, { format: "svg" });
  // Its comments tell the version of Graphviz; and paths are long lines.
  return svg.replace(/^[^]*?(?=<svg)/, "").replaceAll(/<!--[^]*?-->\n/g, "").replaceAll(/.{101,}/g, wrapped);
}

/** Breaks a line at spaces that do not belong to a text. */
function wrapped(line: string): string {
  return line.replaceAll(/(.{1,100})( (?=[^<>]*\/?>)|$)/g, "$1\n").trimEnd();
}

if (import.meta.main) {
  await Deno.writeTextFile(PICTURE, await draw(await imports()));
  console.log(`Drawn: ${PICTURE.pathname}`);
}
