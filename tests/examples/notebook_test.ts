/** `examples/real/notebook.ipynb` in Deno's kernel for Jupyter, and its lines in the REPL. */

import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "@std/path";
import { test } from "../_helpers.ts";
import { repl } from "../_repl.ts";
import { type Cell, Kernel } from "./_kernel.ts";
import { ROOT } from "./_run.ts";

const NOTEBOOK = join(ROOT, "examples", "real", "notebook.ipynb");

function textOf(path: string): string {
  return Deno.readTextFileSync(join(ROOT, path)).replaceAll("\r\n", "\n");
}

/** The texts of the cells with code. */
const CELLS: string[] = JSON.parse(Deno.readTextFileSync(NOTEBOOK)).cells
  .filter((cell: { cell_type: string }) => cell.cell_type === "code")
  .map((cell: { source: string[] }) => cell.source.join(""));

/** What a cell says that it shows, in a comment behind its last value; `undefined` where it shows nothing. */
function commentOf(cell: string): string | undefined {
  return /(?:^await future|^\[|^pool\.|console\.log).*; \/\/ (.+)$/m.exec(cell)?.[1];
}

const SHOWN = CELLS.map(commentOf);

function assertSays(actual: string, comment: string | undefined) {
  if (comment?.endsWith("…")) assert(actual.startsWith(comment.slice(0, -1)), actual);
  else assertEquals(actual, comment ?? "");
}

test("notebook.ipynb has ten cells, and its lines are those of notebook.txt and of the guide", () => {
  assertEquals(CELLS.length, 10);
  assertEquals(SHOWN.filter((comment) => comment !== undefined).length, 5);
  const lines = CELLS.join("\n") + "\n";
  assertEquals(textOf("examples/real/notebook.txt"), lines);
  assert(textOf("executors/README.md").includes("```ts ignore\n" + lines + "```"));
  for (const cell of JSON.parse(textOf("examples/real/notebook.ipynb")).cells) assertEquals(cell.outputs ?? [], []);
});

test("notebook.txt prints in the REPL what its comments say, with the permissions in its command", async () => {
  const [, flags, output] = /^deno repl (.*) < examples\/real\/notebook\.txt\n```\n\n```\n([^]*?)\n```$/m.exec(
    textOf("examples/real/README.md"),
  )!;
  const { stdout } = await repl(textOf("examples/real/notebook.txt").trimEnd().split("\n"), {
    cwd: ROOT,
    flags: flags.split(" "),
  });
  const lines = stdout.split("\n").filter((line) => !/^(undefined| +at .*|)$/.test(line));
  const comments = SHOWN.filter((comment) => comment !== undefined);
  assertEquals(lines.length, comments.length, stdout);
  const onPage = output.split("\n");
  for (const [i, line] of lines.entries()) {
    assertSays(line, comments[i]);
    assertSays(line, onPage[i]);
  }
});

test("notebook.ipynb shows in Deno's kernel for Jupyter what its comments say", async () => {
  await using kernel = await Kernel.start(dirname(NOTEBOOK));
  const shown: Cell[] = [];
  for (const [i, cell] of CELLS.entries()) shown.push(await kernel.run(cell, SHOWN[i] !== undefined));
  // What the guide says about errors, about what workers print, and about `using` outside of a block.
  const thrown = await kernel.run('pool.submit(() => { throw new RangeError("no"); }).result()', true);
  assertEquals(thrown.result, "RangeError: no");
  const printed = await kernel.run('pool.submit(() => console.log("in a thread")).result();', false);
  await kernel.run("using other = new ThreadPoolExecutor(1);", false);
  assertEquals((await kernel.run("other.submit(() => 7).result()", true)).result, "7");
  for (const [i, { result, printed }] of shown.entries()) assertSays(result + printed.trimEnd(), SHOWN[i]);
  assertEquals(printed, { result: "", printed: "" });
});
