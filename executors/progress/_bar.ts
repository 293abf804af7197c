/**
 * A bar on a terminal, drawn by the library cli-progress.
 *
 * It changes nothing of the terminal's state, such as the cursor or whether lines wrap, so a program that ends in any
 * way leaves nothing to restore.
 *
 * @module
 */

import process from "node:process";
import cliProgress from "cli-progress";
import { line } from "./_line.ts";

/** What the library tells the function that writes the line. */
interface State {
  startTime: number;
  stopTime: number | null;
  maxWidth: number;
  value: number;
}

/** What is used of the library's bar; the library has no types. */
interface LibraryBar {
  timer: { unref?(): void } | null;
  terminal: { cursorSave(): void; cursorRestore(): void; write(text: string): void };
  start(total: number, value: number): void;
  update(value: number): void;
  render(): void;
  stop(): void;
}

const SingleBar = cliProgress.SingleBar as new (options: object, preset: object) => LibraryBar;

/**
 * The terminal, as a stream of Node for the library. That of Node itself would end the program with an error that no
 * loop can catch, if the terminal is closed meanwhile.
 */
const terminal = {
  isTTY: true,
  get columns(): number | undefined {
    return process.stderr.columns;
  },
  write(text: string): boolean {
    try {
      for (let left = new TextEncoder().encode(text); left.length > 0;) {
        left = left.subarray(Deno.stderr.writeSync(left));
      }
    } catch {
      // Nobody sees the bar any more.
    }
    return true;
  },
};

/** Whether there is a bar on the terminal. */
let isDrawn = false;

/** A bar, whose timer keeps no program alive: a loop may be forgotten in its middle. */
class Bar extends SingleBar {
  hasEnded = false;
  readonly #onUnload = () => this.stop();

  override start(total: number, value: number): void {
    isDrawn = true;
    // At `Deno.exit()` in the loop, too, the shell's prompt begins a line.
    addEventListener("unload", this.#onUnload);
    super.start(total, value);
  }

  override render(): void {
    super.render();
    this.timer?.unref?.();
  }

  override stop(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    isDrawn = false;
    removeEventListener("unload", this.#onUnload);
    super.stop();
  }
}

/**
 * Draws a bar on stderr; not where that is no terminal, nor where another one would be overwritten: that of a loop
 * around this one, or that of another thread.
 */
export function startBar(total: number | undefined, label: string, unit: string): Bar | undefined {
  if (isDrawn || "WorkerGlobalScope" in globalThis || !Deno.stderr.isTerminal()) return undefined;
  const bar: Bar = new Bar({
    stream: terminal,
    linewrap: true, // That is, it does not turn off how the terminal wraps lines.
    barsize: 1_000, // At most; the line takes what fits.
    forceRedraw: true, // Wipes out the ^C that the terminal writes behind the bar.
    format(options: object, { startTime, maxWidth, value }: State): string {
      const elapsed = Date.now() - startTime;
      const draw = (fraction: number, barsize: number) =>
        cliProgress.Format.BarFormat(fraction, { ...options, barsize });
      return line({ label, unit, value, total, elapsed, hasEnded: bar.hasEnded }, maxWidth, draw);
    },
  }, cliProgress.Presets.shades_classic);
  // To go back to where the bar began would overwrite what was printed meanwhile.
  bar.terminal.cursorSave = bar.terminal.cursorRestore = () => {};
  // Else the library cuts the line, which fits, where it has more UTF-16 code units than the terminal has columns.
  bar.terminal.write = (text) => void terminal.write(text);
  bar.start(total ?? 0, 0);
  return bar;
}
