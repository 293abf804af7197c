/**
 * What the broker of a `ClusterExecutor` runs: a Web Worker that takes tasks out of the pool's queue, adds them to the cluster's queue as jobs, and
 * publishes what became of them. What it does when is told in README.md beside this file.
 *
 * @module
 */

import { Queue, QueueEvents } from "bullmq";
import type { Redis } from "ioredis";
import { Block, Kind } from "../_block.ts";
import {
  Consumer,
  type ConsumerMessage,
  type ConsumerStart,
  DECODED,
  Flag,
  flagsOfCount,
  type Task,
} from "../_consumer.ts";
import type { Definition } from "../_definition.ts";
import { Cell } from "../_memory.ts";
import { type Address, connect, inspectServer, isRefusal, shown } from "./_connection.ts";
import { controlChannel, fromPayload, howOf, isOutcome, type JobData, toPayload, VERSION } from "./_jobs.ts";

/** How jobs are added; the engine's own options. */
export interface JobSettings {
  readonly attempts: number;
  readonly backoff?: number | { readonly type: string; readonly delay: number; readonly jitter?: number };
  readonly priority?: number;
  /** How long results are kept, in milliseconds. */
  readonly keepResults: number;
}

/** The first message to the broker. */
export interface ClusterBrokerStart extends ConsumerStart {
  readonly address: Address;
  readonly settings: JobSettings;
  /** What the numbers of all jobs of this executor begin with. */
  readonly id: string;
  /** The names of modules, by URL, where they are not those of the files. */
  readonly aliases: ReadonlyMap<string, string>;
  /** How long the server may be away, in milliseconds. */
  readonly unreachableAfter: number;
}

/** Why the pool is broken, or a job has failed without running to its end. It tells the owner, as JSON. */
export interface ClusterReport {
  readonly what: "unreachable" | "lost" | "stalled" | "removed" | "unknown" | "refused";
  readonly message: string;
  readonly job?: string;
  readonly modules?: readonly string[];
}

/** How many jobs are added at once, and how many can be in the cluster's queue; more wait in the pool's. */
const BATCH = 500;
const MOST_JOBS = 10_000;

/** How often the broker looks for what events did not tell, and of which jobs: those it has not heard of for so long; in milliseconds. */
const SWEEP_MS = 1_000;
const SILENT_MS = 2_000;

/** How long the event of a removal may take, in milliseconds. */
const REMOVAL_MS = 700;

/** How long the end may take to be said to the server, in milliseconds. */
const CLOSE_MS = 1_000;

interface Job {
  readonly id: string;
  readonly task: Task;
  readonly data: JobData;
  /** ADDING until the server has it; then WAITING and ACTIVE in turn. */
  state: "ADDING" | "WAITING" | "ACTIVE";
  /** When something was heard of it last. */
  heardAt: number;
  /** How many times a node has begun it. */
  attempts: number;
  /** While it is being removed: takes what it was before. */
  onRemoved?: (previous: string | undefined) => void;
  /** Called when the server has it. */
  onAdded?: () => void;
}

class ClusterBroker {
  readonly #start: ClusterBrokerStart;
  readonly #consumer: Consumer;
  readonly #client: Redis;
  readonly #reader: Redis;
  #queue: Queue | undefined;
  #events: QueueEvents | undefined;
  readonly #jobs = new Map<string, Job>();
  readonly #jobOfCell = new Map<number, Job>();
  /** Tasks that were taken back, and are pending again. */
  readonly #backlog: Task[] = [];
  #batch: Job[] = [];
  #count = 0;
  /** Since when the server is away. */
  #awaySince: number | undefined = performance.now();
  #lastProblem = "it does not answer";
  #timer: ReturnType<typeof setInterval> | undefined;
  #isSweeping = false;
  #isEnding = false;
  #onChange = () => {};

  constructor(start: ClusterBrokerStart) {
    this.#start = start;
    this.#consumer = new Consumer(start, DECODED);
    this.#client = connect(start.address);
    this.#reader = connect(start.address);
  }

