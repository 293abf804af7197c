/** Projects of their own, in folders that the tests make: what depends on where a program lies. */
import { fail } from "@std/assert";
import { temporaryPath } from "./_helpers.ts";

/** The URL of this package's entry. */
export const ENTRY: string = new URL("../mod.ts", import.meta.url).href;

/** Writes files, by their paths, into a new folder. */
export function project(files: { [path: string]: string }): string {
  const folder = temporaryPath("project");
  for (const [path, text] of Object.entries(files)) {
    Deno.mkdirSync(`${folder}/${path}`.replace(/[^/]+$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${folder}/${path}`, text);
  }
  return folder;
}

/**
 * A folder with an executable `deno`, for the option of that name: a program that runs in place of each process. Its
 * arguments are the folder, the real Deno, and what that is to be run with.
 */
export function denoThrough(program: string): string {
  const folder = project({ "through.ts": program });
  const deno = Deno.execPath();
  const script = `#!/bin/sh\nexec '${deno}' run -A '${folder}/through.ts' '${folder}' '${deno}' "$@"\n`;
  Deno.writeTextFileSync(`${folder}/deno`, script, { mode: 0o755 });
  return folder;
}

/** The one code block of a Markdown page that contains a text. */
export function blockOf(page: string, text: string): string {
  const blocks = [...page.matchAll(/^```ts[^\n]*\n([^]*?)^```$/gm)].map(([, code]) => code);
  const found = blocks.filter((code) => code.includes(text));
  return found.length === 1 ? found[0] : fail(`${found.length} blocks contain ${text}`);
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command, within a bound; `input` is what it reads. */
export async function run(
  command: string,
  args: string[],
  { input, ...options }: Deno.CommandOptions & { input?: string } = {},
  bound = 30_000,
): Promise<Outcome> {
  const child = new Deno.Command(command, {
    args,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    ...options,
    env: { NO_COLOR: "1", ...options.env },
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
    input === undefined ? undefined : new Blob([input]).stream().pipeTo(child.stdin),
  ]);
  clearTimeout(timer);
  if (hung) fail(`${command} ${args.join(" ")} did not end\nstdout: ${stdout}\nstderr: ${stderr}`);
  return { code, stdout, stderr };
}

/** Runs a program with Deno, from the root folder. */
export function runFile(
  path: string,
  flags: string[] = ["-A"],
  { args = [], ...options }: Deno.CommandOptions = {},
): Promise<Outcome> {
  const own = ["run", "--no-prompt", "--quiet", "--no-check", ...flags, path];
  return run(Deno.execPath(), [...own, ...args], { cwd: "/", ...options });
}
