/**
 * Runs a program in a terminal, and looks at its screen.
 *
 * @module
 */

import { fail } from "@std/assert";
import { fromFileUrl } from "@std/path";

const ROOT = new URL("../../", import.meta.url);

/** A terminal in which a program runs. */
export interface Terminal {
  /** Makes it wider or narrower. */
  resize(columns: number): void;
  /** Presses Ctrl-C. */
  interrupt(): void;
  /** Closes the terminal: it takes nothing any more. */
  close(): void;
}

/** How a program ended that ran in a terminal. */
export interface Shown {
  code: number;
  /** All that it has printed. */
  text: string;
}

/**
 * Runs `tests/fixtures/programs/progress.ts` in a terminal, within a bound.
 *
 * @param watch Is told what has been printed so far, whenever there is more.
 */
export async function inTerminal(
  way: string,
  columns: number,
  watch: (text: string, terminal: Terminal) => void = () => {},
): Promise<Shown> {
  const deno = `${Deno.execPath()} run -A --quiet --no-check --frozen tests/fixtures/programs/progress.ts ${way}`;
  const child = new Deno.Command("script", {
    // The first line says which terminal this is.
    args: ["-qec", `tty; stty cols ${columns}; exec ${deno}`, "/dev/null"],
    cwd: fromFileUrl(ROOT),
    env: { NO_COLOR: "1", TERM: "xterm" },
    stdin: "piped",
    stdout: "piped",
    signal: AbortSignal.timeout(20_000),
  }).spawn();
  const keyboard = child.stdin.getWriter();
  let text = "";
  const terminal: Terminal = {
    resize(columns) {
      const name = /^\/dev\/\S+/.exec(text)?.[0] ?? fail(text);
      new Deno.Command("stty", { args: ["-F", name, "cols", `${columns}`] }).outputSync();
    },
    interrupt: () => void keyboard.write(new TextEncoder().encode("\x03")),
    close: () => child.kill("SIGKILL"),
  };
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    watch(text, terminal);
  }
  await keyboard.close().catch(() => {}); // The program has gone, and with it the reader.
  const { code } = await child.status;
  return { code, text: text.replace(/^\S+\r\n/, "") };
}

/** What a terminal shows: it knows what bars use of its language, and wraps lines that are too long. */
export class Screen {
  readonly rows: string[] = [""];
  /** How often a line was too long. */
  wraps = 0;
  /** Which modes were changed, such as `?25l`, which hides the cursor. */
  readonly modes: string[] = [];

  constructor(text: string, columns: number) {
    let column = 0;
    // deno-lint-ignore no-control-regex
    for (const [part, number, command, mode] of text.matchAll(/\x1b\[(\d*)([GK])|\x1b\[(\?\d+[hl])|[^]/gu)) {
      const row = this.rows.at(-1)!;
      if (command === "G") column = Number(number || 1) - 1;
      else if (command === "K") this.rows[this.rows.length - 1] = row.slice(0, column);
      else if (mode !== undefined) this.modes.push(mode);
      else if (part === "\r") column = 0;
      else if (part === "\n") this.rows.push("".padEnd(column));
      else if (part < " ") fail(`the terminal does not know ${JSON.stringify(part)}`);
      else {
        if (column === columns) {
          this.wraps++;
          this.rows.push("");
          column = 0;
        }
        const line = this.rows.at(-1)!.padEnd(column);
        this.rows[this.rows.length - 1] = line.slice(0, column) + part + line.slice(column + 1);
        column++;
      }
    }
  }
}

/** The lines that a bar has written, one over the other, up to the last one that is complete. */
export function frames(text: string): string[] {
  // deno-lint-ignore no-control-regex
  return [...text.matchAll(/\x1b\[1G([^\x1b\r\n]*)\x1b\[0K/g)].map(([, line]) => line);
}
