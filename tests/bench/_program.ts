/**
 * The runner's half of the line protocol: a contestant's program, which is asked one thing at a time and killed, with
 * all that it started, when an answer takes too long.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { type Contestant, PEERS_FOLDER } from "./contestants.ts";

/** What a contestant measured in a round. */
export interface Outcome {
  value: number;
  detail?: unknown;
}

type Answer = { ok: Outcome | null } | { cannot: string } | { error: string };

/** Why there is no figure. */
export class NoFigure extends Error {
  constructor(message: string, readonly isFault: boolean) {
    super(message);
  }
}

const running = new Set<Program>();
const decoder = new TextDecoder();

/** Kills whatever runs still. */
export function killAll(): void {
  for (const program of running) program.kill();
}

export class Program {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #answer: ((answer: Answer) => void) | undefined;
  #complaints = "";
  #hasEnded = false;

  constructor({ command, args }: Contestant) {
    // A group of its own, so that its children can be killed with it.
    const detached = Deno.build.os !== "windows";
    const child = this.#child = spawn(command, args, { cwd: PEERS_FOLDER, detached, stdio: "pipe" });
    running.add(this);
    child.stderr!.on("data", (chunk: Uint8Array) => {
      this.#complaints = (this.#complaints + decoder.decode(chunk)).slice(-4_000);
    });
    child.stdin!.on("error", () => {}); // it has ended: said below
    createInterface({ input: child.stdout! }).on("line", (line) => {
      if (line.startsWith("= ")) this.#answer?.(JSON.parse(line.slice(2)));
    });
    this.#ended = new Promise((resolve) => {
      const end = (reason: string) => {
        this.#hasEnded = true;
        running.delete(this);
        // One process more than the others may be left behind by a library that was surprised by its end.
        this.#killGroup();
        this.#answer?.({ error: `${reason}: ${lastLine(this.#complaints)}` });
        resolve();
      };
      child.on("error", (error) => end(`cannot start: ${error.message}`));
      child.on("exit", (code, signal) => end(`ended with ${signal ?? code}`));
    });
  }

  /** @throws {NoFigure} It cannot, fails, ends, or takes too long; then it is killed. */
  async ask(request: unknown, seconds: number): Promise<Outcome | null> {
    if (this.#hasEnded) throw new NoFigure(`ended: ${lastLine(this.#complaints)}`, true);
    let timer;
    const answer = await new Promise<Answer>((resolve) => {
      this.#answer = resolve;
      timer = setTimeout(() => resolve({ error: `no answer in ${seconds} s` }), seconds * 1000);
      this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    });
    clearTimeout(timer);
    this.#answer = undefined;
    if ("ok" in answer) return answer.ok;
    if ("cannot" in answer) throw new NoFigure(answer.cannot, false);
    this.kill();
    throw new NoFigure(answer.error.split("\n")[0], true);
  }

  /** Lets it close its pool and end, and kills it when it does not. */
  async end(): Promise<void> {
    try {
      await this.ask({ close: true }, 5);
    } catch { /* it is killed below */ }
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.kill(), 3_000);
    await this.#ended;
    clearTimeout(timer);
  }

  kill(): void {
    if (this.#hasEnded) return;
    this.#killGroup();
    this.#child.kill("SIGKILL");
  }

  #killGroup(): void {
    if (Deno.build.os === "windows" || this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch { /* nobody is left */ }
  }
}

function lastLine(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => /^(Uncaught |error: )?\S*(Error|panicked)/.test(line)) ?? lines.at(-1) ?? "said nothing";
}
