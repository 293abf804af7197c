/** Programs that a test runs in a Deno of their own. */
import { assertEquals, fail } from "@std/assert";
import { until } from "./_waiting.ts";

/** Those that are running. */
const programs = new Set<Deno.ChildProcess>();

/** How a program ended. */
export interface Ended {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
  /** When it ended, as `Date.now()`. */
  at: number;
}

/**
 * Runs a program of `tests/fixtures/programs`, or at a URL, in a Deno of its own, or the tests in it, within a bound.
 */
export async function runProgram(
  name: string,
  args: readonly string[],
  options: {
    bound?: number;
    flags?: readonly string[];
    command?: "run" | "test";
    env?: Record<string, string>;
    cwd?: string;
    /** Whether it takes the versions of `deno.lock`: a registry may lack the newest of some package. */
    isLocked?: boolean;
  } = {},
): Promise<Ended> {
  const { bound = 20_000, flags = ["-A"], command = "run", env, cwd, isLocked = false } = options;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      command,
      "--no-check",
      isLocked ? "--frozen" : "--no-lock",
      "--no-prompt",
      // It would also hide what tests write.
      ...(command === "run" ? ["--quiet"] : []),
      ...flags,
      new URL(name, new URL("./fixtures/programs/", import.meta.url)).href,
      ...args,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", ...env },
    cwd,
  }).spawn();
  programs.add(child);
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, bound);
  const status = child.status.then((ended) => ({ ...ended, at: Date.now() }));
  const [{ code, signal, at }, stdout, stderr] = await Promise.all([
    status,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  clearTimeout(timer);
  programs.delete(child);
  if (hung) fail(`${name} ${args.join(" ")} did not end after ${bound} ms\nstdout: ${stdout}\nstderr: ${stderr}`);
  return { code, signal, stdout, stderr, at };
}

/** Runs a program and takes the JSON value that it prints; fails with what it wrote when it ends badly. */
// deno-lint-ignore no-explicit-any
export async function outputOf(...program: Parameters<typeof runProgram>): Promise<any> {
  const { code, signal, stdout, stderr } = await runProgram(...program);
  if (code !== 0) fail(`${program[0]} ended with ${signal ?? code}\nstdout: ${stdout}\nstderr: ${stderr}`);
  assertEquals(stderr, "", `${program[0]} wrote to stderr`);
  try {
    return JSON.parse(stdout);
  } catch {
    fail(`${program[0]} printed no JSON: ${stdout}`);
  }
}

/** Ends those that are running. */
export async function endPrograms(): Promise<void> {
  for (const child of programs) {
    try {
      child.kill("SIGKILL");
    } catch { /* it has just ended */ }
  }
  await until(() => programs.size === 0, "the programs that were killed").catch(() => {});
}
