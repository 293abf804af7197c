/**
 * A web site with the flags of 194 countries, for `flags.ts` and `flags2.ts` to download: quick, slow or faulty.
 *
 * ```sh
 * deno run -P examples/flag_server.ts                       # LOCAL, port 8001: answers at once
 * deno run -P examples/flag_server.ts -s DELAY              # port 8002: holds back each answer
 * deno run -P examples/flag_server.ts -s ERROR              # port 8003: holds back, and a quarter of the answers fail
 * deno run -P examples/flag_server.ts --port 8080 --delay 0-50 --error-rate 0.5 --seed 7
 * ```
 *
 * The flag of China is at `http://127.0.0.1:8001/flags/cn.svg`; the flags come from an npm package. The labels and the
 * ports are those of "Fluent Python", where a web server and two proxies do this.
 *
 * Which answers fail, how, and how long each takes depends on nothing but the seed and the country: in whatever order
 * a program asks, and however often, it gets the same.
 *
 * @module
 */
/// <reference lib="deno.worker" />

import { parseArgs } from "node:util";
import * as flags from "country-flag-icons/string/3x2";
import { COUNTRIES, expect, parseStrictly, type Site, SITES, UsageError, wholeNumber } from "./_flags_common.ts";

const HELP = `Serve the flags of 194 countries on 127.0.0.1

Usage: deno run -P examples/flag_server.ts [options]

  -s, --server LABEL     one of LOCAL, DELAY, ERROR (default LOCAL), which sets the
                         port, the delay and the error rate:
                           LOCAL  8001  0-0      0
                           DELAY  8002  250-750  0
                           ERROR  8003  0-500    0.25
  -p, --port N           the port; 0 takes a free one
  -d, --delay MIN-MAX    how long to hold back each answer, in milliseconds
  -r, --error-rate RATE  what part of the answers fail, from 0 to 1
      --seed N           decides which ones do (default 1)
  -h, --help             print this text`;

const HEADERS = { "content-type": "image/svg+xml" };

/** The ways to fail: an HTTP error each, and a connection that breaks off in the middle of an image. */
const FAILURES: (() => Response)[] = [
  () => new Response("Failed on purpose", { status: 500, statusText: "Internal Server Error" }),
  () => new Response("Failed on purpose", { status: 502, statusText: "Bad Gateway" }),
  () => new Response("Failed on purpose", { status: 503, statusText: "Service Unavailable" }),
  () => new Response("Failed on purpose", { status: 504, statusText: "Gateway Timeout" }),
  () => new Response(ReadableStream.from([new Uint8Array(9)]), { headers: { ...HEADERS, "content-length": "999" } }),
];

/** Answers one request for `/flags/cn.svg` and the like. */
async function answer(request: Request, site: Site): Promise<Response> {
  const { pathname } = new URL(request.url);
  // What a program asks to find out whether this server runs here, and how it behaves.
  if (pathname === "/flags/") return Response.json({ server: "flag_server", ...site });

  const code = pathname.match(/^\/flags\/([a-z]{2})\.svg$/)?.[1].toUpperCase();
  if (code === undefined) return notFound();
  const chance = (what: string) => randomOf(`${site.seed} ${what} ${code}`);

  const [min, max] = site.delay;
  await new Promise((resolve) => setTimeout(resolve, min + chance("delay") * (max - min)));
  if (chance("failure") < site.errorRate) return FAILURES[Math.floor(chance("kind") * FAILURES.length)]();
  if (!COUNTRIES.includes(code)) return notFound();
  return new Response(flags[code as keyof typeof flags], { headers: HEADERS });
}

function notFound(): Response {
  return new Response("No such flag", { status: 404, statusText: "Not Found" });
}

/** A number from 0 up to 1 that looks random and is always the same for the same text (FNV-1a, mixed once more). */
function randomOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** Starts the server, and says where it is. */
function serve(site: Site): string {
  const { port } = site;
  try {
    const server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, (request) => answer(request, site));
    return `http://127.0.0.1:${server.addr.port}/flags`;
  } catch (error) {
    throw new Error(`Cannot serve at port ${port}: ${(error as Error).message}`, { cause: error });
  }
}

/** Reads the command line: a label's site, with what the other options change. */
function parseSite(args: string[]): { help: boolean; label: string; site: Site } {
  const { values } = parseStrictly((args) =>
    parseArgs({
      args,
      options: {
        server: { type: "string", short: "s", default: "LOCAL" },
        port: { type: "string", short: "p" },
        delay: { type: "string", short: "d" },
        "error-rate": { type: "string", short: "r" },
        seed: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    }), args);
  const { server, port, delay, "error-rate": errorRate, seed, help } = values;

  const label = server.toUpperCase();
  expect(Object.hasOwn(SITES, label), `--server "${server}"`, `one of ${Object.keys(SITES).join(", ")}`);
  const site = structuredClone(SITES[label]);
  if (port !== undefined) site.port = wholeNumber("--port", port, 0, 65_535);
  if (delay !== undefined) {
    const [min, max] = delay.match(/^(\d{1,5})-(\d{1,5})$/)?.slice(1).map(Number) ?? [1, 0];
    expect(min <= max && max <= 60_000, `--delay "${delay}"`, "MIN-MAX in milliseconds, up to 60000, such as 250-750");
    site.delay = [min, max];
  }
  if (errorRate !== undefined) {
    const fits = /^\d*\.?\d+$/.test(errorRate) && Number(errorRate) <= 1;
    expect(fits, `--error-rate "${errorRate}"`, "a number from 0 to 1, such as 0.25");
    site.errorRate = Number(errorRate);
  }
  if (seed !== undefined) site.seed = wholeNumber("--seed", seed, 0);
  return { help, label, site };
}

/** Runs the program; returns its exit code, and the server goes on. */
function main(args: string[]): number {
  try {
    const { help, label, site } = parseSite(args);
    if (help) {
      console.log(HELP);
      return 0;
    }
    const { delay: [min, max], errorRate, seed } = site;
    const url = serve(site);
    console.log(
      `${label} site: ${url} (delay ${min}-${max} ms, error rate ${errorRate}, seed ${seed}); Ctrl-C ends it`,
    );
    return 0;
  } catch (error) {
    console.error((error as Error).message.split("\n", 1)[0]);
    return error instanceof UsageError ? 2 : 1;
  }
}

// Other programs run this module as a Web Worker: see startServer in _flags_common.ts.
const embedded = new URL(import.meta.url).searchParams.get("embedded");
if (embedded !== null) {
  try {
    self.postMessage({ baseUrl: serve(JSON.parse(embedded)) });
  } catch (error) {
    self.postMessage({ error });
  }
} else if (import.meta.main) {
  Deno.exitCode = main(Deno.args);
}
