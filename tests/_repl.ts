/** The REPL of Deno, as a user drives it: with lines on its standard input. */
import { assertEquals } from "@std/assert";
import { run } from "./_projects.ts";

/** Gives lines to a REPL, within a bound; what it prints. */
export async function repl(
  lines: readonly string[],
  { cwd, flags = ["-A"], bound = 20_000 }: { cwd?: string; flags?: readonly string[]; bound?: number } = {},
): Promise<{ stdout: string; stderr: string }> {
  const input = lines.map((line) => `${line}\n`).join("");
  const args = ["repl", "--quiet", "--no-prompt", ...flags];
  const { code, stdout, stderr } = await run(Deno.execPath(), args, { cwd, input }, bound);
  assertEquals(code, 0, stdout + stderr);
  return { stdout: stdout.replaceAll("\r\n", "\n"), stderr };
}
