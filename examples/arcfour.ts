/**
 * Encrypts and decrypts with RC4 in 1, 2, … processes or threads, and prints how much faster more of them are.
 *
 * ```sh
 * deno run --allow-read=. --allow-run examples/arcfour.ts                # processes, 1 to as many as there are cores
 * deno run --allow-read=. examples/arcfour.ts --executor threads         # the same in threads
 * deno run --allow-read=. --allow-run examples/arcfour.ts --workers 1,4  # with 1 and with 4 workers
 * ```
 *
 * The counterpart of arcfour_futures.py in "Fluent Python": the cipher is plain TypeScript, and the 12 jobs encrypt and
 * decrypt 149 to 384 KiB each. That takes milliseconds here, so each job does it `--rounds` times over. Unlike the
 * book's table 17-1, the times leave out the start of the workers: each runs one job before the clock does.
 *
 * RC4 is broken: use it for nothing but examples.
 *
 * @module
 */

import { ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, EXECUTOR, readOptions, rounds, workersFor } from "./_options.ts";

const JOBS = 12;
/** In bytes: from 384 KiB down, so that no worker is left with a large job at the end. */
const SIZES = Array.from({ length: JOBS }, (_, i) => Math.floor(2 ** 18 * (18 - i) / 12));

/** Encrypts or decrypts bytes in place. Both are the same: the key gives a stream of bytes to combine them with. */
export function arcfour(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const box = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + box[i] + key[i % key.length]) & 255;
    [box[i], box[j]] = [box[j], box[i]];
  }
  for (let n = 0, i = 0, j = 0; n < bytes.length; n++) {
    i = (i + 1) & 255;
    const a = box[i];
    j = (j + a) & 255;
    const b = box[j];
    box[i] = b;
    box[j] = a;
    bytes[n] ^= box[(a + b) & 255];
  }
  return bytes;
}

/** The stream of three keys at three offsets, from section 2 of RFC 6229. */
const VECTORS: [key: string, stream: Record<number, string>][] = [
  ["0102030405", {
    0: "b2396305f03dc027ccc3524a0a1118a8",
    240: "28cb1132c96ce286421dcaadb8b69eae",
    4096: "ff25b58995996707e51fbdf08b34d875",
  }],
  ["0102030405060708090a0b0c0d0e0f10", {
    0: "9ac7cc9a609d1ef7b2932899cde41b97",
    240: "065902e4b620f6cc36c8589f66432f2b",
    4096: "a36a4c301ae8ac13610ccbc12256cacc",
  }],
  ["0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20", {
    0: "eaa6bd25880bf93d3f5d1e4ca2611d91",
    240: "114ae344ded71b35f2e60febad727fd8",
    4096: "f3e4c0a2e02d1d01f7f0a74618af2b48",
  }],
];

/** Fast and wrong would be worth nothing. */
function checkVectors() {
  for (const [key, stream] of VECTORS) {
    const output = arcfour(Uint8Array.fromHex(key), new Uint8Array(4096 + 16)); // zeros give the stream itself
    for (const [offset, expected] of Object.entries(stream)) {
      const found = output.subarray(Number(offset), Number(offset) + 16).toHex();
      if (found !== expected) throw new Error(`Key ${key}, offset ${offset}: ${found} instead of ${expected}`);
    }
  }
}

/** The job. Only numbers cross: the bytes are made where they are needed. */
export function encryptAndDecrypt(size: number, rounds: number): number {
  const key = new TextEncoder().encode("'Twas brillig, and the slithy toves");
  const text = new Uint8Array(size).map((_, i) => i * i);
  const bytes = text.slice();
  for (let round = 0; round < rounds; round++) arcfour(key, arcfour(key, bytes));
  if (bytes.some((byte, i) => byte !== text[i])) throw new Error(`${size} bytes came back changed`);
  return size * rounds;
}

/** The executors differ in nothing that matters here. */
const EXECUTORS = { processes: ProcessPoolExecutor, threads: ThreadPoolExecutor };

/** Runs all jobs with that number of workers. */
function measure(executor: keyof typeof EXECUTORS, workers: number, rounds: number) {
  using pool = new EXECUTORS[executor](workers);
  const rounded = SIZES.map(() => rounds);
  // The first job of each worker also waits for its start, and for its code to be compiled.
  for (const _ of pool.map(encryptAndDecrypt, SIZES.slice(0, workers), rounded, { chunksize: 1 }));
  const start = performance.now();
  let bytes = 0;
  for (const done of pool.map(encryptAndDecrypt, SIZES, rounded, { chunksize: 1 })) bytes += done;
  return { seconds: (performance.now() - start) / 1000, bytes };
}

function main() {
  const { executor, workers, rounds } = readOptions(COMMAND);
  checkVectors();
  console.log(`RC4 agrees with ${VECTORS.length} keys of RFC 6229`);
  console.log(`${JOBS} jobs of 149 to 384 KiB, ${rounds} times each, on ${executor}\n`);
  console.log("workers  seconds  speed-up  MiB/s");
  let baseline: number | undefined;
  for (const count of workers) {
    const { seconds, bytes } = measure(executor, count, rounds);
    baseline ??= seconds;
    console.log(
      `${count}`.padStart(7),
      seconds.toFixed(2).padStart(8),
      `${(baseline / seconds).toFixed(2)}x`.padStart(9),
      (2 * bytes / 2 ** 20 / seconds).toFixed(0).padStart(6),
    );
  }
}

export const COMMAND = commandLine({
  about: "Encrypt and decrypt with RC4 in 1, 2, … processes or threads, and print how much faster more of them are.",
  command: "deno run --allow-read=. --allow-run examples/arcfour.ts",
  example: "--workers 1,4",
  options: {
    executor: EXECUTOR,
    workers: workersFor(JOBS),
    rounds: rounds("how often each job encrypts and decrypts its bytes"),
  },
});

// The workers import this module too: only the program itself is to start.
if (import.meta.main) main();
