/**
 * Measures `server.ts`: how many requests it answers in a second, and how long `/ping` takes meanwhile.
 *
 * @module
 */

import autocannon from "autocannon";

/** A guide with some 30 blocks of code. */
const PAGE = "executors/README.md";
const CONNECTIONS = 8;
/** How many pages are asked for before the clock starts. */
const WARM_UP = 20;
/** The two ways take turns after so many seconds, so that a machine that is busy for a while is no help to either. */
const TURN = 5;

/** What was seen of a server with so many threads. */
class Way {
  requests = 0;
  seconds = 0;
  readonly pings: number[] = [];
  constructor(readonly name: string, readonly workers: number) {}

  get rate(): number {
    return this.requests / this.seconds;
  }

  /** How long the quickest part of the pings took at the most, in milliseconds. */
  ping(part: number): number {
    return this.pings.toSorted((a, b) => a - b)[Math.ceil(this.pings.length * part) - 1];
  }
}

/** Starts the program as a server, and ends it with the block. */
async function start(program: string, workers: number) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "-N=127.0.0.1", "-R=.", program, "--port", "0", "--workers", `${workers}`],
    stdout: "piped",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value: line = "" } = await output.read();
  const url = /^http:[^ ]+/.exec(line)?.[0];
  if (url === undefined) throw new Error("Cannot start the server");
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await Promise.all([child.status, output.cancel()]);
    },
  };
}

/** Sends as many requests as the server answers, and meanwhile asks for `/ping` again and again. */
async function load(way: Way, program: string, seconds: number) {
  await using server = await start(program, way.workers);
  // The first pages also wait for the start of the threads, and for their code to be compiled.
  await Promise.all(Array.from({ length: WARM_UP }, async () => (await fetch(server.url + PAGE)).body!.cancel()));
  let isOver = false;
  const loading = Promise.resolve(autocannon({ url: server.url + PAGE, connections: CONNECTIONS, duration: seconds }))
    .finally(() => isOver = true);
  while (!isOver) {
    const start = performance.now();
    await (await fetch(`${server.url}ping`)).text();
    way.pings.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { "2xx": good, non2xx, errors, duration } = await loading;
  if (non2xx + errors > 0) throw new Error(`${non2xx + errors} requests have failed`);
  way.requests += good;
  way.seconds += duration;
}

/** Compares the server without threads and with them. */
export async function compare(program: string, { workers, seconds }: { workers: number; seconds: number }) {
  const without = new Way("on the event loop", 0);
  const pool = new Way(`threads: ${workers}`, workers);
  console.log(
    `${CONNECTIONS} connections ask for ${PAGE}, for ${seconds} s each way, ` +
      `on ${navigator.hardwareConcurrency} cores\n`,
  );
  for (let left = seconds; left > 0; left -= TURN) {
    for (const way of [without, pool]) await load(way, program, Math.min(left, TURN));
  }
  console.log("                   requests/s  /ping, median  /ping, 99 %");
  for (const way of [without, pool]) {
    console.log(
      way.name.padEnd(18),
      way.rate.toFixed(1).padStart(10),
      `${way.ping(0.5).toFixed(1)} ms`.padStart(14),
      `${way.ping(0.99).toFixed(1)} ms`.padStart(12),
    );
  }
  console.log(
    `\nWith threads it answers ${(pool.rate / without.rate).toFixed(1)} times as many requests, ` +
      `and /ping in 1/${(without.ping(0.5) / pool.ping(0.5)).toFixed(0)} of the time`,
  );
}
