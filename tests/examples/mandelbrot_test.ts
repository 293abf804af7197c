/** `examples/real/mandelbrot.ts` as a user runs it: the PNG that it saves, and the picture on the page. */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { decode } from "fast-png";
import { drawRow, type Size } from "../../examples/real/mandelbrot.ts";
import { test } from "../_helpers.ts";
import { assertAsOnPage, assertTable, linesOf, ROOT, runExample } from "./_run.ts";

const SMALL = { width: 60, height: 40, limit: 300 };
const OPTIONS = ["--width", "60", "--rounds", "300"];

/** Draws some rows here, one after the other. */
function drawHere(size: Size, rows: Iterable<number>) {
  const pixels = new Uint8Array(new SharedArrayBuffer(size.width * size.height));
  let steps = 0;
  for (const row of rows) steps += drawRow(pixels, size, row);
  return { pixels: Uint8Array.from(pixels), steps };
}

/** Runs the program, in a folder that it may write to. */
async function run(args: string[]) {
  const dest = `downloads/test-${crypto.randomUUID()}`;
  try {
    const ended = await runExample("real/mandelbrot.ts", [...OPTIONS, "--dest", dest, ...args]);
    const lines = linesOf({ ...ended, stdout: ended.stdout.replaceAll("\\", "/").replaceAll(dest, "downloads") });
    return { lines, picture: decode(await Deno.readFile(join(ROOT, dest, "mandelbrot.png"))) };
  } finally {
    await Deno.remove(join(ROOT, dest), { recursive: true });
  }
}

/** The picture on the page. */
const PICTURE = join(ROOT, "examples", "real", "mandelbrot.png");

test("mandelbrot.ts saves the picture that a single thread draws row by row", async () => {
  const { lines, picture } = await run(["--workers", "3"]);
  const { pixels, steps } = drawHere(SMALL, Array(SMALL.height).keys());
  assertEquals([picture.width, picture.height, picture.channels], [60, 40, 1]);
  assertEquals(Uint8Array.from(picture.data), pixels);
  assertEquals(picture.palette, decode(await Deno.readFile(PICTURE)).palette);
  assertEquals(lines, [`downloads/mandelbrot.png has 60 x 40 pixels, which took ${steps} steps`]);
});

test("mandelbrot.ts --compare prints a line for each number of threads, and saves the picture", async () => {
  const { lines: [head, first, second, saved], picture } = await run(["--compare", "--workers", "2"]);
  assertTable(head, [first, second], [1, 2]);
  assertAsOnPage("real/mandelbrot.ts", [head, first, second, saved].join("\n"));
  assertEquals(Uint8Array.from(picture.data), drawHere(SMALL, Array(SMALL.height).keys()).pixels);
});

test("drawRow() draws black what is in the set, its mirror image below, and no other row", () => {
  const { pixels } = drawHere(SMALL, [10, 20, 30]);
  const row = (n: number) => [...pixels.subarray(n * SMALL.width, (n + 1) * SMALL.width)];
  assertEquals(row(10), row(30));
  assert(row(10).some((pixel) => pixel === 0) && row(10).some((pixel) => pixel !== 0), `${row(10)}`);
  assertEquals([row(9), row(21)], [row(0), row(0)]);
  // The real axis: -2 to 0.25 is in the set.
  const step = 3.3 / SMALL.width;
  row(20).forEach((pixel, column) => {
    const real = -0.75 + (column - SMALL.width / 2) * step;
    if (real > -1.999 && real < 0.249) assertEquals(pixel, 0, `${real}`);
    if (real < -2.001 || real > 0.5) assert(pixel !== 0, `${real}`);
  });
});

test("mandelbrot.png, on the page, is what the program draws without options", async () => {
  const file = await Deno.readFile(PICTURE);
  assert(file.length < 150_000, `${file.length}`);
  const { width, height, data, palette } = decode(file);
  assertEquals([width, height, palette?.length], [900, 600, 256]);
  const rows = [0, 100, 150, 250, 299, 599];
  const { pixels } = drawHere({ width, height, limit: 3000 }, rows);
  for (const row of rows) {
    const [from, to] = [row * width, (row + 1) * width];
    assertEquals(Uint8Array.from(data.subarray(from, to)), pixels.subarray(from, to), `row ${row}`);
  }
});
