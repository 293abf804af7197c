/**
 * Counts the words of a large text: a map over its pieces in processes, threads or a cluster, and a reduce.
 *
 * ```sh
 * deno run -R -W=downloads --allow-run examples/real/wordcount.ts
 * deno run -R -W=downloads examples/real/wordcount.ts -x threads
 * deno run -A executors/cluster/node.ts --module examples/real/wordcount.ts  # a node of a cluster
 * deno run -A examples/real/wordcount.ts -x cluster --sequential             # needs a server and nodes
 * ```
 *
 * The program makes the text itself, some hundred MB, once. A task gets the name of the file and where its piece lies,
 * reads that, and returns how often each word is in it: the text goes to no worker, only counts come back. So on a
 * cluster the nodes must see the file, by the same path: on the same machine, or on a disk that they share.
 *
 * @module
 */

import { type Executor, ProcessPoolExecutor, repeat, ThreadPoolExecutor } from "@concurrent/futures";
import { commandLine, directory, EXECUTOR, numberFrom, oneOf, readOptions, REDIS, workersFor } from "../_options.ts";

const MIB = 2 ** 20;

/** How often each word occurs. */
export type Counts = Map<string, number>;

// ---- map ----------------------------------------------------------------------------------------------------------

/** The task: counts the words of a piece of a file. Pieces that touch each other share no word, and lose none. */
export function countPiece(path: string, start: number, end: number): Counts {
  using file = Deno.openSync(path);
  const from = borderAt(file, start);
  const bytes = new Uint8Array(borderAt(file, end) - from);
  file.seekSync(from, Deno.SeekMode.Start);
  for (let at = 0; at < bytes.length;) at += file.readSync(bytes.subarray(at)) ?? bytes.length;
  const counts: Counts = new Map();
  for (const word of new TextDecoder().decode(bytes).toLowerCase().match(/\p{L}+/gu) ?? []) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

/**
 * Where a piece begins that is to begin at an offset, and where the one before it ends: after the next white space. No
 * byte of a character that has several is white space, so this is never inside of one.
 */
function borderAt(file: Deno.FsFile, offset: number): number {
  if (offset === 0) return 0;
  file.seekSync(offset, Deno.SeekMode.Start);
  const block = new Uint8Array(1024);
  for (let at = offset;;) {
    const length = file.readSync(block);
    if (length === null) return at; // the end of the file
    const space = block.subarray(0, length).findIndex((byte) => byte === 0x20 || byte === 0x0a);
    if (space >= 0) return at + space + 1;
    at += length;
  }
}

// ---- reduce -------------------------------------------------------------------------------------------------------

/** Counts the words of a whole file, with an executor or without one. */
export function countFile(path: string, executor?: Pick<Executor, "map">): Counts {
  const { size } = Deno.statSync(path);
  const piece = Math.ceil(Math.min(8 * MIB, size / 32));
  const starts = Array.from({ length: Math.ceil(size / piece) }, (_, i) => i * piece);
  const ends = starts.map((start) => Math.min(start + piece, size));
  // Any order will do, and a task takes long enough to travel alone.
  const parts = executor?.map(countPiece, repeat(path), starts, ends, { ordered: false, chunksize: 1 }) ??
    starts.values().map((start, i) => countPiece(path, start, ends[i]));
  const total: Counts = new Map();
  for (const counts of parts) {
    for (const [word, count] of counts) total.set(word, (total.get(word) ?? 0) + count);
  }
  return total;
}

// ---- the text -----------------------------------------------------------------------------------------------------

/** Words, the most frequent first: ten of English, and some thousand made of syllables. */
function vocabulary(): string[] {
  const syllables = ["ka", "mé", "lo", "ri", "tü", "sa", "no", "vi", "ñe", "du", "žo", "wy"];
  return Array.from({ length: 20_000 }, (_, rank) => {
    let word = "";
    for (let rest = rank; rest > 0; rest = Math.floor(rest / 12)) word += syllables[rest % 12];
    return ["the", "of", "and", "to", "in", "a", "is", "that", "for", "it"][rank] ?? word;
  });
}

/** Makes a text, the same each time. As in real ones, the word at place n is n times rarer than the first one. */
export function makeText(path: string, size: number): void {
  const words = vocabulary();
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  let random = 1;
  for (let written = 0; written < size;) {
    let text = "";
    while (text.length < Math.min(65_536, size - written)) {
      let sentence = "";
      for (let i = 0; i < 12; i++) {
        random ^= random << 13; // Marsaglia's xorshift
        random ^= random >>> 17;
        random ^= random << 5;
        sentence += ` ${words[Math.floor(words.length ** ((random >>> 0) / 2 ** 32)) - 1]}`;
      }
      text += `${sentence[1].toUpperCase()}${sentence.slice(2)}.\n`;
    }
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    written += bytes.length;
  }
}

// ---- the program --------------------------------------------------------------------------------------------------

type Kind = "processes" | "threads" | "cluster";

async function makePool(executor: Kind, workers: number | undefined, redis: string): Promise<Executor> {
  if (executor === "threads") return new ThreadPoolExecutor(workers);
  if (executor === "processes") return new ProcessPoolExecutor(workers);
  const entry: string = "@concurrent/futures/cluster"; // BullMQ and all it needs would also be loaded for a literal
  const { ClusterExecutor }: typeof import("@concurrent/futures/cluster") = await import(entry);
  return new ClusterExecutor({ redis });
}

/** Makes the text if it is not there; its absolute path. */
function textIn(dest: string, size: number): string {
  Deno.mkdirSync(dest, { recursive: true });
  const path = `${dest.replace(/\/+$/, "")}/words-${size}.txt`;
  try {
    return Deno.realPathSync(path);
  } catch {
    console.log(`Making ${path}`);
    makeText(`${path}.part`, size * MIB); // so that Ctrl-C leaves no half of it under its name
    Deno.renameSync(`${path}.part`, path);
    return Deno.realPathSync(path);
  }
}

async function main(): Promise<void> {
  const { executor, workers, sequential, redis, dest, size } = readOptions(COMMAND);
  const path = textIn(dest, size);
  console.log(`The words of ${size} MiB, on ${executor}\n\nworkers  seconds  speed-up  MiB/s`);
  let first: { seconds: number; counts: Counts } | undefined;
  /** Prints a line of the table. */
  const measure = (label: string, pool?: Executor) => {
    const start = performance.now();
    const counts = countFile(path, pool);
    const seconds = (performance.now() - start) / 1000;
    first ??= { seconds, counts };
    if (!isSame(counts, first.counts)) throw new Error(`${label} has counted other words than the first line`);
    const cells = [label, seconds.toFixed(2), `${(first.seconds / seconds).toFixed(2)}x`, (size / seconds).toFixed(1)];
    console.log(cells.map((cell, i) => cell.padStart([7, 9, 10, 7][i])).join(""));
  };
  if (sequential) measure("none");
  for (const count of executor === "cluster" ? [undefined] : workers) {
    await using pool = await makePool(executor, count, redis);
    // The first task of each worker also waits for its start.
    await Promise.all(Array.from({ length: count ?? 1 }, () => pool.submit(countPiece, path, 0, 1)));
    measure(`${count ?? "nodes"}`, pool);
  }
  const { counts } = first!;
  console.log("\nThe ten most frequent ones:");
  // Which piece is counted first differs from run to run, and so would the order of words that are as frequent.
  const byCount = ([a, inA]: [string, number], [b, inB]: [string, number]) => inB - inA || a.localeCompare(b);
  for (const [word, count] of [...counts].sort(byCount).slice(0, 10)) {
    console.log(`${count}`.padStart(9), word);
  }
  console.log(
    `${counts.values().reduce((sum, count) => sum + count, 0)}`.padStart(9),
    `words, ${counts.size} different`,
  );
}

function isSame(a: Counts, b: Counts): boolean {
  return a.size === b.size && a.entries().every(([word, count]) => b.get(word) === count);
}

export const COMMAND = commandLine({
  about: "Count the words of a large text in processes, threads or a cluster, and print how much faster that is.",
  command: "deno run -R -W=downloads --allow-run examples/real/wordcount.ts",
  example: "--workers 1,4",
  options: {
    executor: {
      ...EXECUTOR,
      text: "what counts: processes, threads or cluster",
      reads: oneOf<Kind>(["processes", "threads", "cluster"]),
    },
    workers: workersFor(32),
    sequential: { text: "count without an executor first; the speed-up is that against it" },
    size: { value: "MIB", text: "how large the text is", reads: numberFrom(0.01, 100_000, "MiB"), default: "200" },
    redis: REDIS,
    dest: { short: "o", value: "DIR", text: "where the text is saved", reads: directory, default: "downloads/" },
  },
});

// The workers import this module too: only the program itself is to start.
if (import.meta.main) await main();
