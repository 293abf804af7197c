/**
 * Measures what tasks cost on a cluster, beside plain BullMQ in the same run: two nodes on this machine each, and one
 * server.
 *
 * ```sh
 * deno task bench:cluster
 * ```
 *
 * Rounds of both take turns, and each figure is the median of the rounds. Plain BullMQ runs 20 jobs at once in each of
 * its nodes, in the node's own thread: what the executor adds is a process for each task, errors with their class, and
 * results for a thread that may block.
 */
import { Queue, QueueEvents } from "bullmq";
import { ClusterExecutor } from "@concurrent/futures/cluster";
import { echo, square } from "../fixtures/tasks.ts";
import { Node } from "../cluster/_kit.ts";
import { RedisServer } from "../cluster/_redis.ts";

const ROUNDS = 5;
const ONE_BY_ONE = 300;
const BURST = 5_000;
const ITEMS = 100_000;

/** Something that runs tasks. */
interface Contestant {
  readonly name: string;
  /** Runs one task to its end. */
  one(value: unknown): Promise<unknown>;
  /** Runs many to the last result. */
  many(count: number): Promise<void>;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
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

if (import.meta.main) {
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
  console.log(`To connect and run the first task: ${(performance.now() - start).toFixed(0)} ms`);
  const contestants = [bound(wrap(pool)), bound(plain)];

  console.log("what                                  ClusterExecutor      BullMQ   ratio of times");
  const row = (what: string, unit: string, [ours, theirs]: number[], ratio: number) =>
    console.log(
      `${what.padEnd(36)} ${`${ours.toFixed(unit === "ms" ? 2 : 0)} ${unit}`.padStart(16)} ${
        `${theirs.toFixed(unit === "ms" ? 2 : 0)} ${unit}`.padStart(11)
      } ${ratio.toFixed(2).padStart(16)}`,
    );
  for (
    const [what, value, times] of [
      ["round trip of a number", 5, ONE_BY_ONE],
      ["round trip of 10 kB", "x".repeat(10_000), ONE_BY_ONE],
      ["round trip of 1 MB", "x".repeat(1_000_000), 10],
      ["round trip of 10 MB", "x".repeat(10_000_000), 3],
    ] as const
  ) {
    for (const contestant of contestants) await roundTrip(contestant, value, times);
    const rounds: number[][] = [[], []];
    for (let i = 0; i < ROUNDS; i++) {
      for (const [k, contestant] of contestants.entries()) rounds[k].push(await roundTrip(contestant, value, times));
    }
    const [ours, theirs] = rounds.map(median);
    row(what, "ms", [ours, theirs], ours / theirs);
  }
  for (const contestant of contestants) await rate(contestant, BURST);
  const rates: number[][] = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    for (const [k, contestant] of contestants.entries()) rates[k].push(await rate(contestant, BURST));
  }
  const [ours, theirs] = rates.map(median);
  row(`${BURST} tasks at once`, "/s", [ours, theirs], theirs / ours);

  const begun = performance.now();
  let sum = 0;
  for (const n of pool.map(square, Array.from({ length: ITEMS }, (_, i) => i))) sum += n % 7;
  const seconds = (performance.now() - begun) / 1_000;
  console.log(`map() over ${ITEMS} items: ${(ITEMS / seconds).toFixed(0)} /s (${sum})`);
}

// The helpers of the tests have started a watchdog, whose thread would keep the program alive.
if (import.meta.main) Deno.exit();