  async serve(): Promise<void> {
    this.#timer = setInterval(() => this.#look(), SWEEP_MS);
    try {
      await this.#open();
    } catch (error) {
      this.#break(error instanceof Error ? error.message : String(error));
      return;
    }
    await this.#consumer.begin();
    while (!this.#isEnding) {
      if (this.#jobs.size >= MOST_JOBS) {
        await this.#change();
        continue;
      }
      const taken = this.#backlog.shift() ?? this.#consumer.take();
      if (taken === undefined) {
        this.#flush();
        await this.#consumer.rest();
        continue;
      }
      const task = taken instanceof Promise ? await taken : taken;
      const definition = this.#consumer.knownDefinition(task.fn) ?? await this.#consumer.definition(task.fn);
      if (!this.#consumer.start(task, Cell.GIVEN)) continue;
      this.#batch.push(this.#makeJob(task, definition));
      if (this.#batch.length < BATCH) continue;
      this.#flush();
      // The connection gets its turn.
      await this.#consumer.beAway(() => new Promise((resolve) => setTimeout(resolve, 0)));
    }
  }

  receive(message: ConsumerMessage): void {
    switch (message.type) {
      case "stop":
        void this.#stop(message.progress);
        break;
      case "return":
        if (message.cell === undefined) { for (const job of this.#jobs.values()) void this.#takeBack(job); }
        else {
          const job = this.#jobOfCell.get(message.cell);
          if (job !== undefined) void this.#takeBack(job);
        }
        break;
      case "abort":
        void this.#abort(message.cell);
        break;
      default:
        this.#consumer.receive(message);
    }
  }

  // The connection

  async #open(): Promise<void> {
    const { address } = this.#start;
    const { queue: name, prefix } = address;
    for (const client of [this.#client, this.#reader]) {
      client.on("ready", () => this.#awaySince = undefined);
      client.on("close", () => this.#awaySince ??= performance.now());
      client.on("error", (error: Error) => {
        this.#lastProblem = error.message;
        if (isRefusal(error)) this.#break(error.message);
      });
      client.connect().catch(() => {});
    }
    for (const warning of await inspectServer(this.#client)) {
      console.warn(`ClusterExecutor: ${shown(address.redis)}. ${warning}`);
    }
    const queue = this.#queue = new Queue(name, { connection: this.#client, prefix });
    queue.on("error", () => {});
    // Where the stream ends now, before any job is added: one that starts to read at its end when it is ready has missed what came until then.
    const [last] = await this.#client.xrevrange(`${prefix}:${name}:events`, "+", "-", "COUNT", 1);
    const events = this.#events = new QueueEvents(name, {
      connection: this.#reader,
      prefix,
      lastEventId: last?.[0] ?? "0-0",
    });
    events.on("error", () => {});
    events.on("active", ({ jobId }) => this.#onActive(jobId));
    events.on("completed", ({ jobId, returnvalue }) => this.#onCompleted(jobId, returnvalue));
    events.on("failed", ({ jobId, failedReason }) => this.#onFailed(jobId, failedReason));
    events.on("removed", ({ jobId, prev }) => this.#onRemoved(jobId, prev));
  }

  /** Looks whether the server has been away for too long, and for what events did not tell. */
  #look(): void {
    const { unreachableAfter, address } = this.#start;
    if (this.#awaySince !== undefined) {
      const away = performance.now() - this.#awaySince;
      if (away >= unreachableAfter) {
        this.#break(`${shown(address.redis)} has been out of reach for ${Math.round(away)} ms: ${this.#lastProblem}`);
      }
      return;
    }
    void this.#sweep();
  }

  /** Events are a hint: their stream is cut off at some length, and a server that was restarted may have lost some. */
  async #sweep(): Promise<void> {
    if (this.#isSweeping || this.#queue === undefined) return;
    const { prefix, queue } = this.#start.address;
    const until = performance.now() - SILENT_MS;
    const silent = [...this.#jobs.values()].filter((job) => job.state !== "ADDING" && job.heardAt < until).slice(
      0,
      BATCH,
    );
    if (silent.length === 0) return;
    this.#isSweeping = true;
    try {
      const pipeline = this.#client.pipeline();
      // One command for each, so that a state is never read with another state's value.
      for (const { id } of silent) {
        pipeline.hmget(`${prefix}:${queue}:${id}`, "timestamp", "finishedOn", "returnvalue", "failedReason", "ats");
      }
      const replies = await pipeline.exec() ?? [];
      for (const [i, [error, values]] of replies.entries()) {
        if (error === null && this.#jobs.has(silent[i].id)) this.#onSwept(silent[i], values as (string | null)[]);
      }
    } catch {
      // The connection has broken: there will be another sweep.
    } finally {
      this.#isSweeping = false;
    }
  }

  #onSwept(job: Job, [timestamp, finishedOn, value, reason, begun]: (string | null)[]): void {
    job.heardAt = performance.now();
    if (timestamp === null) {
      // The server has lost it, or somebody removed it. What has never begun can be added again.
      if (job.onRemoved !== undefined) job.onRemoved(undefined);
      else if (job.state === "WAITING") void this.#add([job]);
      else this.#fail(job, { what: "lost", message: "the server does not know it any more, after it had begun" });
      return;
    }
    job.attempts = Math.max(job.attempts, Number(begun ?? 0));
    if (finishedOn === null) {
      if (job.attempts > 0) this.#markActive(job);
    } else if (value !== null) this.#onCompleted(job.id, JSON.parse(value));
    else this.#onFailed(job.id, reason ?? "");
  }

  // Jobs

  #makeJob(task: Task, definition: Definition): Job {
    const id = `${this.#start.id}-${++this.#count}`;
    const data: JobData = {
      v: VERSION,
      modules:
        (definition.how === "reference" ? [definition.module] : definition.how === "search" ? definition.modules : [])
          .map((url) => this.#start.aliases.get(url) ?? aliasOf(url)),
      name: definition.how === "reference" ? definition.path : definition.name,
      how: howOf(task.flags),
      payload: toPayload(task.block),
    };
    const job: Job = { id, task, data, state: "ADDING", heardAt: performance.now(), attempts: 0 };
    this.#jobs.set(id, job);
    this.#jobOfCell.set(task.cell, job);
    return job;
  }

  #flush(): void {
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    void this.#add(batch);
  }

  async #add(jobs: readonly Job[]): Promise<void> {
    const { attempts, backoff, priority, keepResults } = this.#start.settings;
    const age = Math.ceil(keepResults / 1_000);
    const entries = jobs.map(({ id, data }) => ({
      name: `${data.modules[0]}.${data.name}`,
      data,
      opts: { jobId: id, attempts, backoff, priority, removeOnComplete: { age }, removeOnFail: { age } },
    }));
    try {
      await this.#queue!.addBulk(entries);
      for (const job of jobs) this.#isAdded(job);
    } catch (error) {
      if (this.#isEnding) return;
      if (jobs.length > 1) {
        // One of them may be what the server refuses. To add one twice makes no second job.
        for (const job of jobs) await this.#add([job]);
      } else {
        this.#fail(jobs[0], { what: "refused", message: error instanceof Error ? error.message : String(error) });
      }
    }
  }

  #isAdded(job: Job): void {
    if (job.state === "ADDING") job.state = "WAITING";
    job.heardAt = performance.now();
    job.onAdded?.();
    job.onAdded = undefined;
  }

  #onActive(id: string): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    job.attempts++;
    this.#markActive(job);
  }

  #markActive(job: Job): void {
    job.heardAt = performance.now();
    if (job.state === "ACTIVE") return;
    job.state = "ACTIVE";
    this.#consumer.mark(job.task, Cell.RUNNING);
  }

  #onCompleted(id: string, value: unknown): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    let block: Block;
    let flags = Flag.ERROR as number;
    try {
      if (!isOutcome(value)) {
        throw new TypeError(`Cannot read as a job's outcome: ${JSON.stringify(value)?.slice(0, 200)}`);
      }
      block = fromPayload(value.payload);
      flags = value.ok ? 0 : Flag.ERROR;
    } catch (error) {
      this.#fail(job, { what: "unknown", message: String(error) });
      return;
    }
    this.#settle(job, flags, block);
  }

  #onFailed(id: string, reason: string): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    try {
      const outcome = JSON.parse(reason);
      if (isOutcome(outcome)) {
        this.#settle(job, outcome.ok ? 0 : Flag.ERROR, fromPayload(outcome.payload));
        return;
      }
      if (outcome.what === "unknown") {
        this.#fail(job, outcome);
        return;
      }
    } catch {
      // No text of a node's: the engine's own.
    }
    this.#fail(job, { what: /stalled/.test(reason) ? "stalled" : "lost", message: reason });
  }

  #onRemoved(id: string, previous: string | undefined): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    if (job.onRemoved !== undefined) job.onRemoved(previous);
    // By its age, after it has completed; that event came before, or the sweep would have told.
    else if (previous !== "completed" && previous !== "failed") {
      this.#fail(job, { what: "removed", message: "somebody removed it from the queue before it had ended" });
    }
  }

