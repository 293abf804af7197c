/**
 * Makes a thumbnail of each photograph of a folder, in threads that have loaded a JPEG codec in WebAssembly.
 *
 * ```sh
 * deno run -R -W=downloads examples/real/thumbnails.ts             # of photographs that it makes
 * deno run -R -W=downloads examples/real/thumbnails.ts ~/Pictures  # of yours
 * deno run -R -W=downloads examples/real/thumbnails.ts --compare   # with 1, 2, … threads
 * ```
 *
 * The program reads the files and moves their bytes to the threads, without a copy; the thumbnails move back. So the
 * threads do nothing but compute, never wait for the disk, and would do the same for uploads. A file that is broken or
 * cannot be read is named at the end, and the exit code is 1; the others get their thumbnails all the same.
 *
 * @module
 */

import decode, { init as initDecoder } from "@jsquash/jpeg/decode.js";
import encode, { init as initEncoder } from "@jsquash/jpeg/encode.js";
import resize, { initResize } from "@jsquash/resize";
import { basename, join, resolve } from "@std/path";
import { repeat, ThreadPoolExecutor, transfer } from "@concurrent/futures";
import { progress } from "@concurrent/futures/progress";
import { commandLine, directory, readOptions, refuse, wholeNumber } from "../_options.ts";
import { compareWorkers, WORKERS } from "./_compare.ts";
import { jpegsIn, makePhotos } from "./_photos.ts";

// ---- in the threads -----------------------------------------------------------------------------------------------

/** What the decoder has found wrong with a file. A thread has one task at a time, and this variable of its own. */
let complaints: string[] = [];

/** Loads the codec. Each thread does that once, before its first photograph. */
export async function loadCodec(): Promise<void> {
  // The decoder is C: it would print what is wrong. (Its types do not know this option.)
  const decoder: object = { printErr: (line: string) => complaints.push(line) };
  await Promise.all([initDecoder(decoder), initEncoder(), initResize()]);
}

/** Makes a thumbnail, which fits into a square of `size` pixels, from the bytes of a JPEG. */
export async function shrink(photo: Uint8Array<ArrayBuffer>, size: number): Promise<Uint8Array<ArrayBuffer>> {
  complaints = [];
  const image = await decode(photo.buffer, { preserveOrientation: true }).catch((error) => error);
  if (!(image instanceof ImageData) || complaints.length > 0) throw new Error(complaints.join(", ") || `${image}`);

  const scale = Math.min(1, size / Math.max(image.width, image.height));
  const [width, height] = [image.width, image.height].map((length) => Math.max(1, Math.round(length * scale)));
  const thumbnail = new Uint8Array(await encode(await resize(image, { width, height })));
  return transfer(thumbnail, [thumbnail.buffer]);
}

// ---- in the program -----------------------------------------------------------------------------------------------

/** Makes the thumbnails, and returns what went wrong with which file. */
async function makeThumbnails(paths: string[], dest: string, size: number, workers: number): Promise<string[]> {
  const failures: string[] = [];
  const inThreads: string[] = [];
  async function* photos() {
    for (const path of paths) {
      const photo = await Deno.readFile(path).catch((error) => void failures.push(`${path}: ${error.message}`));
      if (photo === undefined) continue;
      inThreads.push(path);
      yield transfer(photo, [photo.buffer]);
    }
  }

  await using pool = new ThreadPoolExecutor({ maxWorkers: workers, initializer: loadCodec });
  // At most two photographs for each thread are in memory, however many there are.
  const outcomes = pool.map(shrink, photos(), repeat(size), { settled: true, buffersize: 2 * workers });
  for await (const outcome of progress(outcomes, { total: paths.length, label: "shrinking", unit: "photos" })) {
    const path = inThreads.shift()!; // Outcomes come in the order of the inputs.
    if (outcome.status === "fulfilled") await Deno.writeFile(join(dest, basename(path)), outcome.value);
    else failures.push(`${path}: ${outcome.reason.message}`);
  }
  return failures;
}

/** Runs the program and returns its exit code. */
async function main(): Promise<number> {
  const { workers, compare, size, photos, width, dest, operands } = readOptions(COMMAND);
  const [folder = join(dest, "photos")] = operands;
  const thumbnails = join(dest, "thumbnails");
  try {
    await Deno.mkdir(thumbnails, { recursive: true });
    if (operands.length === 0) await makePhotos(folder, photos, width, workers);
    const paths = jpegsIn(folder).map((name) => join(folder, name));
    console.log(`${paths.length} photographs in ${folder}`);

    let failures: string[] = [];
    const work = async (workers: number) => failures = await makeThumbnails(paths, thumbnails, size, workers);
    if (compare) await compareWorkers(workers, work);
    else await work(workers);
    for (const failure of failures) console.error(failure);
    console.log(`${paths.length - failures.length} thumbnails in ${thumbnails}, ${failures.length} failed`);
    return failures.length === 0 ? 0 : 1;
  } catch (error) {
    console.error((error as Error).message.split("\n", 1)[0]);
    return 1;
  }
}

export const COMMAND = commandLine({
  about: "Make a thumbnail of each JPEG in a folder, in threads. Without a DIR, it makes photographs first.",
  command: "deno run -R -W=downloads examples/real/thumbnails.ts",
  example: "--compare",
  operands: { value: "DIR", text: "the folder with the photographs", reads: directory },
  options: {
    ...WORKERS,
    size: { value: "N", text: "how long the longer side is, in pixels", reads: wholeNumber(1, 4096), default: "320" },
    photos: { value: "N", text: "how many photographs it makes", reads: wholeNumber(1, 999), default: "8" },
    width: { value: "N", text: "how wide these are, in pixels", reads: wholeNumber(3, 12_000), default: "2400" },
    dest: {
      short: "o",
      value: "DIR",
      text: "where to save: in the folders photos and thumbnails in there",
      reads: directory,
      default: "downloads/",
    },
  },
  check({ dest, operands }) {
    if (operands.length > 1) refuse(`${operands.length} folders`, "one");
    if (operands.length > 0 && resolve(operands[0]) === resolve(dest, "thumbnails")) {
      refuse(`"${operands[0]}"`, "a folder that does not get the thumbnails");
    }
  },
});

// The threads import this module too: only the program itself is to start.
if (import.meta.main) Deno.exitCode = await main();
