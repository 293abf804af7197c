/** `examples/real/wordcount.ts` as a user runs it, and its pieces. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { temporaryPath, test } from "../_helpers.ts";
import { ignoreWithoutServer, Node } from "../cluster/_kit.ts";
import { hasServer, RedisServer } from "../cluster/_redis.ts";
import { assertAsOnPage, assertCannotUse, commandsOf, linesOf, ROOT, runExample } from "./_run.ts";
import { COMMAND, countFile, countPiece, type Counts, makeText } from "../../examples/real/wordcount.ts";

const NAME = "real/wordcount.ts";

/** A folder that the program may write to, gone after the test. */
function dest(): { path: string } & Disposable {
  const path = `downloads/test-${crypto.randomUUID()}`;
  Deno.mkdirSync(`${ROOT}/${path}`, { recursive: true });
  return { path, [Symbol.dispose]: () => Deno.removeSync(`${ROOT}/${path}`, { recursive: true }) };
}

/** What the words of a text are, by counting them in one go. */
function countText(text: string): Counts {
  const counts: Counts = new Map();
  for (const [word] of text.toLowerCase().matchAll(/\p{L}+/gu)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

const sum = (counts: Counts) => counts.values().reduce((sum, count) => sum + count, 0);

/** Checks the table and the counts of a text that the program has made. */
function assertCounts(lines: string[], executor: string, labels: string[], text: string) {
  assertEquals(lines.slice(0, 3), [`The words of 0.2 MiB, on ${executor}`, "", "workers  seconds  speed-up  MiB/s"]);
  const rows = lines.slice(3, 3 + labels.length).map((line) => line.trim().split(/\s+/));
  assertEquals(rows.map(([label]) => label), labels);
  for (const row of rows) assertMatch(row.slice(1).join(" "), /^\d+\.\d\d \d+\.\d\dx \d+\.\d$/);
  assertEquals(rows[0][2], "1.00x");
  const counts = countText(text);
  const top = [...counts].sort(([a, inA], [b, inB]) => inB - inA || a.localeCompare(b)).slice(0, 10);
  assertEquals(lines.slice(3 + labels.length).map((line) => line.trim()), [
    "",
    "The ten most frequent ones:",
    ...top.map(([word, count]) => `${count} ${word}`),
    `${sum(counts)} words, ${counts.size} different`,
  ]);
}

for (const executor of ["processes", "threads"]) {
  test(`wordcount.ts --executor ${executor} makes a text once, and counts what is in it`, async () => {
    using folder = dest();
    const args = ["--size", "0.2", "--dest", folder.path, "--executor", executor, "--workers", "1,2", "--sequential"];
    const path = `${folder.path}/words-0.2.txt`;
    const run = await runExample(NAME, args);
    const [making, ...lines] = linesOf(run);
    assertEquals(making, `Making ${path}`);
    const text = Deno.readTextFileSync(`${ROOT}/${path}`);
    assertCounts(lines, executor, ["none", "1", "2"], text);
    if (executor === "processes") assertAsOnPage(NAME, run.stdout);
  });
}

test("wordcount.ts takes a text that is there", async () => {
  using folder = dest();
  const text = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich\n".repeat(500) + "über und über über";
  Deno.writeTextFileSync(`${ROOT}/${folder.path}/words-0.2.txt`, text);
  const args = ["--size", "0.2", "--dest", folder.path, "--executor", "threads", "--workers", "2"];
  assertCounts(linesOf(await runExample(NAME, args)), "threads", ["2"], text);
});

const ON_CLUSTER = "wordcount.ts --executor cluster counts on a node that offers its module";

if (!hasServer) ignoreWithoutServer(ON_CLUSTER);
else {
  test(ON_CLUSTER, async () => {
    using folder = dest();
    await using server = await RedisServer.start();
    const module = `${ROOT}/examples/${NAME}`;
    await using _node = await Node.launch(server, "futures", ["--workers", "2", "--module", module]);
    const nth = commandsOf(NAME).findIndex((command) => command.includes("-x cluster"));
    const args = ["--size", "0.2", "--dest", folder.path, "--redis", server.url];
    const [, ...lines] = linesOf(await runExample(NAME, args, 30_000, undefined, nth));
    assertCounts(lines, "cluster", ["none", "nodes"], Deno.readTextFileSync(`${ROOT}/${folder.path}/words-0.2.txt`));
  }, { bound: 60_000 });
}

test("countPiece() loses no word and counts none twice, wherever a text is cut", () => {
  const path = temporaryPath("words");
  const text = "né 日本語 né\n\n𝔴ord  a\nété";
  Deno.writeTextFileSync(path, text);
  const { size } = Deno.statSync(path);
  const whole = [...countText(text)].sort();
  assertEquals(whole, [["a", 1], ["né", 2], ["été", 1], ["日本語", 1], ["𝔴ord", 1]].sort());
  for (let first = 0; first <= size; first++) {
    for (let second = first; second <= size; second++) {
      const found: Counts = new Map();
      for (const [start, end] of [[0, first], [first, second], [second, size]]) {
        for (const [word, count] of countPiece(path, start, end)) found.set(word, (found.get(word) ?? 0) + count);
      }
      assertEquals([...found].sort(), whole, `cut at ${first} and ${second}`);
    }
  }
});

test("countPiece() finds the end of a word that is longer than what it reads at a time", () => {
  const path = temporaryPath("words");
  Deno.writeTextFileSync(path, `a ${"ü".repeat(3000)} b`);
  assertEquals([...countPiece(path, 0, 3)], [["a", 1], ["ü".repeat(3000), 1]]);
  assertEquals([...countPiece(path, 3, 6004)], [["b", 1]]);
});

test("countFile() counts what makeText() has written, the same each time, and the n-th word n times rarer", () => {
  const path = temporaryPath("words");
  makeText(path, 300_000);
  const text = Deno.readTextFileSync(path);
  makeText(path, 300_000);
  assert(text === Deno.readTextFileSync(path));
  const size = new TextEncoder().encode(text).length;
  assert(size >= 300_000 && size < 310_000, `${size}`);
  const counts = countFile(path);
  assertEquals(counts, countText(text));
  assert(counts.size > 5_000, `${counts.size}`);
  const [the, of, and, to] = ["the", "of", "and", "to"].map((word) => counts.get(word)!);
  assert(the > of && of > and && and > to && the > 2 * to, `${[the, of, and, to]}`);
});

for (
  const [args, ...told] of [
    [["--executor", "nodes"], '--executor "nodes"', "one of processes, threads, cluster"],
    [["--workers", "0"], '--workers "0"', "1 to 32"],
    [["--size", "none"], '--size "none"', "a number of MiB"],
    [["--size", "0"], '--size "0"', "from 0.01"],
    [["--redis", "localhost"], '--redis "localhost"', "redis:// or rediss://"],
  ] as [string[], ...string[]][]
) {
  test(`wordcount.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
}
