/**
 * Runs an example as a user does: by the first command in its header, with the permissions that it names and no more.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows, fail } from "@std/assert";
import { join } from "@std/path";
import { type CommandLine, type Options, parse, UsageError } from "../../examples/_options.ts";

/** The root of the repository, in which the commands are to be run. */
export const ROOT = join(import.meta.dirname!, "..", "..");

/** How a program ended. */
export interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

/** All commands in the header of an example, without their comments. The first one has the permissions. */
export function commandsOf(name: string): string[] {
  const source = Deno.readTextFileSync(join(ROOT, "examples", name)).replaceAll("\r\n", "\n");
  const block = source.match(/^\/\*\*\n[^]*?\* ```sh\n([^]*?) \* ```/)?.[1] ?? fail(`no command in ${name}`);
  return block.trimEnd().split("\n").map((line) => line.replace(/^ \* /, "").replace(/\s+#.*/, ""));
}

/** Is told what a program has printed to stdout so far, and may send signals to it. */
export type Watch = (stdout: string, program: Deno.ChildProcess) => void;

/**
 * Runs an example within a bound, adds `args` to its command, and checks that none of its processes is left.
 *
 * @param nth Which one of the commands in its header.
 */
export async function runExample(
  name: string,
  args: string[] = [],
  bound = 60_000,
  watch?: Watch,
  nth = 0,
): Promise<Run> {
  const [deno, command, ...rest] = commandsOf(name)[nth].split(" ");
  assertEquals([deno, command], ["deno", "run"]);
  const mark = crypto.randomUUID();
  const ended = await run([...rest, ...args], bound, mark, watch);
  assertEquals(await processesWith(mark), [], `processes of ${name} are left`);
  return ended;
}

/** Runs an example without any permission: it cannot start a worker, a process or a server. */
export function runPowerless(name: string, args: string[]): Promise<Run> {
  return run([`examples/${name}`, ...args], 60_000);
}

async function run(args: string[], bound: number, mark = "", watch?: Watch): Promise<Run> {
  const program = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", EXAMPLE_MARK: mark },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(bound),
  }).spawn();
  const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>, watch?: Watch) => {
    let text = "";
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text += part;
      watch?.(text, program);
    }
    return text.replaceAll("\r\n", "\n");
  };
  const [{ code }, stdout, stderr] = await Promise.all([
    program.status,
    read(program.stdout, watch),
    read(program.stderr),
  ]);
  return { code, stdout, stderr };
}

/** Checks that an example refuses arguments by one line, and starts nothing. */
export async function assertRefuses(name: string, args: string[], ...told: string[]) {
  const { code, stdout, stderr } = await runPowerless(name, args);
  for (const part of told) assertStringIncludes(stderr, part);
  assertMatch(stderr, /^Cannot use [^\n]+: expected [^\n]+; see --help\n$/);
  assertEquals([code, stdout], [2, ""]);
}

/** Checks that a command line refuses arguments by one line, as `assertRefuses`, but without a process. */
export function assertCannotUse<O extends Options, T>(command: CommandLine<O, T>, args: string[], ...told: string[]) {
  const { message } = assertThrows(() => parse(command, args), UsageError, undefined, args.join(" "));
  for (const part of told) assertStringIncludes(message, part);
  assertMatch(message, /^Cannot use [^\n]+: expected [^\n]+; see --help$/);
}

/** Checks that an example has ended well, and returns its lines. */
export function linesOf({ code, stdout, stderr }: Run): string[] {
  assertEquals(stderr, "", stdout);
  assertEquals(code, 0, stdout);
  assert(stdout.endsWith("\n"), stdout);
  return stdout.slice(0, -1).split("\n");
}

/**
 * Checks that an example prints what the page of examples says, up to numbers and lines left out, by a command there.
 *
 * @param nth Which one of its commands on the page, if there are several.
 */
export function assertAsOnPage(name: string, stdout: string, nth = 0) {
  // The programs in `real` have a page of their own.
  const [, folder = "", file] = /^(real[/])?(.+)$/.exec(name)!;
  const page = Deno.readTextFileSync(join(ROOT, "examples", folder, "README.md")).replaceAll("\r\n", "\n");
  const section = page.split("\n## ").find((text) => text.startsWith(`[${file}](${file})\n`)) ?? fail(`no ${name}`);
  const [, command, output] = [...section.matchAll(/\n```sh\n(.*)\n```\n\n```\n([^]*?)\n```\n/g)][nth] ?? fail(section);
  assert(commandsOf(name).includes(command), `${command} is not in the header of ${name}`);
  const inGeneral = (text: string) => text.replaceAll(/\d+(\.\d+)?/g, "0").replaceAll(/\s+/g, " ");
  // `…` stands for lines, or for the end of one.
  const parts = output.split(/\n|…/).filter((part) => part !== "");
  assert(parts.length > 0, section);
  for (const part of parts) assertStringIncludes(inGeneral(stdout), inGeneral(part));
}

/** Checks that each line of a table tells seconds, and a speed-up: the quotient of its seconds and the first one's. */
export function assertTable(head: string, rows: string[], workers: number[]) {
  assertMatch(head, /^workers +seconds +speed-up/);
  const cells = rows.map((row) => row.trim().split(/\s+/));
  assertEquals(cells.map(([count]) => Number(count)), workers);
  const baseline = Number(cells[0][1]);
  for (const [, seconds, speedUp] of cells) {
    assertMatch(seconds, /^\d+\.\d\d$/);
    assertMatch(speedUp, /^\d+\.\d\dx$/);
    // Both times are rounded to hundredths, and so is the quotient.
    const [least, most] = [-0.005, 0.005].map((by) => (baseline + by) / (Number(seconds) - by));
    const found = parseFloat(speedUp);
    assert(found >= least - 0.006 && found <= most + 0.006, `${baseline} / ${seconds} is not ${speedUp}`);
  }
  assertEquals(cells[0][2], "1.00x");
}

/** The processes whose environment has a text, on Linux; they are given two seconds to go. */
async function processesWith(mark: string): Promise<string[]> {
  if (Deno.build.os !== "linux") return [];
  const end = performance.now() + 2_000;
  while (true) {
    const found = [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((pid) => {
      try {
        return /^\d+$/.test(pid) && Deno.readTextFileSync(`/proc/${pid}/environ`).includes(mark);
      } catch {
        return false; // it has just ended, or is another user's
      }
    });
    if (found.length === 0 || performance.now() > end) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
