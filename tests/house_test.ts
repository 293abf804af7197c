/** The rooms of the library: who may import whom is told in executors/INTERNALS.md. */
import { assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { ENTRY } from "./_projects.ts";
import { test } from "./_helpers.ts";

/** What a room may import besides itself, all that this may, and `futures`. A file beside the rooms is in the one that it is the door of. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  futures: [],
  _values: [],
  _functions: [],
  _map: [],
  _queue: ["_values", "_functions"],
  _owner: ["_queue"],
  _runner: ["_queue"],
  threads: ["_owner", "_runner", "_map"],
  processes: ["_owner", "_runner", "_map"],
  cluster: ["_owner", "_runner", "_map"],
};

const DOORS: Record<string, string> = {
  "transfer.ts": "_values",
  "register_error.ts": "_values",
  "task_ref.ts": "_functions",
  "map.ts": "_map",
  "executor.ts": "_map",
};

/** Nodes of a cluster run their tasks in the processes of a pool. */
const EXCEPTIONS = ["cluster/_node_pool.ts → processes/process_pool_executor.ts"];

interface Graph {
  modules: { specifier: string; dependencies?: { code?: { specifier: string }; type?: { specifier: string } }[] }[];
}

function allowed(room: string): Set<string> {
  const rooms = new Set([room, "futures"]);
  for (const other of MAY_IMPORT[room]) for (const each of allowed(other)) rooms.add(each);
  return rooms;
}

const ROOT = new URL(".", ENTRY).href;

/** A module's room, folder and path from `executors/` on; `undefined` where it is not of the library. */
function place(specifier = ""): { room: string; folder: string; path: string } | undefined {
  if (!specifier.startsWith(ROOT)) return undefined;
  const [top, ...parts] = specifier.slice(ROOT.length).split("/");
  if (top !== "futures" && top !== "executors") return undefined;
  const path = parts.join("/");
  const room = top === "futures" ? top : parts.length === 1 ? DOORS[path] : parts[0];
  if (MAY_IMPORT[room] === undefined) throw new Error(`No room has this file: ${path}`);
  if (top === "futures") return { room, folder: top, path: `futures/${path}` };
  return { room, folder: parts.slice(0, -1).join("/"), path };
}

async function graphOf(entry: string): Promise<Graph> {
  const args = ["info", "--json", "--no-lock", entry];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, env: { NO_COLOR: "1" } }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

test("rooms import only what the rule lets them, and private files only their folder", async () => {
  const offences = new Set<string>();
  for (const entry of Object.values(config.exports)) {
    for (const { specifier, dependencies = [] } of (await graphOf(new URL(entry, ROOT).href)).modules) {
      const from = place(specifier);
      if (from === undefined) continue;
      for (const { code, type } of dependencies) {
        const to = place((code ?? type)?.specifier);
        if (to === undefined) continue;
        const line = `${from.path} → ${to.path}`;
        const isPrivate = /(^|\/)_[^/]+$/.test(to.path) && !`${from.folder}/`.startsWith(`${to.folder}/`);
        const isDoor = to.room === from.room && from.folder === "";
        if ((isPrivate && !isDoor) || (!allowed(from.room).has(to.room) && !EXCEPTIONS.includes(line))) {
          offences.add(line);
        }
      }
    }
  }
  assertEquals([...offences], []);
});
