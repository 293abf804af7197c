/**
 * Downloads flags as `flags.ts` does, and more: chosen countries, from servers that are slow or faulty, with a progress
 * bar, and a count of what was found, what was not, and what failed.
 *
 * ```sh
 * deno run -P examples/flags2.ts                                # 20 flags, in threads
 * deno run -P examples/flags2.ts --mode sequential              # one after the other
 * deno run -P examples/flags2.ts -s DELAY a b c                 # every code from AA to CZ, from a slow server
 * deno run -P examples/flags2.ts -s ERROR -al 100 -m 100        # 100 flags at once, from a server that fails at times
 * deno run -P examples/flags2.ts -s ERROR -v --mode async br us # what happens to each country
 * deno run -P examples/flags2.ts -s REMOTE --base-url https://flagcdn.com -m 3
 * deno run -P examples/flags2.ts --help
 * ```
 *
 * It uses the server (`flag_server.ts`) that runs at the port of the label: 8001, 8002 or 8003. When none does, it
 * starts one at a free port. Ctrl-C ends it with a report of what was done so far. The idea is that of the flags2
 * programs in the chapter on futures of "Fluent Python".
 *
 * @module
 */

import {
  asCompleted,
  type Executor,
  Future,
  ProcessPoolExecutor,
  registerError,
  ThreadPoolExecutor,
} from "@concurrent/futures";
import { progress } from "@concurrent/futures/progress";
import { COUNTRIES, DownloadError, downloadOne, POP20, type Settings, SITES, startServer } from "./_flags_common.ts";
import { commandLine, directory, oneOf, readOptions, refuse, urlOf, wholeNumber } from "./_options.ts";

// ---- four ways to call downloadOne for all countries -------------------------------------------------------------

/** How the download of a flag ended: the error, or null. */
interface Outcome {
  cc: string;
  error: unknown;
}

/** Downloads the flags, with some number of requests at the same time, and yields each outcome when it is there. */
type Mode = (codes: string[], settings: Settings, requests: number) => AsyncGenerator<Outcome, void>;

const sequential: Mode = async function* (codes, settings) {
  for (const cc of codes) yield { cc, error: await downloadOne(cc, settings).then(() => null, (error) => error) };
};

const threads: Mode = async function* (codes, settings, requests) {
  await using pool = new ThreadPoolExecutor(requests);
  yield* inPool(pool, codes, settings);
};

const processes: Mode = async function* (codes, settings, requests) {
  // A process may do what it has to, and no more.
  const permissions = { net: [new URL(settings.baseUrl).host], write: [settings.dest] };
  await using pool = new ProcessPoolExecutor({ maxWorkers: requests, permissions });
  yield* inPool(pool, codes, settings);
};

/** The same for both kinds of pool. */
function inPool(pool: Executor, codes: string[], settings: Settings) {
  // Futures finish in any order, and do not know of which country they are.
  return outcomesOf(new Map(codes.map((cc) => [pool.submit(downloadOne, cc, settings), cc])));
}

/** No workers: the event loop waits for some answers at once, and completes the futures itself, as an executor does. */
const eventLoop: Mode = async function* (codes, settings, requests) {
  const countries = new Map(codes.map((cc) => [new Future<string>(), cc]));
  // One iterator for all, so that each takes the next country.
  const rest = countries.entries();
  for (let i = 0; i < requests; i++) {
    void (async () => {
      for (const [future, cc] of rest) {
        if (!future.setRunningOrNotifyCancel()) continue;
        await downloadOne(cc, settings).then((cc) => future.setResult(cc), (error) => future.setException(error));
      }
    })();
  }
  yield* outcomesOf(countries);
};

async function* outcomesOf(countries: Map<Future<string>, string>): AsyncGenerator<Outcome, void> {
  try {
    // Not a plain `for`: that blocks this thread, which then would not draw the bar and would not hear Ctrl-C.
    for await (const future of asCompleted(countries.keys())) {
      yield { cc: countries.get(future)!, error: future.exception() };
    }
  } finally {
    for (const future of countries.keys()) future.cancel(); // If the loop was left early; else all are done.
  }
}

