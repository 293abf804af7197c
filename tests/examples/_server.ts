/**
 * Runs `examples/flag_server.ts` for tests that send requests to it.
 *
 * @module
 */

import { ROOT } from "./_run.ts";

/** A server that runs until the end of the block. */
export class Server implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  /** The line that it prints, and the URL in it. */
  line = "";
  url = "";

  private constructor(args: string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-P", "--no-prompt", "examples/flag_server.ts", ...args],
      cwd: ROOT,
      stdin: "null",
      stdout: "piped",
      signal: AbortSignal.timeout(60_000),
    }).spawn();
  }

  static async start(...args: string[]): Promise<Server> {
    const server = new Server(args);
    for await (const text of server.#child.stdout.pipeThrough(new TextDecoderStream())) {
      server.line += text;
      if (text.includes("\n")) break;
    }
    server.url = server.line.match(/http:\S+(?= \()/)?.[0] ?? "";
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
  }
}
