/**
 * Measures what tasks cost on a cluster, beside plain BullMQ in the same run: two nodes on this machine each, and one
 * server. {@linkcode USAGE} tells how to call it.
 *
 * Rounds of both take turns, and each figure is the median of the rounds. Plain BullMQ runs 20 jobs at once in each of
 * its nodes, in the node's own thread: what the executor adds is a process for each task, errors with their class, and
 * results for a thread that may block.
 */
import { parseArgs } from "@std/cli/parse-args";
import { Queue, QueueEvents } from "bullmq";
import { ClusterExecutor } from "@concurrent/futures/cluster";
import { echo, square } from "../fixtures/tasks.ts";
import { Node } from "../cluster/_kit.ts";
import { RedisServer } from "../cluster/_redis.ts";
import { median } from "./_measure.ts";
import { describeFloors, MachineFloor, type Noise, NOISY_MEANING, NOISY_SIGN, Watch } from "./_noise.ts";

const ROUNDS = 5;
const ONE_BY_ONE = 300;
const BURST = 5_000;
const ITEMS = 100_000;

const USAGE = `Usage: deno task bench:cluster [--rounds=<n>]

Measures what tasks cost on a cluster of this machine, beside plain BullMQ,
and prints a table. It starts a Redis server of its own: redis-server must be
installed. It writes no file.

  --rounds=<n>   how many rounds each row has (default: ${ROUNDS})
  -h, --help     print this text`;

/** Something that runs tasks. */
interface Contestant {
  readonly name: string;
  /** Runs one task to its end. */
  one(value: unknown): Promise<unknown>;
  /** Runs many to the last result. */
  many(count: number): Promise<void>;
}

function wrap(pool: ClusterExecutor): Contestant {
  return {
    name: "ClusterExecutor",
    one: async (value) => await pool.submit(echo<unknown>, value),
    many: async (count) => {
      await Promise.all(Array.from({ length: count }, (_, i) => pool.submit(square, i)));
    },
  };
}

/** Plain BullMQ, as its manual has it: jobs, and an event for each result. */
class Plain implements Contestant, AsyncDisposable {
  readonly name = "BullMQ";
  readonly #queue: Queue;
  readonly #events: QueueEvents;
  readonly #waiting = new Map<string, (value: unknown) => void>();
  #count = 0;

  constructor(queue: Queue, events: QueueEvents) {
    this.#queue = queue;
    this.#events = events;
    events.on("completed", ({ jobId, returnvalue }) => {
      this.#waiting.get(jobId)?.(returnvalue);
      this.#waiting.delete(jobId);
    });
  }

  #job(data: unknown): { id: string; data: { value: unknown }; ended: Promise<unknown> } {
    const id = `plain-${++this.#count}`;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, resolve);
    return { id, data: { value: data }, ended: promise };
  }

  async one(value: unknown): Promise<unknown> {
    const { id, data, ended } = this.#job(value);
    await this.#queue.add("echo", data, { jobId: id });
    return await ended;
  }

  async many(count: number): Promise<void> {
    const ended: Promise<unknown>[] = [];
    for (let done = 0; done < count; done += 500) {
      const jobs = Array.from({ length: Math.min(500, count - done) }, (_, i) => this.#job(done + i));
      for (const job of jobs) ended.push(job.ended);
      await this.#queue.addBulk(jobs.map(({ id, data }) => ({ name: "square", data, opts: { jobId: id } })));
    }
    await Promise.all(ended);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#queue.close(), this.#events.close()]);
  }
}

async function startPlainNode(url: string): Promise<AsyncDisposable> {
  const path = new URL("drivers/bullmq_node.ts", import.meta.url).pathname;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", path, url],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  await process.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
  return {
    [Symbol.asyncDispose]: async () => {
      process.kill("SIGKILL");
      await process.status;
    },
  };
}

/** The median of some round trips, in milliseconds. */
async function roundTrip({ one }: Contestant, value: unknown, times: number): Promise<number> {
  const took: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await one(value);
    took.push(performance.now() - start);
  }
  return median(took);
}

async function rate({ many }: Contestant, count: number): Promise<number> {
  const start = performance.now();
  await many(count);
  return count / (performance.now() - start) * 1_000;
}

function bound(contestant: Contestant): Contestant {
  const { name } = contestant;
  return { name, one: (value) => contestant.one(value), many: (count) => contestant.many(count) };
}

/** A line of the table: ours and plain BullMQ's, which has no `map`. */
interface Row {
  what: string;
  unit: "ms" | "/s";
  ours: number;
  theirs?: number;
  noise: Noise;
}