/** Each mode, and how many requests it makes at the same time: by default, and whatever is asked for. */
const MODES: Record<string, { download: Mode; requests: number; most: number }> = {
  sequential: { download: sequential, requests: 1, most: 1 },
  threads: { download: threads, requests: 30, most: 100 },
  processes: { download: processes, requests: 4, most: 32 },
  async: { download: eventLoop, requests: 5, most: 1000 },
};

/** How many requests a mode makes at the same time when some number is wanted, and so many codes are. */
export function requestsAtOnce(mode: string, codes: number, wanted?: number): number {
  const { requests, most } = MODES[mode];
  return Math.min(wanted ?? requests, most, codes);
}

// ---- what the user sees -------------------------------------------------------------------------------------------

/** Counts the outcomes and reports them. */
class Report {
  readonly #counts = { downloaded: 0, notFound: 0, errors: 0 };
  readonly #start = performance.now();
  readonly #total: number;
  readonly #verbose: boolean;

  constructor(total: number, verbose: boolean) {
    this.#total = total;
    this.#verbose = verbose;
  }

  /** Counts one country; an error that is no matter of its flag ends the program. */
  note({ cc, error }: Outcome) {
    if (error === null) this.#counts.downloaded++;
    else if (!(error instanceof DownloadError)) throw error;
    else if (error.status === 404) this.#counts.notFound++;
    else this.#counts.errors++;

    if (!this.#verbose) return;
    if (error === null) console.log(`${cc} OK`);
    else if (error.status === 404) console.log(`${cc} not found`);
    else console.log(`*** Error for ${cc}: ${error.reason}`);
  }

  end(interrupted: boolean) {
    const { downloaded, notFound, errors } = this.#counts;
    console.log("-".repeat(20));
    if (interrupted) console.log(`Interrupted after ${downloaded + notFound + errors} of ${this.#total}.`);
    console.log(`${count(downloaded, "flag")} downloaded.`);
    console.log(`${notFound} not found.`);
    console.log(`${count(errors, "error")}.`);
    console.log(`Elapsed time: ${((performance.now() - this.#start) / 1000).toFixed(2)}s`);
  }
}

/** Passes outcomes on until Ctrl-C is pressed, also while it waits for one. */
async function* until(pressed: Promise<void>, outcomes: AsyncGenerator<Outcome, void>) {
  try {
    while (true) {
      const next = await Promise.race([outcomes.next(), pressed]);
      if (!next || next.done) return;
      yield next.value;
    }
  } finally {
    void outcomes.return(); // Not awaited: it would wait for the outcome that this does not wait for.
  }
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

/** Says what is going to happen. */
function announce(label: string, site: string, codes: string[], requests: number) {
  const range = codes.length <= 10 ? codes.join(", ") : `from ${codes[0]} to ${codes.at(-1)}`;
  console.log(`${label} site: ${site}`);
  console.log(`Searching for ${count(codes.length, "flag")}: ${range}`);
  console.log(`${count(requests, "concurrent connection")} will be used.`);
}

// ---- where the flags come from ------------------------------------------------------------------------------------

/** The server at the port of the label; one of our own where none runs there, or one with another seed. */
async function findServer(label: string, seed?: number): Promise<Disposable & { baseUrl: string }> {
  const site = SITES[label];
  const baseUrl = `http://127.0.0.1:${site.port}/flags`;
  try {
    const response = await fetch(`${baseUrl}/`, { signal: AbortSignal.timeout(2_000) });
    const found = await response.json();
    if (found.server === "flag_server" && (seed ?? found.seed) === found.seed) {
      return { baseUrl, [Symbol.dispose]() {} };
    }
  } catch { /* nobody there, or somebody else */ }
  return await startServer({ ...site, port: 0, seed: seed ?? site.seed });
}

/** The site that a user names. Asks for the permission here, and not in each worker. */
async function remoteSite(baseUrl: string) {
  await Deno.permissions.request({ name: "net", host: new URL(baseUrl).host });
  return { baseUrl, [Symbol.dispose]() {} };
}

// ---- the command line ---------------------------------------------------------------------------------------------

export const COMMAND = commandLine({
  about: "Download the flags of countries, by default of the 20 most populous ones.",
  command: "deno run -P examples/flags2.ts",
  example: "-s ERROR -al 100 -m 100",
  operands: {
    value: "CC",
    text: "a country's code, or its first letter: B for BA to BZ",
    reads: {
      wanted: "the two letters of a country's code, or its first letter",
      read: (cc) => /^[a-z]{1,2}$/i.test(cc) ? cc.toUpperCase() : undefined,
    },
  },
  options: {
    all: { short: "a", text: "all flags that there are, AD to ZW" },
    every: { short: "e", text: "every possible code, AA to ZZ" },
    limit: { short: "l", value: "N", text: "no more than the first N codes", reads: wholeNumber(1) },
    max_req: {
      short: "m",
      value: "N",
      text: "requests at the same time, at most (also --max-req)",
      reads: wholeNumber(1),
      alias: "max-req",
    },
    server: {
      short: "s",
      value: "LABEL",
      text: "one of LOCAL, DELAY, ERROR, REMOTE",
      reads: oneOf([...Object.keys(SITES), "REMOTE"]),
      default: "LOCAL",
    },
    verbose: { short: "v", text: "say what happens to each country, without a bar" },
    mode: {
      value: "MODE",
      text: "how to send the requests\n" +
        "              at once  at most\n" +
        "  sequential        1        1\n" +
        "  threads          30      100\n" +
        "  processes         4       32\n" +
        "  async             5     1000",
      reads: oneOf(Object.keys(MODES)),
      default: "threads",
    },
    "base-url": {
      short: "u",
      value: "URL",
      text: "with --server REMOTE: {URL}/cn.svg is the flag of China",
      reads: urlOf("http", "https"),
    },
    seed: { value: "N", text: "decides what fails, and how long each flag takes", reads: wholeNumber(0) },
    dest: { short: "o", value: "DIR", text: "where to save the flags", reads: directory, default: "downloads/" },
  },
  check({ server, "base-url": baseUrl }) {
    if (server === "REMOTE" && baseUrl === undefined) {
      refuse("--server REMOTE without --base-url", "--base-url with a URL that begins with http:// or https://");
    }
    if (server !== "REMOTE" && baseUrl !== undefined) {
      refuse(`--base-url "${baseUrl}" with --server ${server}`, "--server REMOTE");
    }
  },
});

/** The codes that are asked for, each once, in the order of the alphabet. */
function chooseCodes(wanted: string[], all: boolean, every: boolean): string[] {
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  const startingWith = (first: string) => letters.map((second) => first + second);
  const chosen = wanted.flatMap((cc) => cc.length === 1 ? startingWith(cc) : [cc]);
  if (all) chosen.push(...COUNTRIES);
  if (every) chosen.push(...letters.flatMap(startingWith));
  return [...new Set(chosen.length === 0 ? POP20 : chosen)].sort();
}

/** Runs the program and returns its exit code. */
async function main(): Promise<number> {
  const { all, every, limit, server: label, verbose, seed, dest, operands, ...options } = readOptions(COMMAND);
  const { max_req: wanted, "base-url": baseUrl } = options;
  const codes = chooseCodes(operands, all, every).slice(0, limit);
  try {
    await Deno.mkdir(dest, { recursive: true });
    using server = baseUrl === undefined ? await findServer(label, seed) : await remoteSite(baseUrl);
    const requests = requestsAtOnce(options.mode, codes.length, wanted);
    announce(label, server.baseUrl, codes, requests);

    registerError(DownloadError); // So that those thrown in a worker are instances of it here.
    const settings = { baseUrl: server.baseUrl, dest, quiet: true };
    const report = new Report(codes.length, verbose);
    let interrupted = false;
    const pressed = new Promise<void>((resolve) => {
      Deno.addSignalListener("SIGINT", () => {
        interrupted = true;
        resolve();
      });
    });
    let outcomes: AsyncIterable<Outcome> = until(pressed, MODES[options.mode].download(codes, settings, requests));
    // A bar, where stderr is a terminal; what is verbose would tear it apart.
    if (!verbose) outcomes = progress(outcomes, { total: codes.length });
    for await (const outcome of outcomes) report.note(outcome);
    report.end(interrupted);
    // Threads cannot be killed, but they end with the program; so do processes.
    if (interrupted) Deno.exit(130);
    return 0;
  } catch (error) {
    console.error((error as Error).message.split("\n", 1)[0]);
    return 1;
  }
}

// A worker that looks for a task may import this module: only the program itself is to start.
if (import.meta.main) Deno.exitCode = await main();
