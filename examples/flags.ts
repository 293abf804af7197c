/**
 * Downloads the flags of the 20 most populous countries: one after the other, in threads, in processes, or on the event
 * loop.
 *
 * ```sh
 * deno run -P examples/flags.ts                      # in 20 threads
 * deno run -P examples/flags.ts --mode sequential    # one after the other
 * deno run -P examples/flags.ts --mode as-completed  # 5 flags in 3 threads, and how their futures fare
 * deno run -P examples/flags.ts --mode processes     # in 20 processes
 * deno run -P examples/flags.ts --compare            # every mode, with its time
 * deno run -P examples/flags.ts --help
 * ```
 *
 * The flags come from a server that the program brings along (`flag_server.ts`), so it needs no network. The idea is
 * that of the flags programs in the chapter on futures of "Fluent Python"; `flags2.ts` is what they grow into there.
 *
 * @module
 */

import { asCompleted, ProcessPoolExecutor, ThreadPoolExecutor, waitSync } from "@concurrent/futures";
import { parseArgs } from "@std/cli/parse-args";
import { downloadOne, expect, POP20, type Settings, startServer, UsageError } from "./_flags_common.ts";

const HELP = `Download the flags of the 20 most populous countries

Usage: deno run -P examples/flags.ts [options]

  --mode MODE     sequential, threads, as-completed, processes or async (default threads)
  --compare       run all modes and print the seconds and the speed-up of each
  --workers N     threads or processes at most (default 20; 3 with --mode as-completed)
  --latency MS    how long the embedded server holds back each flag (default 200)
  --dest DIR      where to save the flags (default downloads/)
  --base-url URL  download {URL}/cn.svg and so on from there instead of the embedded
                  server, for example from https://flagcdn.com
  --help, -h      print this text`;

// Five ways to call downloadOne for all countries. Each returns the number of flags.

async function sequential(codes: string[], settings: Settings): Promise<number> {
  for (const cc of codes) await downloadOne(cc, settings);
  return codes.length;
}

/** Blocks the main thread until all flags are there: the workers need no help from it. */
function threads(codes: string[], settings: Settings, workers: number): number {
  using pool = new ThreadPoolExecutor(Math.min(workers, codes.length));
  // map yields in the order of the codes, whichever arrives first.
  return [...pool.map(downloadOne, codes, repeat(settings))].length;
}

function* repeat<T>(value: T): Generator<T> {
  while (true) yield value;
}

/** As `threads`, but with the futures in sight. */
function futuresInSight(codes: string[], settings: Settings, workers: number): number {
  const log = settings.quiet ? () => {} : console.log;
  using pool = new ThreadPoolExecutor(Math.min(workers, codes.length));
  const toDo = codes.map((cc) => pool.submit(downloadOne, cc, settings));
  // A worker needs some milliseconds to start. Wait for them all, so that the lines show who is at work and who queues.
  while (toDo.slice(0, workers).some((future) => future.state === "PENDING")) waitSync(toDo, { timeout: 5 });
  toDo.forEach((future, i) => log(`Scheduled for ${codes[i]}: ${future}`));

  let count = 0;
  for (const future of asCompleted(toDo)) {
    const cc = future.result(); // Does not block: the future is done.
    log(`${future} result: ${JSON.stringify(cc)}`);
    count++;
  }
  return count;
}

/** As `threads`, but each worker is a Deno of its own, which may do what it has to and no more. */
function processes(codes: string[], settings: Settings, workers: number): number {
  const permissions = { net: [new URL(settings.baseUrl).host], write: [settings.dest] };
  using pool = new ProcessPoolExecutor({ maxWorkers: Math.min(workers, codes.length), permissions });
  return [...pool.map(downloadOne, codes, repeat(settings))].length;
}

/** No workers: the event loop waits for all answers at once. */
async function eventLoop(codes: string[], settings: Settings): Promise<number> {
  return (await Promise.all(codes.map((cc) => downloadOne(cc, settings)))).length;
}

const MODES = { sequential, threads, "as-completed": futuresInSight, processes, async: eventLoop };
type Mode = keyof typeof MODES;

