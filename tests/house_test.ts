/** What holds for all files of the repository, whoever wrote them; the rooms are told in executors/INTERNALS.md. */
import { assert, assertEquals } from "@std/assert";
import { test } from "./_helpers.ts";
import { draw, imports, OUTSIDE as NO_ROOM, PICTURE } from "./rooms.ts";

const ROOT = new URL("../", import.meta.url);

/** What a room may import besides itself, all that this may, and `futures`. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  futures: [],
  _values: [],
  _functions: [],
  _map: [],
  _queue: ["_values", "_functions"],
  _owner: ["_queue", "_map"],
  _runner: ["_queue"],
  sync: ["_queue"],
  threads: ["_owner", "_runner", "sync"],
  processes: ["_owner", "_runner"],
  cluster: ["_owner", "_runner"],
  parallel: ["threads"],
  progress: [],
  [NO_ROOM]: ["threads", "processes"],
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

const MAX_LENGTH = 120;

/** Folders that are no part of the repository: Git's own, and those that it ignores. */
const OUTSIDE = new Set([
  ".git",
  ...Deno.readTextFileSync(new URL(".gitignore", ROOT)).split("\n").flatMap((line) =>
    /^[/]?(.+)[/]$/.exec(line)?.[1] ?? []
  ),
]);

/** Files that a tool writes in its own way: to wrap them would change them back and forth. */
const GENERATED = new Set([
  "deno.lock", // Deno
  "tests/bench/peers/package-lock.json", // npm
]);

/** The paths of all files of the repository that are text: a PNG has no lines. */
function* filesIn(folder = ""): Generator<string> {
  for (const { name, isDirectory, isFile } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isDirectory && !OUTSIDE.has(name)) yield* filesIn(`${folder}${name}/`);
    else if (isFile && !GENERATED.has(folder + name) && !name.endsWith(".png")) yield folder + name;
  }
}

test(`no line of any file has more than ${MAX_LENGTH} characters`, () => {
  const tooLong: string[] = [];
  for (const path of filesIn()) {
    const lines = Deno.readTextFileSync(new URL(path, ROOT)).split(/\r?\n/);
    for (const [i, line] of lines.entries()) {
      // Characters, of which some take two units.
      const length = [...line].length;
      if (length > MAX_LENGTH) tooLong.push(`${path}:${i + 1} has ${length}`);
    }
  }
  assertEquals(tooLong, []);
});

const MAX_LINES = 400;

test("a source file of more than 400 lines says in its first comment why", () => {
  const unexplained: string[] = [];
  for (const path of filesIn()) {
    if (!/\.(ts|mjs|py)$/.test(path)) continue;
    const text = Deno.readTextFileSync(new URL(path, ROOT));
    const lines = text.split("\n").length - 1;
    const comment = /^(\/\*[^]*?\*\/|"""[^]*?""")/.exec(text)?.[0] ?? "";
    if (lines > MAX_LINES && !/over 400 lines/i.test(comment)) unexplained.push(`${path} has ${lines}`);
  }
  assertEquals(unexplained, []);
});

/** What messages must not have; what is computed stands in them as `…`. */
const FAULTS = /\bmend\b|\w+n't\b|\b(it|that|there|let|what|who)'s\b|\w'(re|ve|ll|m|d)\b|[^.]\.$/i;

/** The texts of several words in the code of a file: what people read. Those of several lines are left out. */
function* messagesIn(path: string): Generator<string> {
  for (const line of Deno.readTextFileSync(new URL(path, ROOT)).split(/\r?\n/)) {
    if (/^\s*([/]|[*])/.test(line)) continue;
    const code = line.replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, "…");
    for (const [, , text] of code.matchAll(/(["'`])((?:\\.|(?!\1)[^])*)\1/g)) {
      if (/\S+ \S+ \S+/.test(text)) yield text.replaceAll("\\", "");
    }
  }
}

test("no message has a contraction, a full stop at its end, or a word of the house", () => {
  const faults: string[] = [];
  let count = 0;
  for (const path of filesIn()) {
    if (!/^(futures|executors)[/].*[.]ts$/.test(path)) continue;
    for (const text of messagesIn(path)) {
      count++;
      if (FAULTS.test(text)) faults.push(`${path}: ${text}`);
    }
  }
  assertEquals(faults, []);
  assert(count > 200, `only ${count} texts`);
});
