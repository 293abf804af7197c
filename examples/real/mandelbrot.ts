/**
 * Draws the Mandelbrot set as a PNG: threads draw its rows, in any order, into one piece of memory that they share.
 *
 * ```sh
 * deno run -R=. -W=downloads examples/real/mandelbrot.ts                   # -R reads, -W writes
 * deno run -R=. -W=downloads examples/real/mandelbrot.ts --compare         # with 1, 2, … threads
 * deno run -R=. -W=examples examples/real/mandelbrot.ts -o examples/real  # the picture of README.md
 * ```
 *
 * All threads write to the same `SharedArrayBuffer`, with a byte for each pixel, so no pixels cross to the program and
 * no row waits for another one. They need no locks, because no two rows have a byte in common.
 *
 * @module
 */

import { encode } from "fast-png";
import { join } from "@std/path";
import { repeat, ThreadPoolExecutor } from "@concurrent/futures";
import { progress } from "@concurrent/futures/progress";
import { commandLine, directory, readOptions, rounds, wholeNumber } from "../_options.ts";
import { compareWorkers, WORKERS } from "./_compare.ts";

/** The part of the plane that is drawn: its middle, and how wide it is. */
const PART = { real: -0.75, imaginary: 0, across: 3.3 };

/** How large the picture is, in pixels, and after how many steps a point counts as one of the set. */
export interface Size {
  width: number;
  height: number;
  limit: number;
}

/** Draws a row of the picture into the memory that all threads share, and returns how many steps that took. */
export function drawRow(pixels: Uint8Array<SharedArrayBuffer>, size: Size, row: number): number {
  const { width, height, limit } = size;
  const step = PART.across / width;
  const b = PART.imaginary + (height / 2 - row) * step;
  let all = 0;
  for (let column = 0; column < width; column++) {
    const a = PART.real + (column - width / 2) * step;
    let [x, y, steps] = [0, 0, 0];
    for (; x * x + y * y < 10_000 && steps < limit; steps++) [x, y] = [x * x - y * y + a, 2 * x * y + b];
    pixels[row * width + column] = steps === limit ? 0 : colourOf(steps, x * x + y * y);
    all += steps;
  }
  return all;
}

/** The colour of a point outside of the set, from 1 to 255. By its distance, colours pass smoothly into each other. */
function colourOf(steps: number, distance: number): number {
  const time = steps - Math.log2(Math.log2(distance));
  return 1 + Math.floor(64 * Math.log2(time + 4)) % 255;
}

/** The colours: black for the set, and a cycle from dark blue over white and brown to dark blue again. */
const PALETTE: [number, number, number][] = Array.from({ length: 256 }, (_, i) => {
  const wave = (shift: number) => Math.round(127.5 - 127.5 * Math.cos(2 * Math.PI * (i / 255 - shift)));
  return i === 0 ? [0, 0, 0] : [wave(0.59), wave(0.5), wave(0.39)];
});

/** Draws the picture. It returns the pixels, and how many steps all of them took. */
function draw(size: Size, workers: number) {
  using pool = new ThreadPoolExecutor(workers);
  const pixels = new Uint8Array(new SharedArrayBuffer(size.width * size.height));
  const rows = Array.from({ length: size.height }, (_, row) => row);
  // Some rows take far longer than others: a thread that is done takes the next one, and no result waits for another.
  const counts = pool.map(drawRow, repeat(pixels), repeat(size), rows, { ordered: false, chunksize: 1 });
  let steps = 0;
  for (const count of progress(counts, { total: size.height, label: "drawing", unit: "rows" })) steps += count;
  return { pixels, steps };
}

async function main() {
  const { workers, compare, width, rounds: limit, dest } = readOptions(COMMAND);
  const size = { width, height: Math.round(width * 2 / 3), limit };
  let picture: ReturnType<typeof draw>;
  const work = (workers: number) => picture = draw(size, workers);
  if (compare) await compareWorkers(workers, work);
  else work(workers);

  const { pixels, steps } = picture!;
  const png = encode({ ...size, data: pixels, channels: 1, palette: PALETTE }, { zlib: { level: 9 } });
  const path = join(dest, "mandelbrot.png");
  await Deno.mkdir(dest, { recursive: true });
  await Deno.writeFile(path, png);
  console.log(`${path} has ${size.width} x ${size.height} pixels, which took ${steps} steps`);
}

export const COMMAND = commandLine({
  about: "Draw the Mandelbrot set as a PNG, in threads that share the memory for it.",
  command: "deno run -R=. -W=downloads examples/real/mandelbrot.ts",
  example: "--compare",
  options: {
    ...WORKERS,
    width: { value: "N", text: "how wide the picture is, in pixels", reads: wholeNumber(3, 12_000), default: "900" },
    rounds: { ...rounds("after how many steps a point counts as one of the set"), default: "3000" },
    dest: { short: "o", value: "DIR", text: "where to save it", reads: directory, default: "downloads/" },
  },
});

// The threads import this module too: only the program itself is to start.
if (import.meta.main) await main();
