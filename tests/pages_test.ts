/**
 * The examples of the published pages run, and print what they say: a comment behind `console.log(…)` says so. The lane
 * "docs" runs those of doc comments.
 */
import { assertEquals } from "@std/assert";
import { test } from "./_helpers.ts";
import { examplesOf, LINGERING, NO_SANITIZERS, PAGES } from "./_pages.ts";
import { type Outcome, run } from "./_projects.ts";

const ROOT = new URL("../", import.meta.url);

function textOf(page: string): string {
  return Deno.readTextFileSync(new URL(page, ROOT)).replaceAll("\r\n", "\n");
}

interface Example {
  readonly page: string;
  /** Its lines in the page: `12-20`. */
  readonly place: string;
  readonly printed: readonly string[];
}

/** What each example printed, by the output of `deno test --doc`. */
function examplesIn(output: string): Example[] {
  return output.split(/^running \d+ tests? from /m).slice(1).map((text) => ({
    page: /^(?:\.\/)?(\S+)#\d+-\d+\.ts$/m.exec(text)?.[1] ?? "",
    place: /#(\d+-\d+)\.ts$/m.exec(text)?.[1] ?? "",
    printed: [...text.matchAll(/^-+ (?:post-test )?output -+\n([^]*?)^-+ (?:post-test )?output end -+$/gm)]
      .flatMap(([, lines]) => lines.split("\n")).filter((line) => line !== ""),
  }));
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
  return run(Deno.execPath(), ["test", "--doc", "--no-check", "-P", ...pages], { cwd: ROOT, env }, BOUND);
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
    const lines = textOf(page).split("\n");
    const examples = outcomes.flatMap(({ stdout }) => examplesIn(stdout)).filter((example) => example.page === page);
    const wrong = examples.flatMap(({ place, printed }) => {
      const [first, last] = place.split("-").map(Number);
      return differences(lines.slice(first - 1, last).join("\n"), printed).map((text) => `${page}:${first}: ${text}`);
    });
    assertEquals(wrong, []);
    assertEquals(examples.length, examplesOf(textOf(page)));
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
