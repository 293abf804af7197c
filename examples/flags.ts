/**
 * Downloads the flags of the 20 most populous countries: one after the other, in threads, in processes, or on the event
 * loop.
 *
 * ```sh
 * deno run -P examples/flags.ts                      # in 20 threads
 * deno run -P examples/flags.ts --mode sequential    # one after the other
 * deno run -P examples/flags.ts --mode as-completed  # 5 flags in 3 threads, and the states of their futures
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
import { downloadOne, POP20, type Settings, startServer } from "./_flags_common.ts";
import { commandLine, directory, numberFrom, oneOf, readOptions, urlOf, wholeNumber } from "./_options.ts";

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

// ---- the command line ---------------------------------------------------------------------------------------------

export const COMMAND = commandLine({
  about: "Download the flags of the 20 most populous countries.",
  command: "deno run -P examples/flags.ts",
  example: "--mode processes --workers 4",
  options: {
    mode: {
      value: "MODE",
      text: "sequential, threads, as-completed (5 flags, and the states of their futures), processes or async",
      reads: oneOf(Object.keys(MODES) as Mode[]),
      default: "threads",
    },
    compare: { short: "c", text: "run all modes and print the seconds and the speed-up of each" },
    workers: {
      short: "w",
      value: "N",
      text: "how many threads or processes at most (default 20; 3 with --mode as-completed)",
      reads: wholeNumber(1),
    },
    latency: {
      value: "MS",
      text: "how long the embedded server holds back each flag, in milliseconds",
      reads: numberFrom(0, 60_000, "milliseconds"),
      default: "200",
    },
    dest: { short: "o", value: "DIR", text: "where to save the flags", reads: directory, default: "downloads/" },
    "base-url": {
      short: "u",
      value: "URL",
      text: "download {URL}/cn.svg and so on from there instead of the embedded server, " +
        "for example from https://flagcdn.com",
      reads: urlOf("http", "https"),
    },
  },
});

/** The server that the program brings along, at a free port. */
function embeddedServer(latency: number): Promise<Disposable & { baseUrl: string }> {
  return startServer({ port: 0, delay: [latency, latency], errorRate: 0, seed: 0 });
}

/** Runs the program and returns its exit code. */
async function main(): Promise<number> {
  const { mode, compare, workers, latency, dest, "base-url": baseUrl } = readOptions(COMMAND);
  try {
    await Deno.mkdir(dest, { recursive: true });
    using server = baseUrl === undefined ? await embeddedServer(latency) : { baseUrl, [Symbol.dispose]() {} };
    const settings = { baseUrl: server.baseUrl, dest, quiet: false };
    if (compare) await compareModes(settings, workers);
    else await runMode(mode, settings, workers);
    return 0;
  } catch (error) {
    console.error((error as Error).message.split("\n", 1)[0]);
    return 1;
  }
}

// A worker that looks for a task may import this module: only the program itself is to start.
if (import.meta.main) Deno.exitCode = await main();
