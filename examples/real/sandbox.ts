/**
 * Runs JavaScript that nobody trusts, each piece of it in a process of its own, which may use nothing but some memory
 * and some time.
 *
 * ```sh
 * deno run --allow-read --allow-run examples/real/sandbox.ts              # two good snippets, and four bad ones
 * deno run --allow-read --allow-run examples/real/sandbox.ts "6 * 7"      # your own
 * deno run --allow-read --allow-run examples/real/sandbox.ts --file a.js  # the text of a file
 * ```
 *
 * When a snippet uses up its memory, V8 ends the process, and writes to stderr why: `2>/dev/null` hides that.
 *
 * @module
 */

import { BrokenProcessPool, type Future, ProcessPoolExecutor, TimeoutError } from "@concurrent/futures";
import { commandLine, numberFrom, readOptions, wholeNumber } from "../_options.ts";

const EXAMPLES = [
  "6 * 7",
  "for (;;);",
  "const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))",
  'Deno.readTextFileSync("/etc/passwd")',
  "for (;;) new Deno.Command(Deno.execPath()).spawn()",
  "[1, 2, 3].map((n) => n ** 2)",
];

/** How many characters of a result are shown. */
const MOST = 100;

/**
 * Runs a snippet, and returns the value of its last expression as text. It is not exported, so the processes get its
 * text: they import no module that a snippet could import as well.
 */
async function evaluate(code: string, most: number): Promise<string> {
  const value = await (0, eval)(code); // not in the scope of this function
  return Deno.inspect(value, { breakLength: Infinity }).slice(0, most);
}

function makePool(mebibytes: number) {
  const flags = [
    `--max-old-space-size=${mebibytes}`, // for objects; without the next two flags, buffers do not count
    "--enforce-global-heap-limit",
    "--maximum-global-heap-limit-factor=1",
  ];
  return new ProcessPoolExecutor({
    permissions: "none",
    maxTasksPerChild: 1, // a snippet finds nothing that another one has left behind
    onWorkerCrash: "replace", // a process that runs out of memory fails its own snippet only
    env: { DENO_V8_FLAGS: flags.join() },
  });
}

/** How a snippet has ended, in a line. What comes from it may be anything. */
async function endOf(snippet: Future<string>): Promise<string> {
  try {
    return `returned ${oneLine(await snippet)}`;
  } catch (error) {
    if (error instanceof TimeoutError) return "was stopped: its time is over";
    if (error instanceof BrokenProcessPool) {
      const isFull = error.message.includes("out of memory");
      return isFull ? "died: its memory is used up" : `died: ${oneLine(error.message)}`;
    }
    if (error instanceof Deno.errors.NotCapable) return `was refused: ${oneLine(error.message.split(",")[0])}`;
    return `threw ${oneLine(error)}`;
  }
}

/** A text without the characters that move the cursor, or the first words of another value. */
function oneLine(value: unknown): string {
  const text = typeof value === "string" ? value : Deno.inspect(value).split("\n", 1)[0];
  return text.slice(0, MOST).replaceAll(/\p{C}|\s+/gu, " ");
}

async function main() {
  const { operands, file, timeout, memory } = readOptions(COMMAND);
  const given = file === undefined ? operands : [...operands, file];
  const snippets = given.length > 0 ? given : EXAMPLES;
  await using pool = makePool(memory);
  // After its time, a snippet gets no grace: its process is killed at once.
  const limited = pool.with({ timeout: timeout * 1_000, grace: 0 });
  const futures = snippets.map((code) => limited.submit(evaluate, code, MOST));
  for (const [i, future] of futures.entries()) console.log(`${oneLine(snippets[i])}\n  ${await endOf(future)}`);
}

export const COMMAND = commandLine({
  about:
    "Run pieces of JavaScript that nobody trusts. Without CODE or a file, it runs six examples, of which two are good.",
  command: "deno run --allow-read --allow-run examples/real/sandbox.ts",
  example: '"6 * 7"',
  operands: {
    value: "CODE",
    text: "JavaScript; the value of its last expression is printed",
    reads: { wanted: "code", read: (text: string) => text },
  },
  options: {
    file: {
      value: "PATH",
      text: "a file with JavaScript",
      reads: {
        wanted: "the path of a file that can be read",
        read(path: string) {
          try {
            return Deno.readTextFileSync(path);
          } catch {
            return undefined;
          }
        },
      },
    },
    timeout: { value: "SECONDS", text: "how long each may run", reads: numberFrom(0, 3_600, "seconds"), default: "2" },
    memory: { value: "MIB", text: "how much memory each may use", reads: wholeNumber(32, 4_096), default: "64" },
  },
});

if (import.meta.main) await main();
