/**
 * What Python's `asyncio` does with executors and downloads, and what to write here: an event loop is always there, and
 * futures are awaited as they are.
 *
 * ```sh
 * deno run -P examples/asyncio.ts                 # the five parts below
 * deno run -P examples/asyncio.ts run_in_executor # the event loop goes on meanwhile
 * deno run -P examples/asyncio.ts wrap_future     # there is nothing to wrap
 * deno run -P examples/asyncio.ts gather          # all results, or all outcomes
 * deno run -P examples/asyncio.ts as_completed    # in the order in which they come
 * deno run -P examples/asyncio.ts semaphore       # three downloads at once, no more
 * ```
 *
 * The downloads come from a server of the program's own, which runs on the same event loop. So nothing here may block
 * that: each part awaits.
 *
 * @module
 */

import { asCompleted, type Future, repeat, ThreadPoolExecutor } from "@concurrent/futures";
import { Semaphore } from "@concurrent/futures/sync";
import { commandLine, oneOf, readOptions, runParts } from "./_options.ts";

// ---- tasks --------------------------------------------------------------------------------------------------------

/** Counts the prime numbers below a limit, the slow way: an event loop that did it itself would stand still. */
export function countPrimes(limit: number): number {
  let count = 0;
  for (let n = 2; n < limit; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor++;
    if (divisor * divisor > n) count++;
  }
  return count;
}

/** Loads a page, when one of the permits is free. Returns how many bytes the page has. */
export async function download(url: string, permits: Semaphore): Promise<number> {
  using _ = await permits.holdAsync(); // async with semaphore:
  return await load(url);
}

/** Loads a page. */
export async function load(url: string): Promise<number> {
  const response = await fetch(url);
  const page = await response.bytes();
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return page.length;
}

// ---- the site -----------------------------------------------------------------------------------------------------

/** Its pages: how long the server holds each back, in milliseconds. */
const PAGES: Record<string, number> = { "/quick": 30, "/late": 300, "/slow": 600 };

/** A server, and how many requests it has had at the same time, at most. */
class Site implements AsyncDisposable {
  readonly #allAsked = Promise.withResolvers<void>();
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => this.#answer(request));
  #asked = 0;
  #now = 0;
  most = 0;

  /** It answers as soon as so many requests have come. */
  constructor(readonly first = 1) {}

  urlOf(page: string): string {
    return `http://127.0.0.1:${this.#server.addr.port}${page}`;
  }

  async #answer(request: Request): Promise<Response> {
    const ms = PAGES[new URL(request.url).pathname];
    if (ms === undefined) return new Response("No such page", { status: 404 });
    if (++this.#asked === this.first) this.#allAsked.resolve();
    await this.#allAsked.promise;
    this.most = Math.max(this.most, ++this.#now);
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#now--;
    return new Response("x".repeat(ms));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

// ---- five parts ---------------------------------------------------------------------------------------------------

/** `await loop.run_in_executor(pool, fn, *args)`: a future can be awaited, so this is `submit`. */
async function runInExecutor(pool: ThreadPoolExecutor) {
  console.log("run_in_executor: await pool.submit(fn, ...args)");
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const count = await pool.submit(countPrimes, 1_500_000).finally(() => clearInterval(timer));
  console.log(
    `a thread found ${count} primes, and the event loop had ${ticks > 10 ? "many turns" : "no turn"} meanwhile`,
  );
}

/** `asyncio.wrap_future(future)`: there is one kind of future, which is awaited, and cancelled, as it is. */
async function wrapFuture(pool: ThreadPoolExecutor) {
  console.log("wrap_future: await future, or Promise.resolve(future)");
  const future: Future<number> = pool.submit(countPrimes, 1_000);
  console.log(`${await future} primes, from the future`);
  const promise: Promise<number> = Promise.resolve(future); // Where a type asks for a promise.
  console.log(`${await promise} primes, from a promise`);
  console.log(`${future.result()} primes, for who may block until they are there`);
}

/** `asyncio.gather(*aws)`: `Promise.all`, and with `return_exceptions=True`: `Promise.allSettled`. */
async function gather(pool: ThreadPoolExecutor, site: Site) {
  console.log("gather: Promise.all, or Promise.allSettled");
  const [page, count] = await Promise.all([pool.submit(load, site.urlOf("/quick")), pool.submit(countPrimes, 100)]);
  console.log(`${page} bytes, ${count} primes`);

  const pages = ["/quick", "/made-up"].map((page) => pool.submit(load, site.urlOf(page)));
  for (const outcome of await Promise.allSettled(pages)) {
    console.log(outcome.status === "fulfilled" ? `${outcome.value} bytes` : `failed: ${outcome.reason.message}`);
  }
}

/** `async for task in asyncio.as_completed(tasks)`: the loop gets the futures themselves, as in Python 3.13. */
async function inOrderOfCompletion(pool: ThreadPoolExecutor) {
  console.log("as_completed: for await (const future of asCompleted(futures))");
  await using site = new Site(3); // A thread that has to start first asks late, but no page comes before that.
  const pages = ["/slow", "/late", "/quick"];
  const pageOf = new Map(pages.map((page) => [pool.submit(load, site.urlOf(page)), page]));
  for await (const future of asCompleted(pageOf.keys(), { timeout: 30_000 })) {
    console.log(`${pageOf.get(future)}: ${await future} bytes`);
  }
}

/** `asyncio.Semaphore(3)` around downloads, on the event loop; and, which Python's cannot do, in several threads. */
async function semaphore(pool: ThreadPoolExecutor) {
  console.log("Semaphore: using _ = await permits.holdAsync()");
  const permits = new Semaphore(3);
  for (const where of ["on the event loop", "in threads"]) {
    await using site = new Site();
    const urls: string[] = Array(12).fill(site.urlOf("/quick"));
    const sizes = where === "in threads"
      ? await Array.fromAsync(pool.map(download, urls, repeat(permits)))
      : await Promise.all(urls.map((url) => download(url, permits)));
    console.log(`${sizes.length} downloads ${where}, at most ${site.most} at the same time`);
  }
}

// ---- the command line ---------------------------------------------------------------------------------------------

const PARTS = {
  run_in_executor: runInExecutor,
  wrap_future: wrapFuture,
  gather,
  as_completed: inOrderOfCompletion,
  semaphore,
};
type Part = keyof typeof PARTS;

export const COMMAND = commandLine({
  about: "Show what the functions of Python's asyncio are here. Without a PART, it runs all five.",
  command: "deno run -P examples/asyncio.ts",
  example: "semaphore",
  operands: { value: "PART", text: Object.keys(PARTS).join(", "), reads: oneOf(Object.keys(PARTS) as Part[]) },
});

async function main() {
  const { operands } = readOptions(COMMAND);
  await using site = new Site();
  await using pool = new ThreadPoolExecutor(5);
  await runParts(PARTS, operands, pool, site);
}

// The threads import this module too: only the program itself is to start.
if (import.meta.main) await main();
