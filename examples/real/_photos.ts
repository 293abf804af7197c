/**
 * Photographs for `thumbnails.ts`, which nobody had to take: hills before an evening sky, as grainy as from a camera.
 *
 * @module
 */

import encode from "@jsquash/jpeg/encode.js";
import { join } from "@std/path";
import { repeat, ThreadPoolExecutor, transfer } from "@concurrent/futures";
import { progress } from "@concurrent/futures/progress";

/** Makes photographs in a folder, those that are not there yet. */
export async function makePhotos(folder: string, count: number, width: number, workers: number): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const there = jpegsIn(folder);
  const seeds = Array.from({ length: count }, (_, i) => i + 1).filter((seed) => !there.includes(`photo-${seed}.jpg`));
  if (seeds.length === 0) return;
  await using pool = new ThreadPoolExecutor(workers);
  const photos = pool.map(takePhoto, seeds, repeat(width), { chunksize: 1 });
  let i = 0;
  for await (const photo of progress(photos, { total: seeds.length, label: "making", unit: "photos" })) {
    await Deno.writeFile(join(folder, `photo-${seeds[i++]}.jpg`), photo);
  }
}

/** The names of the photographs in a folder. */
export function jpegsIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => /\.jpe?g$/i.test(name)).sort();
}

/** How high hills begin, from the top, and how light they are: the sky first, and what is near at the end. */
const LAYERS = [[0, 1], [0.5, 0.55], [0.62, 0.37], [0.78, 0.19]];

/** Makes a photograph as a JPEG: the same one for the same seed. It is slow, as grain is hard to compress. */
export async function takePhoto(seed: number, width: number): Promise<Uint8Array<ArrayBuffer>> {
  const height = Math.round(width * 2 / 3);
  const random = randomNumbers(seed);
  const [evening, sunX, sunY] = [random(), width * random(), height * (0.15 + 0.25 * random())];
  const hills = LAYERS.map(([level, light]) => {
    const waves = [1, 2.3, 5.1, 11.7].map((n) => ({ speed: 3 * n * (0.7 + random()), shift: 7 * random(), n }));
    const topAt = (x: number) =>
      waves.reduce((y, { speed, shift, n }) => y + Math.sin(speed * x + shift) * 0.09 / n, level);
    return { topAt: level === 0 ? () => 0 : topAt, light };
  });

  const image = new ImageData(width, height);
  for (let x = 0; x < width; x++) {
    const tops = hills.map(({ topAt }) => height * topAt(x / width));
    for (let y = 0; y < height; y++) {
      const layer = tops.findLastIndex((top) => y >= top);
      const isSky = layer === 0;
      const { light } = hills[layer];
      const depth = y / height;
      const grain = 60 * light * (random() - 0.5);
      const glow = Math.exp(-3 * Math.hypot(x - sunX, y - sunY) / height) * (isSky ? 190 : 60 * light);
      const at = 4 * (y * width + x);
      image.data[at] = light * (90 + 110 * depth + 60 * evening) + glow + grain;
      image.data[at + 1] = light * (130 + 60 * depth) + 0.8 * glow + grain;
      image.data[at + 2] = light * (220 - 90 * depth - 60 * evening) + (isSky ? glow / 3 : 0) + grain;
      image.data[at + 3] = 255;
    }
  }
  // A better compression would take twice as long.
  const photo = new Uint8Array(await encode(image, { quality: 90, trellis_loops: 0 }));
  return transfer(photo, [photo.buffer]);
}

/** Numbers from 0 to 1, the same for the same seed: Marsaglia's xorshift. */
function randomNumbers(seed: number): () => number {
  let state = seed * 7919;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
