/** The REPL of Deno, as a user drives it: with lines on its standard input. */
import { assertEquals, fail } from "@std/assert";

/** Gives lines to a REPL, within a bound; what it prints. */
export async function repl(
  lines: readonly string[],
  { cwd, flags = ["-A"], bound = 20_000 }: { cwd?: string; flags?: readonly string[]; bound?: number } = {},
): Promise<{ stdout: string; stderr: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["repl", "--quiet", "--no-prompt", ...flags],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, bound);
  const [{ code }, stdout, stderr] = await Promise.all([
    child.status,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    new Blob([lines.map((line) => `${line}\n`).join("")]).stream().pipeTo(child.stdin),
  ]);
  clearTimeout(timer);
  if (hung) fail(`the REPL did not end after ${bound} ms\nstdout: ${stdout}\nstderr: ${stderr}`);
  assertEquals(code, 0, stdout + stderr);
  return { stdout: stdout.replaceAll("\r\n", "\n"), stderr };
}