  #settle(job: Job, flags: number, block: Block): void {
    this.#forget(job);
    this.#consumer.reply(job.task, flags | flagsOfCount(job.attempts), block);
  }

  #fail(job: Job, report: Omit<ClusterReport, "job">): void {
    this.#settle(job, Flag.ERROR | Flag.DIED, reportBlock({ ...report, job: job.id }));
  }

  #forget(job: Job): void {
    this.#jobs.delete(job.id);
    this.#jobOfCell.delete(job.task.cell);
    this.#onChange();
  }

  /** Takes a job out of the queue if no node has begun it: it can then be cancelled, and is added again if it is not. */
  async #takeBack(job: Job): Promise<void> {
    if (job.onRemoved !== undefined) return;
    const removal = Promise.withResolvers<string | undefined>();
    job.onRemoved = removal.resolve;
    if (job.state === "ADDING") {
      this.#flush();
      await new Promise<void>((resolve) => job.onAdded = resolve);
    }
    let isRemoved = false;
    try {
      isRemoved = await this.#queue!.remove(job.id) === 1;
    } catch {
      // Unknown: the sweep will tell.
    }
    let previous: string | undefined;
    if (isRemoved) {
      const timer = setTimeout(() => removal.resolve(undefined), REMOVAL_MS);
      previous = await removal.promise;
      clearTimeout(timer);
    }
    job.onRemoved = undefined;
    if (!this.#jobs.has(job.id)) return;
    // Events come in order: if a node had begun it, that was heard before the removal.
    if (isRemoved && previous !== "completed" && previous !== "failed" && job.attempts === 0) {
      this.#forget(job);
      this.#consumer.mark(job.task, Cell.PENDING);
      this.#backlog.push(job.task);
      this.#consumer.stir();
    } else this.#markActive(job);
  }

  async #abort(cell: number): Promise<void> {
    const job = this.#jobOfCell.get(cell);
    this.#consumer.answer(cell);
    if (job === undefined) return;
    const { prefix, queue } = this.#start.address;
    await this.#client.publish(controlChannel(prefix, queue), JSON.stringify({ abort: job.id })).catch(() => {});
  }

  // The end

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#onChange = resolve);
  }

  #break(message: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#consumer.fail(reportBlock({ what: "unreachable", message }), Flag.ERROR | Flag.DIED);
    this.#onChange();
  }

  async #stop(progress: Int32Array | undefined): Promise<void> {
    this.#isEnding = true;
    this.#onChange();
    clearInterval(this.#timer);
    const closing = Promise.allSettled([this.#events?.close(), this.#queue?.close()]);
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, CLOSE_MS))]);
    this.#client.disconnect();
    this.#reader.disconnect();
    if (progress !== undefined) {
      Atomics.store(progress, 0, 1);
      Atomics.notify(progress, 0);
    }
    this.#consumer.fail(reportBlock(null), Flag.GONE);
  }
}

/** What a module is called where nobody has said it: its file's name. */
export function aliasOf(url: string): string {
  const { pathname } = new URL(url);
  return pathname.slice(pathname.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
}

function reportBlock(report: ClusterReport | null): Block {
  return new Block(Kind.JSON, JSON.stringify(report));
}

let broker: ClusterBroker | undefined;

self.addEventListener("message", (event) => {
  const { data } = event as MessageEvent<ClusterBrokerStart | ConsumerMessage>;
  if ("type" in data) broker!.receive(data);
  else {
    broker = new ClusterBroker(data);
    void broker.serve();
  }
});
