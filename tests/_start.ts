/** Programs that a test starts, talks with and ends; `runProgram` is for those that only run. */

/** The command that runs a program of `tests/fixtures/programs`. */
export function commandOf(
  name: string,
  args: readonly string[],
  { flags = ["-A", "--quiet"], ...options }: Deno.CommandOptions & { flags?: readonly string[] } = {},
): Deno.Command {
  const url = new URL(`./fixtures/programs/${name}`, import.meta.url).href;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-lock", "--no-prompt", ...flags, url, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
    ...options,
  });
}

/** A program of `tests/fixtures/programs` that runs, and is killed at the end of its block. */
export class Running implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly stderr: Promise<string>;
  #text = "";

  constructor(name: string, args: readonly string[], flags?: readonly string[]) {
    this.child = commandOf(name, args, { flags, stdin: "piped" }).spawn();
    this.#reader = this.child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.stderr = new Response(this.child.stderr).text();
  }

  /** Writes to the program's standard input and ends it. */
  async input(text: string): Promise<void> {
    const writer = this.child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  }

  /** The next line that it prints; `undefined` when there is none any more. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end !== -1) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.#reader.cancel();
    await this.child.stdin.close().catch(() => {});
    await this.child.status;
    await this.stderr;
  }
}

/** Whether a process runs: not one that has ended and is only not yet forgotten. For Linux. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

/** How many threads of a process run a web worker. */
export function workersOf(pid: number): number {
  let count = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    if (Deno.readTextFileSync(`/proc/${pid}/task/${name}/comm`).startsWith("worker-")) count++;
  }
  return count;
}
