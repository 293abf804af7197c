/**
 * `examples/real/sandbox.ts` as a user runs it: its own snippets, and others that try to harm it.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMAND } from "../../examples/real/sandbox.ts";
import { test } from "../_helpers.ts";
import { assertAsOnPage, assertCannotUse, linesOf, runExample } from "./_run.ts";

const NAME = "real/sandbox.ts";
const OPTIONS = { bound: 65_000 };

test("sandbox.ts ends four bad snippets, each as it should, and runs the next one", async () => {
  const { code, stdout, stderr } = await runExample(NAME, ["--timeout", "3", "--memory", "32"]);
  assertEquals(
    stdout.replaceAll(/ access to .*/g, " access"),
    `6 * 7
  returned 42
for (;;);
  was stopped: its time is over
const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))
  died: its memory is used up
Deno.readTextFileSync("/etc/passwd")
  was refused: Requires read access
for (;;) new Deno.Command(Deno.execPath()).spawn()
  was refused: Requires run access
[1, 2, 3].map((n) => n ** 2)
  returned [ 1, 4, 9 ]
`,
  );
  assertEquals(code, 0);
  // What V8 wrote, and nothing else.
  assertMatch(stderr, /^\s*<--- Last few GCs --->[^]*Fatal JavaScript out of memory/);
  assertAsOnPage(NAME, stdout);
}, OPTIONS);

/** Snippets, and how each of them ends. */
const SNIPPETS: [code: string, end: string][] = [
  ["delete Array.prototype.map; 1", "returned 1"],
  ["[1, 2].map((n) => -n)", "returned [ -1, -2 ]"],
  ["typeof most + typeof evaluate", 'returned "undefinedundefined"'],
  ["Promise.resolve(new Map([[1, 2]]))", "returned Map(1) { 1 => 2 }"],
  ["'x'.repeat(1e6)", `returned "${"x".repeat(99)}`],
  ["1 +", "threw SyntaxError: Unexpected end of input"],
  ["throw new Error('two\\nlines')", "threw Error: two"],
  ["throw Object.create(null)", "threw [Object: null prototype] {}"],
  ["Deno.exit(3)", "threw TaskExitError: The task called Deno.exit(3), which ended the task and not its worker"],
  ["Deno.inspect = () => ({ slice: () => '\\u001b[2J\\nfake' })", "returned  [2J fake"],
  ["fetch('http://127.0.0.1:9999')", 'was refused: Requires net access to "127.0.0.1:9999"'],
  ['new Deno.Command("true").outputSync().success', 'was refused: Requires run access to "true"'],
  ["Deno.env.get('HOME')", 'was refused: Requires env access to "HOME"'],
  ["new Worker('data:text/javascript,for (;;);', { type: 'module' }); 1", "returned 1"],
  ["new WebAssembly.Memory({ initial: 2_000 }).buffer.byteLength", "died: its memory is used up"],
  ["'last'", 'returned "last"'],
];

/** Every snippet looks whether another one has run in its process. */
const FIRST = 'if (globalThis.mine) throw "another one was here"; globalThis.mine = 1;\n';

test("sandbox.ts runs the snippets of the command line, and none harms the next one", async () => {
  const snippets = SNIPPETS.map(([code]) => FIRST + code);
  const { code, stdout } = await runExample(NAME, ["--timeout", "30", ...snippets]);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.filter((_, i) => i % 2 === 1), SNIPPETS.map(([, end]) => `  ${end}`));
  assertEquals(code, 0);
}, OPTIONS);

test("sandbox.ts --file runs the text of a file within --memory", async () => {
  const args = ["--file", "tests/fixtures/snippet.js", "--memory", "400", "--timeout", "30"];
  const lines = linesOf(await runExample(NAME, args));
  assertStringIncludes(lines[0], "// A snippet of several lines that uses 200 MB. const bytes =");
  assertEquals(lines.slice(1), ["  returned 200000000"]);
}, OPTIONS);

for (
  const [args, ...told] of [
    [["--file", "none.js"], '--file "none.js"', "a file that can be read"],
    [["--timeout", "1s"], '--timeout "1s"', "a number of seconds from 0 to 3600"],
    [["--memory", "8"], '--memory "8"', "a whole number from 32 to 4096"],
  ] as [string[], ...string[]][]
) test(`sandbox.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
