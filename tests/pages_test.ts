/**
 * The examples of the published pages run, and print what they say: a comment behind `console.log(…)` says so. The lane
 * "docs" runs those of doc comments.
 */
import { assertEquals } from "@std/assert";
import { examplesIn, moduleOf, nameOf, writeExamples } from "./_examples.ts";
import { temporaryPath, test } from "./_helpers.ts";
import { LINGERING, NO_SANITIZERS, PAGES } from "./_pages.ts";
import { type Outcome, run } from "./_projects.ts";

const ROOT = new URL("../", import.meta.url);

function textOf(page: string): string {
  return Deno.readTextFileSync(new URL(page, ROOT));
}

const POOL = /(?<=PoolExecutor-)\d+(?=_\d)/g;

/** What an example would print in a program of its own, where the first pool has the number 0. */
function numberedAnew(lines: readonly string[]): string[] {
  const first = Math.min(...lines.flatMap((line) => (line.match(POOL) ?? []).map(Number)));
  return lines.map((line) => line.replace(POOL, (number) => String(Number(number) - first)));
}

/** What each example printed, by its name, from what `deno test` says. */
function printedIn(output: string): Map<string, string[]> {
  const printed = new Map<string, string[]>();
  // An example is followed by the tests that it has itself.
  for (const text of output.split(/^(?=\S+#\d+-\d+ \.\.\.)/m).slice(1)) {
    const [name] = text.split(" ", 1);
    const lines = [...text.matchAll(/^-+ (?:post-test )?output -+\n([^]*?)^-+ (?:post-test )?output end -+$/gm)]
      .flatMap(([, lines]) => lines.split("\n")).filter((line) => line !== "");
    printed.set(name, [...printed.get(name) ?? [], ...lines]);
  }
  return printed;
}

/** Whether a comment says a line: alone or among other words, or its beginning where the comment ends in `…`. */
function says(comment: string, line: string): boolean {
  if (comment.endsWith("…")) return line.startsWith(comment.slice(0, -1).trimEnd());
  const at = ` ${comment} `.split(line);
  return at.length > 1 && /[^\p{L}\p{N}]$/u.test(at[0]) && /^[^\p{L}\p{N}]/u.test(at[1]);
}

/** What an example says and does not print, or prints and does not say. */
function differences(code: string, printed: readonly string[]): string[] {
  const calls = code.split("\n").filter((line) => /\bconsole\.log\(/.test(line));
  const comments = calls.flatMap((line) => /\bconsole\.log\(.*\/\/ (.+)$/.exec(line)?.[1].trim() ?? []);
  const missing = comments.filter((comment) => !printed.some((line) => says(comment, line)));
  // A call without a comment may print whatever it likes.
  const surplus = comments.length < calls.length
    ? []
    : printed.filter((line) => !comments.some((comment) => says(comment, line)));
  return [...missing.map((comment) => `not printed: ${comment}`), ...surplus.map((line) => `not said: ${line}`)];
}

/** How long the examples of all pages may take, in milliseconds. */
const BOUND = 240_000;

/** Runs the examples of some pages. */
function runPages(pages: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const folder = temporaryPath("examples");
  Deno.mkdirSync(folder);
  return run(Deno.execPath(), ["test", "--no-check", "-P", writeExamples(pages, folder)], { cwd: ROOT, env }, BOUND);
}

/** The examples of all pages, which run once. */
let running: Promise<Outcome[]> | undefined;

async function runAll(): Promise<Outcome[]> {
  const lingering = (page: string) => page.startsWith(`${LINGERING}/`);
  return [
    await runPages(PAGES.filter((page) => !lingering(page))),
    await runPages(PAGES.filter(lingering), NO_SANITIZERS),
  ];
}

for (const page of PAGES) {
  test(`${page}: each example prints what it says`, async () => {
    running ??= runAll();
    const outcomes = await running;
    for (const { code, stdout, stderr } of outcomes) assertEquals(code, 0, `${stdout}\n${stderr}`);
    const printed = new Map(outcomes.flatMap(({ stdout }) => [...printedIn(stdout)]));
    const wrong = examplesIn(page, textOf(page)).flatMap((example) => {
      const lines = printed.get(nameOf(example));
      if (lines === undefined) return [`${nameOf(example)}: it did not run`];
      return differences(example.lines.join("\n"), numberedAnew(lines)).map((text) => `${nameOf(example)}: ${text}`);
    });
    assertEquals(wrong, []);
  }, { bound: BOUND });
}

test("examples: what they say and do not print is found, and what they print and do not say", () => {
  const code = "console.log(a); // 16, 25\nconsole.log(b); // blocks: 49\nconsole.log(c); // Error: no …";
  assertEquals(differences(code, ["16", "25", "49", "Error: no such file"]), []);
  assertEquals(differences(code, ["16", "2", "49", "Error: yes"]), [
    "not printed: Error: no …",
    "not said: 2",
    "not said: Error: yes",
  ]);
  assertEquals(differences("console.log(a);\nconsole.log(b); // 4", ["3", "5"]), ["not printed: 4"]);
});

test("examples: pools have the numbers that they would have in a program of their own", () => {
  const lines = ["ThreadPoolExecutor-27_0 was given up", "ProcessPoolExecutor-28_1 and ThreadPoolExecutor-27_2", "7_1"];
  assertEquals(numberedAnew(lines), [
    "ThreadPoolExecutor-0_0 was given up",
    "ProcessPoolExecutor-1_1 and ThreadPoolExecutor-0_2",
    "7_1",
  ]);
});

test("examples: each is found, with its lines, in pages and in doc comments", () => {
  const block = '```ts\nimport {\n  a,\n} from "b";\n\nexport const c = a; // d\n```';
  const ignored = "```ts ignore\nno\n```\n```json\n{}\n```";
  const lines = block.split("\n").slice(1, -1);
  assertEquals(examplesIn("a.md", `${ignored}\ntext\n${block}\n`), [{ path: "a.md", first: 9, last: 13, lines }]);
  const comment = `/**\n * Text\n *\n${`${block}\n${ignored}`.replace(/^/gm, " * ").replaceAll(/ $/gm, "")}\n */\n`;
  const [found, ...more] = examplesIn("a.ts", comment);
  assertEquals([found, more], [{ path: "a.ts", first: 5, last: 9, lines }, []]);
  assertEquals(
    moduleOf(found),
    'import { a, } from "b"; Deno.test("a.ts#5-9", async () => {\n\n\n\n\n\n\n\nconst c = a; // d\n});\n',
  );
});