function table(rows: readonly Row[]): string {
  const head = `${"what".padEnd(36)} ${"ClusterExecutor".padStart(16)} ${"BullMQ".padStart(13)}   ratio of times`;
  const lines = rows.map(({ what, unit, ours, theirs, noise }) => {
    const figure = (value: number | undefined) =>
      value === undefined ? "–" : `${value.toFixed(unit === "ms" ? 2 : 0)} ${unit}`;
    const mine = `${noise.isNoisy ? `${NOISY_SIGN} ` : ""}${figure(ours)}`;
    const ratio = theirs === undefined ? "" : (unit === "ms" ? ours / theirs : theirs / ours).toFixed(2);
    return `${what.padEnd(36)} ${mine.padStart(16)} ${figure(theirs).padStart(13)} ${ratio.padStart(16)}`.trimEnd();
  });
  return [head, ...lines, ...rows.some(({ noise }) => noise.isNoisy) ? [NOISY_MEANING] : []].join("\n");
}

/** The medians of rounds in which the contestants take turns, after one that does not count. */
async function inTurns(
  contestants: readonly Contestant[],
  rounds: number,
  measure: (contestant: Contestant) => Promise<number>,
): Promise<number[]> {
  const figures: number[][] = contestants.map(() => []);
  for (let i = 0; i <= rounds; i++) {
    for (const [k, contestant] of contestants.entries()) {
      const figure = await measure(contestant);
      if (i > 0) figures[k].push(figure);
    }
  }
  return figures.map(median);
}

function mapRate(pool: ClusterExecutor): number {
  const start = performance.now();
  let sum = 0;
  for (const n of pool.map(square, Array.from({ length: ITEMS }, (_, i) => i))) sum += n;
  const expected = (ITEMS - 1) * ITEMS * (2 * ITEMS - 1) / 6;
  if (sum !== expected) throw new Error(`Cannot use the sum of the squares, expected ${expected}: ${sum}`);
  return ITEMS / (performance.now() - start) * 1_000;
}

async function run(rounds: number): Promise<void> {
  await using server = await RedisServer.start();
  await using stack = new AsyncDisposableStack();
  const connection = stack.use(server.connect());
  const listener = stack.use(server.connect());
  for (const _ of [1, 2]) {
    stack.use(await Node.start(server, "ours", 1));
    stack.use(await startPlainNode(server.url));
  }
  const events = new QueueEvents("plain", { connection: listener, lastEventId: "0-0" });
  await events.waitUntilReady();
  const plain = stack.use(new Plain(new Queue("plain", { connection }), events));
  const start = performance.now();
  await using pool = new ClusterExecutor({ redis: server.url, queue: "ours" });
  await pool.submit(square, 1);
  const connected = performance.now() - start;
  const contestants = [bound(wrap(pool)), bound(plain)];

  using floor = new MachineFloor();
  await floor.start();
  const watch = new Watch(() => floor.take());
  const rows: Row[] = [];
  const add = async (what: string, unit: Row["unit"], work: () => Promise<number[]>) => {
    console.error(`Measuring: ${what}`);
    const { value: [ours, theirs], noise } = await watch.measure(work);
    rows.push({ what, unit, ours, theirs, noise });
  };
  for (
    const [what, value, times] of [
      ["round trip of a number", 5, ONE_BY_ONE],
      ["round trip of 10 kB", "x".repeat(10_000), ONE_BY_ONE],
      ["round trip of 1 MB", "x".repeat(1_000_000), 10],
      ["round trip of 10 MB", "x".repeat(10_000_000), 3],
    ] as const
  ) {
    await add(what, "ms", () => inTurns(contestants, rounds, (contestant) => roundTrip(contestant, value, times)));
  }
  await add(
    `${BURST} tasks at once`,
    "/s",
    () => inTurns(contestants, rounds, (contestant) => rate(contestant, BURST)),
  );
  await add(`map() over ${ITEMS} items`, "/s", () => Promise.resolve([mapRate(pool)]));

  // Now all floors are known, and with them the quietest.
  for (const row of rows) row.noise = watch.judge(row.noise, row.noise.attempts);
  console.log(describeFloors(watch.floors, rows.map(({ noise }) => noise), navigator.hardwareConcurrency));
  console.log(`To connect and run the first task: ${connected.toFixed(0)} ms\n\n${table(rows)}`);
}

function fail(message: string): never {
  console.error(message);
  console.error("To see how to call it: deno task bench:cluster --help");
  Deno.exit(2);
}

if (import.meta.main) {
  const options = parseArgs(Deno.args, {
    boolean: ["help"],
    string: ["rounds"],
    alias: { help: "h" },
    default: { rounds: `${ROUNDS}` },
    unknown: (given) => fail(`There is no such option: ${given}`),
  });
  const rounds = Number(options.rounds);
  if (options.help) console.log(USAGE);
  else if (!Number.isInteger(rounds) || rounds < 1) {
    fail(`Cannot use --rounds, expected an integer of at least 1: ${options.rounds}`);
  } else await run(rounds);
  // The helpers of the tests have started a watchdog, whose thread would keep the program alive.
  Deno.exit();
}
