/**
 * The progress bar of the examples, which is that of the library cli-progress.
 *
 * @module
 */

import cliProgress from "cli-progress";
import process from "node:process";

/** What the programs use of a bar. */
export interface Bar {
  /** One more is done. */
  increment(): void;
  /** So many are done. */
  update(value: number): void;
  /** Leaves the bar as it is and brings the cursor back. */
  stop(): void;
}

/** What the library tells the function that writes the bar. */
type BarState = Record<"progress" | "value" | "eta" | "maxWidth", number>;

/**
 * Draws a bar on stderr that is as wide as the terminal, also when that changes.
 *
 * @returns The bar, or `undefined` where stderr is no terminal: a pipe or a file gets no control characters.
 */
export function startBar(total: number): Bar | undefined {
  if (!Deno.stderr.isTerminal()) return undefined;
  const bar = new cliProgress.SingleBar({
    stream: process.stderr,
    hideCursor: true,
    barsize: 1000, // At most; `format` takes what fits.
    forceRedraw: true, // Wipes out the ^C that the terminal writes behind the bar.
    gracefulExit: false, // Ctrl-C is for the program.
    format: (options: object, { progress, value, eta, maxWidth }: BarState) => {
      const before = `${Math.floor(progress * 100)}%`.padStart(4) + " |";
      const left = value < total && Number.isFinite(eta) ? `${eta}s left` : "";
      const after = `| ${value}/${total} ${left}`.padEnd(`| ${total}/${total} 999s left`.length);
      const barsize = Math.max(0, maxWidth - before.length - after.length - 1);
      return before + cliProgress.Format.BarFormat(progress, { ...options, barsize }) + after;
    },
  }, cliProgress.Presets.shades_classic);
  bar.start(total, 0);
  return bar;
}
