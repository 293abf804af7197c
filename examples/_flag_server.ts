/// <reference lib="deno.worker" />

/**
 * The web site that `flags.ts` downloads from, run as a Web Worker: real flags from an npm package, on 127.0.0.1, at a
 * free port, each answer held back by the latency that is asked for. It posts its port when it is ready, or the reason
 * why it cannot start.
 *
 * A thread of its own, because the main thread may block while it waits for a future, and a blocked thread answers no
 * requests.
 *
 * @module
 */

import * as flags from "country-flag-icons/string/3x2";

const latency = Number(new URL(import.meta.url).searchParams.get("latency"));

async function answer(request: Request): Promise<Response> {
  await new Promise((resolve) => setTimeout(resolve, latency));
  const code = new URL(request.url).pathname.match(/^\/([a-z]{2})\.svg$/)?.[1].toUpperCase();
  if (code === undefined || !Object.hasOwn(flags, code)) return new Response("No such flag", { status: 404 });
  const svg = flags[code as keyof typeof flags];
  return new Response(svg, { headers: { "content-type": "image/svg+xml" } });
}

try {
  Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => self.postMessage({ port }) }, answer);
} catch (error) {
  self.postMessage({ error });
}
