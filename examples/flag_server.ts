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

import * as flags from "country-flag-icons/string/3x2";
import { COUNTRIES, type Site, SITES } from "./_flags_common.ts";
import { commandLine, numberFrom, oneOf, readOptions, wholeNumber } from "./_options.ts";

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

// ---- the command line ---------------------------------------------------------------------------------------------

export const COMMAND = commandLine({
  about: "Serve the flags of 194 countries on 127.0.0.1, for flags.ts and flags2.ts.",
  command: "deno run -P examples/flag_server.ts",
  example: "--server ERROR --port 8080 --seed 7",
  options: {
    server: {
      short: "s",
      value: "LABEL",
      text: "one of LOCAL, DELAY, ERROR\n" +
        "         port  delay    error rate\n" +
        "  LOCAL  8001  0-0      0\n" +
        "  DELAY  8002  250-750  0\n" +
        "  ERROR  8003  0-500    0.25",
      reads: oneOf(Object.keys(SITES)),
      default: "LOCAL",
    },
    port: { short: "p", value: "N", text: "the port; 0 takes a free one", reads: wholeNumber(0, 65_535) },
    delay: {
      short: "d",
      value: "MIN-MAX",
      text: "how long to hold back each answer, in milliseconds",
      reads: {
        wanted: "MIN-MAX in milliseconds, up to 60000, such as 250-750",
        read(text: string): Site["delay"] | undefined {
          const [min, max] = text.match(/^(\d{1,5})-(\d{1,5})$/)?.slice(1).map(Number) ?? [1, 0];
          return min <= max && max <= 60_000 ? [min, max] : undefined;
        },
      },
    },
    "error-rate": {
      short: "r",
      value: "RATE",
      text: "what part of the answers fail, from 0 to 1",
      reads: numberFrom(0, 1),
    },
    seed: { value: "N", text: "decides which ones fail", reads: wholeNumber(0), default: "1" },
  },
});

/** Runs the program; returns its exit code, and the server goes on. */
function main(): number {
  const { server: label, port, delay, "error-rate": errorRate, seed } = readOptions(COMMAND);
  // A label's site, with what the other options change.
  const site: Site = { ...SITES[label], seed };
  site.port = port ?? site.port;
  site.delay = delay ?? site.delay;
  site.errorRate = errorRate ?? site.errorRate;
  const [min, max] = site.delay;
  try {
    const url = serve(site);
    console.log(
      `${label} site: ${url} (delay ${min}-${max} ms, error rate ${site.errorRate}, seed ${seed}); Ctrl-C ends it`,
    );
    return 0;
  } catch (error) {
    console.error((error as Error).message.split("\n", 1)[0]);
    return 1;
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
  Deno.exitCode = main();
}