/** Runs one mode and prints how long it took. */
async function runMode(mode: Mode, settings: Settings, workers?: number) {
  const [codes, defaultWorkers] = mode === "as-completed" ? [POP20.slice(0, 5), 3] : [POP20, 20];
  const start = performance.now();
  let count: number;
  try {
    count = await MODES[mode](codes.toSorted(), settings, workers ?? defaultWorkers);
  } finally {
    console.log(); // Ends the line of codes, also when a download has failed.
  }
  console.log(`${count} flags downloaded in ${((performance.now() - start) / 1000).toFixed(2)}s`);
}

/** Runs all modes with the same flags and the same number of workers, and prints a table. */
async function compareModes(settings: Settings, workers = 20) {
  console.log("mode          seconds  speed-up");
  let baseline: number | undefined;
  for (const mode of Object.keys(MODES) as Mode[]) {
    const start = performance.now();
    await MODES[mode](POP20.toSorted(), { ...settings, quiet: true }, workers);
    const seconds = (performance.now() - start) / 1000;
    baseline ??= seconds;
    console.log(
      `${mode.padEnd(12)}  ${seconds.toFixed(2).padStart(7)}  ${(baseline / seconds).toFixed(1).padStart(7)}x`,
    );
  }
}

function parseOptions(args: string[]) {
  const unknown: string[] = [];
  const options = parseArgs(args, {
    string: ["mode", "workers", "latency", "dest", "base-url"],
    boolean: ["compare", "help"],
    alias: { help: "h" },
    default: { mode: "threads", latency: "200", dest: "downloads/" },
    unknown: (arg) => void unknown.push(arg),
  });
  const { mode, compare, help, workers, latency, dest, "base-url": baseUrl } = options;

  for (const arg of [...unknown, ...options._].map(String)) {
    // parseArgs takes the -1 of `--workers -1` for an option.
    const given = /^-\d/.test(arg) ? `${args[args.indexOf(arg) - 1] ?? ""} ${arg}`.trim() : arg;
    expect(false, given, "options and values as --help lists them");
  }
  expect(Object.hasOwn(MODES, mode), `--mode "${mode}"`, Object.keys(MODES).join(", "));
  const workersFit = workers === undefined || /^0*[1-9]\d*$/.test(workers);
  expect(workersFit, `--workers "${workers}"`, "a whole number from 1 up");
  const latencyFits = /^\d+(\.\d+)?$/.test(latency) && Number(latency) <= 60_000;
  expect(latencyFits, `--latency "${latency}"`, "a number of milliseconds from 0 to 60000");
  expect(dest !== "", `--dest "${dest}"`, "the name of a directory");
  const urlFits = baseUrl === undefined || /^https?:/.test(URL.parse(baseUrl)?.protocol ?? "");
  expect(urlFits, `--base-url "${baseUrl}"`, "an http or https URL");

  return {
    mode: mode as Mode,
    compare,
    help,
    workers: workers === undefined ? undefined : Number(workers),
    latency: Number(latency),
    dest,
    baseUrl: baseUrl?.replace(/\/+$/, ""),
  };
}

/** The server that the program brings along, at a free port. */
function embeddedServer(latency: number): Promise<Disposable & { baseUrl: string }> {
  return startServer({ port: 0, delay: [latency, latency], errorRate: 0, seed: 0 });
}

/** Runs the program and returns its exit code. */
async function main(args: string[]): Promise<number> {
  try {
    const { mode, compare, help, workers, latency, dest, baseUrl } = parseOptions(args);
    if (help) {
      console.log(HELP);
      return 0;
    }
    await Deno.mkdir(dest, { recursive: true });
    using server = baseUrl === undefined ? await embeddedServer(latency) : { baseUrl, [Symbol.dispose]() {} };
    const settings = { baseUrl: server.baseUrl, dest, quiet: false };
    if (compare) await compareModes(settings, workers);
    else await runMode(mode, settings, workers);
    return 0;
  } catch (error) {
    console.error((error as Error).message.split("\n", 1)[0]);
    return error instanceof UsageError ? 2 : 1;
  }
}

// A worker that looks for a task may import this module: only the program itself is to start.
if (import.meta.main) Deno.exitCode = await main(Deno.args);
