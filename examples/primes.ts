/**
 * Tells which of six numbers are prime, in a process for each core.
 *
 * ```sh
 * deno run --allow-read --allow-run examples/primes.ts
 * ```
 *
 * The program is that of Python's manual on ProcessPoolExecutor. It needs `--allow-run` to start the processes, which
 * are Deno again, and `--allow-read` for the modules that they load.
 *
 * @module
 */

import { ProcessPoolExecutor } from "@concurrent/futures";
import { commandLine, readOptions } from "./_options.ts";

const PRIMES = [
  112272535095293,
  112582705942171,
  112272535095293,
  115280095190773,
  115797848077099,
  1099726899285419,
];

/**
 * Whether a number is prime. It divides up to ten million times, without a pause: work for a process, as it would
 * keep the event loop busy. It is exported, so a process finds it by importing this module.
 */
export function isPrime(n: number): boolean {
  if (n < 2) return false;
  if (n === 2) return true;
  if (n % 2 === 0) return false;

  const sqrt = Math.floor(Math.sqrt(n));
  for (let i = 3; i <= sqrt; i += 2) {
    if (n % i === 0) return false;
  }
  return true;
}

/** The first of both, the second of both, and so on: Python's `zip`. */
function* zip<A, B>(as: Iterable<A>, bs: Iterable<B>): Generator<[A, B]> {
  const others = Iterator.from(bs);
  for (const a of as) {
    const { value, done } = others.next();
    if (done) return;
    yield [a, value];
  }
}

function main() {
  // As many processes as there are cores at the most. They end at the end of the block.
  using executor = new ProcessPoolExecutor();
  // map yields in the order of the numbers, whichever is done first. It blocks until the next result is there.
  for (const [number, prime] of zip(PRIMES, executor.map(isPrime, PRIMES))) {
    console.log(`${number} is prime: ${prime ? "True" : "False"}`);
  }
}

/** It has no options but `--help`. */
export const COMMAND = commandLine({
  about: "Tell which of six numbers are prime, in a process for each core.",
  command: "deno run --allow-read --allow-run examples/primes.ts",
});

// A process imports this module to find isPrime: only the program itself is to start.
if (import.meta.main) {
  readOptions(COMMAND);
  main();
}
