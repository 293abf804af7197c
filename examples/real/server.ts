/**
 * A web server that computes for each request, and stays quick all the same: threads turn Markdown into HTML.
 *
 * ```sh
 * deno run -N=127.0.0.1 -R=. examples/real/server.ts
 * deno run -N=127.0.0.1 -R=. -E --allow-run examples/real/server.ts --compare
 * ```
 *
 * It shows the pages of this folder: `/executors/README.md` is one. `/ping` answers at once, and `/stats` tells what
 * the pool does. With `--compare` the program starts itself without threads and with them, and compares the two.
 * `-N`, `-R` and `-E` are short for `--allow-net`, `--allow-read` and `--allow-env`.
 *
 * @module
 */

// @ts-types="./_highlight.d.ts"
import hljs from "highlight.js/lib/common";
import { Marked } from "marked";
import { CancelledError, currentTask, QueueFullError, ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, readOptions, wholeNumber } from "../_options.ts";

// ---- the task -----------------------------------------------------------------------------------------------------

/** Each thread imports this module, so each has a Markdown parser of its own. */
const marked = new Marked({
  renderer: {
    code({ text, lang = "" }) {
      // Between two blocks of code, the task ends if the client is gone.
      currentTask()?.signal.throwIfAborted();
      const language = hljs.getLanguage(lang) === undefined ? "plaintext" : lang;
      return `<pre><code>${hljs.highlight(text, { language }).value}</code></pre>\n`;
    },
  },
});

/** Turns Markdown into HTML, with coloured code. */
export function render(markdown: string): string {
  return marked.parse(markdown, { async: false });
}

// ---- the server ---------------------------------------------------------------------------------------------------

const HEAD = "<!doctype html><meta charset=utf-8><style>body{max-width:60em;margin:auto;font-family:sans-serif}" +
  ".hljs-keyword{color:#a0a}.hljs-string{color:#080}.hljs-number{color:#06c}.hljs-comment{color:#777}</style>\n";

/** Serves until it is told to end. The requests that it has accepted still get their answers. */
async function serve({ port, workers, queue }: { port: number; workers: number; queue: number }) {
  await using pool = new ThreadPoolExecutor({ maxWorkers: workers || 1, maxQueued: queue });

  async function answer({ url, signal }: Request): Promise<Response> {
    const { pathname } = new URL(url);
    if (pathname === "/ping") return new Response("pong\n");
    if (pathname === "/stats") return Response.json(pool.stats());
    // A path that leads out of the folder is refused by Deno: the program may read nothing else.
    const markdown = await Deno.readTextFile(`.${pathname === "/" ? "/README.md" : pathname}`).catch(() => undefined);
    if (markdown === undefined) return new Response("No such page\n", { status: 404 });
    // The signal is aborted when the client is gone: what waits for a thread never runs then, and what runs is stopped.
    // A long block of code may take a while, so there is time to come to its end.
    const html = workers === 0 ? render(markdown) : await pool.with({ signal, grace: 2_000 }).submit(render, markdown);
    return new Response(HEAD + html, { headers: { "content-type": "text/html" } });
  }

  function onError(error: unknown): Response {
    if (error instanceof QueueFullError) {
      return new Response("Too many requests wait\n", { status: 503, headers: { "retry-after": "1" } });
    }
    // If the client is gone, that is the error, and nobody reads the answer.
    if (!(error instanceof CancelledError) && (error as Error).name !== "AbortError") console.error(error);
    return new Response("Failed\n", { status: 500 });
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {}, onError }, answer);
  const how = workers === 0 ? "without threads" : `threads: ${workers}; ${queue} requests may wait for them`;
  console.log(`http://127.0.0.1:${server.addr.port}/ (${how}); Ctrl-C ends it`);

  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  const stop = () => {
    // Nobody listens any more, so that a second Ctrl-C ends the program at once.
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
    server.shutdown();
  };
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  await server.finished;
}

// ---- the command line ---------------------------------------------------------------------------------------------

export const COMMAND = commandLine({
  about: "Show the Markdown pages of this folder on 127.0.0.1, as HTML that threads compute.",
  command: "deno run -N=127.0.0.1 -R=. examples/real/server.ts",
  example: "--workers 4 --queue 16",
  options: {
    port: {
      short: "p",
      value: "N",
      text: "the port; 0 takes a free one",
      reads: wholeNumber(0, 65_535),
      default: "8000",
    },
    workers: {
      short: "w",
      value: "N",
      text: "the number of threads; with 0 the event loop computes",
      reads: wholeNumber(0, 64),
      default: `${navigator.hardwareConcurrency}`,
    },
    queue: {
      value: "N",
      text: "how many requests may wait for a thread; the others get a 503",
      reads: wholeNumber(1),
      default: "64",
    },
    compare: { short: "c", text: "compare the server without and with threads; this needs -E and --allow-run, too" },
    seconds: {
      value: "SECONDS",
      text: "how long to measure each of the two",
      reads: wholeNumber(1, 3_600),
      default: "10",
    },
  },
});

// The threads import this module to find render: only the program itself is to serve.
if (import.meta.main) {
  const { compare, ...options } = readOptions(COMMAND);
  // Deno would download the load generator for each server, if the name of this module stood in import().
  const load = "./_server_load.ts";
  if (compare) await (await import(load)).compare(import.meta.filename!, options);
  else await serve(options);
}
