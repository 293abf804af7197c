/** `progress` in a terminal: what it shows, and what it leaves behind. Only Linux has the command `script` as here. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { columns } from "../../executors/progress/_line.ts";
import { runProgram, test, until } from "../_helpers.ts";
import { frames, inTerminal, Screen } from "./_terminal.ts";

/** Programs in terminals exist only there. */
const OPTIONS = { linuxOnly: true };

/** What is on the screen when a program has ended; no line was too long, and nothing of the terminal was changed. */
async function screenOf(way: string, columns: number, code = 0): Promise<string[]> {
  const ended = await inTerminal(way, columns);
  const { rows, wraps, modes } = new Screen(ended.text, columns);
  assertEquals([ended.code, wraps, modes], [code, 0, []], ended.text);
  return rows;
}

for (const columns of [100, 60, 42, 20, 10, 5]) {
  test(`progress() draws one line in a terminal of ${columns} columns, which stays`, async () => {
    const [bar, ...below] = await screenOf("end", columns);
    assertEquals(below, ["after", ""]);
    // Behind it is room for the ^C that a terminal writes.
    assertEquals(bar.length, columns - 3);
    assert("load 100% |".startsWith(bar.slice(0, 11)), bar);
    if (columns >= 42) assertMatch(bar, /^load 100% \|█*\| 4\/4 files, [\d.]+\/s, \d s$/);
  }, OPTIONS);
}

test("progress() draws while a plain loop blocks the thread", async () => {
  const { text, code } = await inTerminal("blocked", 60);
  assertEquals(code, 0);
  const values = frames(text).map((frame) => Number(/ (\d)\/4 files/.exec(frame)?.[1]));
  assertEquals([...new Set(values)], [0, 1, 2, 3, 4]);
  assertEquals(new Screen(text, 60).rows.slice(1), ["after", ""]);
}, OPTIONS);

test(
  "progress() leaves its line at break and at an error of the loop or the items, and what comes next stands below",
  async () => {
    for (
      const [way, done, ...below] of [["break", 2, "after"], ["throw", 1, "no b", "after"], [
        "reject",
        1,
        "no b",
        "after",
      ]] as const
    ) {
      const [bar, ...others] = await screenOf(way, 60);
      assertMatch(bar, new RegExp(`^load +\\d+% \\|█+░+\\| ${done}/4 files`));
      assertEquals(others, [...below, ""]);
    }
    const [bar, error] = await screenOf("fail", 200, 1);
    assertMatch(bar, /^load +25% \|█+░+\| 1\/4 files/);
    assertMatch(error, /^error: .*no b$/);
  },
  OPTIONS,
);

test("progress() ends its line at Deno.exit(), and when the program ends in the middle of a loop", async () => {
  const [bar, ...below] = await screenOf("exit", 60, 3);
  assertMatch(bar, /^load +50% \|█+░+\| 2\/4 files/);
  assertEquals(below, [""]);
  const [forgotten, ...others] = await screenOf("forget", 60);
  assertMatch(forgotten, /^load +50% \|█+░+\| 2\/4 files/);
  assertEquals(others, [""]);
}, OPTIONS);

test("progress() leaves nothing to repair when Ctrl-C ends the program", async () => {
  let pressed = false;
  const { code, text } = await inTerminal("endless", 60, (text, terminal) => {
    if (pressed || frames(text).length < 3) return;
    pressed = true;
    terminal.interrupt();
  });
  const { rows, wraps, modes } = new Screen(text, 60);
  assertEquals([code, wraps, modes, rows.length], [130, 0, [], 1], text);
}, OPTIONS);

test("progress() goes on without its bar when the terminal is closed, if SIGHUP does not end the program", async () => {
  const path = Deno.makeTempFileSync();
  try {
    let isClosed = false;
    await inTerminal(`closed ${path}`, 60, (text, terminal) => {
      if (isClosed || frames(text).length === 0) return;
      isClosed = true;
      terminal.close();
    });
    await until(() => Deno.readTextFileSync(path) === "done", "the end of the loop");
  } finally {
    Deno.removeSync(path);
  }
}, OPTIONS);

test("progress() follows the width of the terminal", async () => {
  const widths = [60, 30, 90];
  const at = (text: string, columns: number) => frames(text).findIndex((frame) => frame.length === columns - 3);
  let seen = 0;
  const { text } = await inTerminal("endless", widths[0], (text, terminal) => {
    if (seen === widths.length || at(text, widths[seen]) === -1) return;
    if (++seen === widths.length) terminal.interrupt();
    else terminal.resize(widths[seen]);
  });
  assertEquals(seen, widths.length, text);
  const all = frames(text);
  const [, narrow, wide] = widths.map((columns) => at(text, columns));
  for (const [i, { length }] of all.entries()) assertEquals(length, i < narrow ? 57 : i < wide ? 27 : 87);
}, OPTIONS);

test("progress() in a loop inside another one with a bar shows nothing, and a later one is shown", async () => {
  const [bar, later, ...below] = await screenOf("nested", 60);
  assertMatch(bar, /^load 100% .* 4\/4 files/);
  assertMatch(later, /^later 100% .* 2\/2/);
  assertEquals(below, ["after", ""]);
}, OPTIONS);

test("progress() in a task of a thread shows nothing, as threads would overwrite each other's bars", async () => {
  assertEquals(await screenOf("thread", 60), ["4", "after", ""]);
}, OPTIONS);

test("progress() without a total counts", async () => {
  const [line, ...below] = await screenOf("count", 60);
  assertMatch(line, /^4 files(, [\d.]+\/s)?, 0 s$/);
  assertEquals(below, ["after", ""]);
}, OPTIONS);

test("progress() shows the end of the line behind a label of characters with several parts", async () => {
  const { text, code } = await inTerminal("parts", 60);
  const last = frames(text).at(-1)!;
  assertEquals([code, columns(last)], [0, 57], text);
  // Each accent is a character of its own.
  assert(last.startsWith(`${"tải tiếng Việt".normalize("NFD")} 100% |`), last);
  assertMatch(last, /█\| 2\/2, [\d.]+\/s, \d s$/);
}, OPTIONS);

test("progress() goes on in the line below what the loop prints", async () => {
  const [first, second, bar, ...below] = await screenOf("printing", 60);
  assertMatch(first, /^load +0% .* 0\/2 files.*c$/);
  assertMatch(second, /d$/);
  assertMatch(bar, /^load 100% .* 2\/2 files/);
  assertEquals(below, ["after", ""]);
}, OPTIONS);

test("progress() writes nothing where stderr is no terminal", async () => {
  for (const way of ["end", "blocked", "break", "nested"]) {
    const { code, stdout, stderr } = await runProgram("progress.ts", [way], { isLocked: true });
    assertEquals([code, stdout, stderr], [0, "after\n", ""]);
  }
});
