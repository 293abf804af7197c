/**
 * What the tests of properties share. A property holds for any value, or any order of calls: the tests make these at
 * random. A failure names the seed and the path. To repeat it: `PROPERTY_SEED=<seed> PROPERTY_PATH=<path> deno test -P
 * tests/properties --filter <name>`. With `PROPERTY_RUNS=<n>` they try more values, for up to 25 s for each property.
 */
import { type Executor, ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
import fc from "fast-check";
import { within } from "../_helpers.ts";

/** How many milliseconds the check of one property may take. */
const LIMIT = 25_000;

/** Checks a property. A failure names the seed, the path, and the smallest example that was found within the time. */
export async function holds<T>(
  runs: number,
  example: fc.Arbitrary<T>,
  check: (example: T) => Promise<void>,
): Promise<void> {
  const [seed, path, more] = ["SEED", "PATH", "RUNS"].map((name) => Deno.env.get(`PROPERTY_${name}`));
  const end = performance.now() + LIMIT;
  // The option of fast-check that limits the time leaves its timer and the last run behind.
  const property = fc.asyncProperty(example, async (example) => {
    if (performance.now() < end) await check(example);
  });
  await fc.assert(property, {
    numRuns: Number(more ?? runs),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    ...(path === undefined ? {} : { path }),
  });
}

/** Gives a pool to a test. Waits for its end only if the test has passed: a task that hangs must not hide the seed. */
export async function withPool<P extends Executor>(pool: P, use: (pool: P) => Promise<void>): Promise<void> {
  let passed = false;
  try {
    await use(pool);
    passed = true;
  } finally {
    if (passed) await within(pool.shutdown(), "shutdown()");
    else if (pool instanceof ProcessPoolExecutor) pool.killWorkers();
    else pool.shutdownSync({ wait: false, cancelFutures: true });
  }
}

/** Each kind of executor, and how many examples of a value it is given. */
export const KINDS: [string, number, () => Executor][] = [
  ["ThreadPoolExecutor", 200, () => new ThreadPoolExecutor(1)],
  ["ProcessPoolExecutor", 100, () => new ProcessPoolExecutor(1)],
];

/** Any sequence of code units, lone surrogates among them. */
export const text = fc.array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd7ff, max: 0xe000 }), fc.nat(127)), {
  maxLength: 8,
})
  .map((units) => String.fromCharCode(...units));

/** Any key, often one with a meaning of its own. */
export const key: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "__proto__",
    "constructor",
    "then",
    "toJSON",
    "length",
    "0",
    "12",
    "",
    "a-b",
    "\ud800",
    "\0",
    "cause",
  ),
  text,
);

/** Any value that holds no other. */
export const leaf: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, false, -0, NaN, Infinity, -Infinity, 2 ** 53, 5e-324, "", "\udc00"),
  fc.double(),
  fc.integer(),
  fc.bigInt(),
  text,
);
