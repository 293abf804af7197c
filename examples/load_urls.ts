/**
 * Loads five web pages in five threads and prints each one's size as soon as it is there. One of them fails.
 *
 * ```sh
 * deno run --allow-read=. --allow-net=127.0.0.1 examples/load_urls.ts
 * ```
 *
 * The counterpart of the ThreadPoolExecutor example in Python's manual, with a web server of its own instead of five
 * news sites.
 *
 * @module
 */

import { asCompleted, ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, readOptions } from "./_options.ts";

/** What answers with a status such as 404 ends in. */
class HttpError extends Error {
  override name = "HttpError";
}

/** The task: loads a page, and gives up after `timeout` milliseconds. */
export async function loadUrl(url: string, timeout: number): Promise<Uint8Array> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeout) });
  const page = await response.bytes();
  if (!response.ok) throw new HttpError(`${response.status} ${response.statusText}`);
  return page;
}

/** The pages, and how many bytes each has. One more address will be asked for than there are pages. */
const PAGES: Record<string, number> = { "/news": 40_960, "/sports": 30_000, "/weather": 512, "/about": 0 };

/**
 * Waits until each thread has asked for its page, because they start one after the other. Then it keeps each answer
 * back a little, the large ones longer.
 */
function answerTo(threads: number): (request: Request) => Promise<Response> {
  const { promise: allHaveAsked, resolve } = Promise.withResolvers<void>();
  return async (request) => {
    if (--threads === 0) resolve();
    await allHaveAsked;
    const size = PAGES[new URL(request.url).pathname];
    if (size === undefined) return new Response("No such page", { status: 404 });
    await new Promise((resolve) => setTimeout(resolve, size / 100));
    return new Response("x".repeat(size));
  };
}

async function main() {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answerTo(5));
  const urls = [...Object.keys(PAGES), "/made-up"].map((path) => `http://127.0.0.1:${server.addr.port}${path}`);

  await using pool = new ThreadPoolExecutor(5);
  // A future does not know what it was submitted for: this map does.
  const urlOf = new Map(urls.map((url) => [pool.submit(loadUrl, url, 60_000), url]));
  // `for await`, because the server runs on this very thread: a plain `for` would block it, and nobody would answer.
  for await (const future of asCompleted(urlOf.keys())) {
    const url = urlOf.get(future);
    try {
      const page = await future;
      console.log(`${url} is ${page.length} bytes`);
    } catch (error) {
      console.log(`${url} failed: ${error}`);
    }
  }
}

/** It has no options but `--help`. */
export const COMMAND = commandLine({
  about: "Load five web pages in five threads, and print the size of each as soon as it is there.",
  command: "deno run --allow-read=. --allow-net=127.0.0.1 examples/load_urls.ts",
});

// The threads import this module too: only the program itself is to start.
if (import.meta.main) {
  readOptions(COMMAND);
  await main();
}
