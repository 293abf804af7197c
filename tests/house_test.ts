/** The rooms of the library: who may import whom is told in executors/INTERNALS.md. */
import { assertEquals } from "@std/assert";
import { test } from "./_helpers.ts";
import { draw, imports, PICTURE } from "./rooms.ts";

/** What a room may import besides itself, all that this may, and `futures`. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  futures: [],
  _values: [],
  _functions: [],
  _map: [],
  _queue: ["_values", "_functions"],
  _owner: ["_queue", "_map"],
  _runner: ["_queue"],
  threads: ["_owner", "_runner", "_map"],
  processes: ["_owner", "_runner", "_map"],
  cluster: ["_owner", "_runner", "_map"],
};

/** Nodes of a cluster run their tasks in the processes of a pool. */
const EXCEPTIONS = ["cluster/_node_pool.ts → processes/process_pool_executor.ts"];

function allowed(room: string): Set<string> {
  const rooms = new Set([room, "futures"]);
  for (const other of MAY_IMPORT[room]) for (const each of allowed(other)) rooms.add(each);
  return rooms;
}

test("rooms import only what the rule lets them, and private files only their folder", async () => {
  const offences = new Set<string>();
  for (const [from, to] of await imports()) {
    const line = `${from.path} → ${to.path}`;
    const isPrivate = /(^|\/)_[^/]+$/.test(to.path) && !`${from.folder}/`.startsWith(`${to.folder}/`);
    const isDoor = to.room === from.room && from.folder === "";
    if ((isPrivate && !isDoor) || (!allowed(from.room).has(to.room) && !EXCEPTIONS.includes(line))) offences.add(line);
  }
  assertEquals([...offences], []);
});

test("executors/rooms.svg shows who imports whom: draw it anew by `deno task rooms`", async () => {
  assertEquals((await Deno.readTextFile(PICTURE)).replaceAll("\r\n", "\n"), await draw(await imports()));
});
