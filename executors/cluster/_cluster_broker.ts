/**
 * The broker of a `ClusterExecutor`: a Web Worker that takes tasks out of the pool's queue, adds them to the cluster's
 * queue as jobs, and publishes what became of them. INTERNALS.md beside this file tells the races.
 *
 * @module
 */

// Before bullmq, which may use it: in what a program imports dynamically, Deno 2.9 resolves one package after the
// other, and forgets how it resolved bullmq when ioredis follows. Then the broker cannot be loaded.
import "ioredis";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { Consumer } from "../_queue/consumer.ts";
import { PASSED_ON } from "../_queue/posted.ts";
import { type ConsumerMessage, type ConsumerStart, MAX_LIMIT_MS, RecordType, TaskState } from "../_queue/protocol.ts";
import { type Address, keyStart, shown } from "./_address.ts";
import { connect, inspectServer, isRefusal, MAX_BATCH, refusalBy, subscribe } from "./_connection.ts";
import { Heartbeat } from "./_heartbeat.ts";
import { InFlight, type Job, reportPayload } from "./_in_flight.ts";
import { MAX_EVENTS, MAX_KEPT, Releaser } from "./_keep.ts";
import { type JobData, VERSION } from "./_jobs.ts";
import { fromJobValue } from "./_job_value.ts";
import { executorChannel, readNodeMessage } from "./_messages.ts";
import { Recall } from "./_recall.ts";
import { SentSignals } from "./_signals.ts";
import { Sweep } from "./_sweep.ts";

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
  /** What the ids of all jobs of this executor begin with. */
  readonly id: string;
  /** The names of modules, by URL, where they are not those of the files. */
  readonly aliases: ReadonlyMap<string, string>;
  /** How long the server may be away, in milliseconds. */
  readonly unreachableAfter: number;
}

/** How many tasks can be in the cluster's queue; more wait in the pool's. */
const MAX_IN_FLIGHT = 10_000;

/** How often the broker checks the server, and the jobs of which it has no news, in milliseconds. */
const LOOK_MS = 1_000;

/** How long the server may take to learn that the broker ends, in milliseconds. */
const CLOSE_MS = 1_000;

class ClusterBroker {
  readonly #start: ClusterBrokerStart;
  readonly #consumer: Consumer;
  readonly #inFlight: InFlight;
  readonly #client: Redis;
  readonly #listener: Redis;
  readonly #heartbeat: Heartbeat;
  readonly #releaser: Releaser;
  readonly #sweep: Sweep;
  readonly #recall: Recall;
  readonly #signals: SentSignals;
  #queue: Queue | undefined;
  /** How many connections were made so far. */
  #connections = 0;
  #lastProblem = "the server does not answer";
  #timer: ReturnType<typeof setInterval> | undefined;
  #isAdding = false;
  #isEnding = false;
  #onChange = () => {};

  constructor(start: ClusterBrokerStart) {
    this.#start = start;
    this.#consumer = new Consumer(start, PASSED_ON);
    const { id, aliases, settings } = start;
    // The engine tries a whole job again, so a task that may be tried again is a job of its own.
    this.#client = connect(start.address);
    this.#signals = new SentSignals(this.#client, start.address, id);
    const options = { id, aliases, packs: settings.attempts === 1, signals: this.#signals };
    this.#inFlight = new InFlight(this.#consumer, options, () => this.#onChange());
    this.#listener = connect(start.address);
    this.#releaser = new Releaser(this.#client, keyStart(start.address));
    this.#heartbeat = new Heartbeat([this.#client, this.#listener], start.unreachableAfter / 2);
    this.#sweep = new Sweep(this.#inFlight, this.#client, start.address, (job) => this.#onLost(job));
    this.#recall = new Recall(this.#inFlight, this.#client, start.address, this.#heartbeat);
  }

  async serve(): Promise<void> {
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    try {
      await this.#open();
    } catch (error) {
      this.#break(error instanceof Error ? error.message : String(error));
      return;
    }
    await this.#consumer.begin();
    let count = 0;
    while (!this.#isEnding) {
      if (this.#inFlight.size >= MAX_IN_FLIGHT) {
        void this.#addWaiting();
        await this.#change();
        continue;
      }
      if (this.#inFlight.hasBacklog) {
        const held = this.#inFlight.heldFor;
        if (held > 0) await this.#consumer.yieldToEventLoop(() => sleep(held));
        else this.#inFlight.takeBacklog();
        this.#consumer.ring();
        continue;
      }
      const taken = this.#consumer.take();
      if (taken === undefined) {
        void this.#addWaiting();
        await this.#consumer.waitForWork(false);
        continue;
      }
      const task = taken instanceof Promise ? await taken : taken;
      const definition = this.#consumer.knownDefinition(task.fn) ?? await this.#consumer.definition(task.fn);
      if (this.#consumer.start(task, TaskState.PREFETCHED)) this.#inFlight.take(task, definition);
      if (++count < MAX_BATCH) continue;
      count = 0;
      void this.#addWaiting();
      // The connection gets its turn.
      await this.#consumer.yieldToEventLoop(() => sleep(0));
    }
  }

  receive(message: ConsumerMessage): void {
    switch (message.type) {
      case "stop":
        void this.#stop(message.progress);
        break;
      case "recall":
        void this.#recall.recall(message.slot);
        break;
      case "abort":
        void this.#recall.abort(message.slot, Math.min(message.grace, MAX_LIMIT_MS));
        this.#consumer.acknowledgeAbort(message.slot);
        break;
      default:
        this.#consumer.receive(message);
    }
  }

  // The connection

  async #open(): Promise<void> {
    const { address } = this.#start;
    const { queue: name, prefix } = address;
    for (const client of [this.#client, this.#listener]) {
      client.on("ready", () => {
        this.#connections++;
        this.#sweep.startAnew();
      });
      client.on("error", (error: Error) => {
        this.#lastProblem = error.message;
        if (isRefusal(error)) this.#break(refusalBy(address, error));
      });
      client.connect().catch(() => {});
    }
    for (const warning of await inspectServer(this.#client, address)) {
      console.warn(`ClusterExecutor: ${warning}`);
    }
    this.#queue = new Queue(name, { connection: this.#client, prefix, streams: { events: { maxLen: MAX_EVENTS } } });
    this.#queue.on("error", () => {});
    await this.#queue.waitUntilReady();
    this.#listener.on("message", (_channel: string, text: string) => this.#hear(text));
    await subscribe(this.#listener, executorChannel(prefix, name, this.#start.id));
  }

  /** Takes in what a node says. */
  #hear(text: string): void {
    const message = readNodeMessage(text);
    if (message === undefined) return;
    const job = this.#inFlight.jobs.get(message.job);
    if (job === undefined) return;
    job.heardAt = performance.now();
    if (message.what === "outcomes") {
      void this.#sweepJobs([job]);
      return;
    }
    if (message.what === "ended") {
      try {
        if (message.result !== undefined) {
          this.#inFlight.complete(job, message.result, text.length);
          if (this.#inFlight.delivered.length > 0) void this.#release();
          return;
        }
      } catch {
        // No node has said that: the server knows better.
      }
      void this.#sweepJobs([job]);
      return;
    }
    const task = job.tasks[message.task];
    if (task?.job !== job) return;
    if (message.what === "begun") this.#inFlight.markBegun(task);
    else if (message.what === "recalled") this.#inFlight.markRecalled(task);
    else if (message.what === "progress") {
      this.#inFlight.markBegun(task);
      this.#consumer.progress(task, fromJobValue(message.value));
    }
  }

  /** Gives up when the server has been away for too long; else asks it for jobs that nothing is heard of. */
  #look(): void {
    const { unreachableAfter, address } = this.#start;
    const { silence } = this.#heartbeat;
    if (silence >= unreachableAfter) {
      this.#break(
        `${shown(address.redis)} has been out of reach for ${Math.round(silence)} ms: ${this.#lastProblem}. ` +
          "To fix it, start the server, or correct its URL",
      );
      return;
    }
    if (this.#heartbeat.isAway) return;
    this.#signals.tellAgain();
    if (this.#sweep.isSweeping) return;
    void this.#sweep.sweepSilent().then(() => this.#release());
  }

  /** Asks the server what became of jobs, and removes from it what is delivered then. */
  async #sweepJobs(jobs: readonly Job[]): Promise<void> {
    await this.#sweep.sweep(jobs);
    await this.#release();
  }

  /** Adds a job again, or fails it, which the server does not know. */
  #onLost(job: Job): void {
    if (job.connection === this.#connections) {
      const message = "the server no longer has it. Likely causes: somebody removed it, or keepResults is too short";
      this.#inFlight.fail(job, { what: "lost", message });
    } else {
      // A server that was killed may have lost what came last. The job runs again, as when its node is lost.
      job.isAdded = false;
      void this.#add([job]);
    }
  }

  /** Removes large jobs from the server whose results are delivered. */
  async #release(): Promise<void> {
    await this.#releaser.release(this.#inFlight.delivered.splice(0));
  }

  // Adding

  /** Adds the tasks that wait, one batch after the other: the engine keeps no order among calls that overlap. */
  async #addWaiting(): Promise<void> {
    if (this.#isAdding) return;
    this.#isAdding = true;
    while (this.#inFlight.waiting > 0) {
      const jobs = this.#inFlight.makeJobs();
      while (jobs.length > 0) await this.#add(jobs.splice(0, MAX_BATCH));
    }
    this.#isAdding = false;
  }

  async #add(jobs: readonly Job[]): Promise<void> {
    const { attempts, backoff, priority, keepResults } = this.#start.settings;
    // If it went by age, the engine would remove the jobs of other programs as well.
    const keep = { count: MAX_KEPT };
    const entries = jobs.map((job) => {
      const tasks = job.tasks.map(({ data }) => data);
      const name = `${tasks[0].modules[0]}.${tasks[0].name}`;
      const data: JobData = { v: VERSION, tasks, keep: keepResults };
      const opts = { jobId: job.id, attempts, backoff, priority, removeOnComplete: keep, removeOnFail: keep };
      return { name, data, opts };
    });
    try {
      // `addBulk` makes a transaction, which a single job does not need.
      if (entries.length > 1) await this.#queue!.addBulk(entries);
      else await this.#queue!.add(entries[0].name, entries[0].data, entries[0].opts);
      for (const job of jobs) this.#inFlight.markAdded(job, this.#connections);
    } catch (error) {
      if (this.#isEnding) return;
      if (jobs.length > 1) {
        // The server may refuse only one of them. A job that is added twice is there once.
        for (const job of jobs) await this.#add([job]);
      } else {
        this.#inFlight.fail(jobs[0], {
          what: "refused",
          message: error instanceof Error ? error.message : String(error),
        });
      }
    }
  }

  // The end

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#onChange = resolve);
  }

  #break(message: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#consumer.report(RecordType.BROKEN, reportPayload({ what: "unreachable", message }));
    this.#onChange();
  }

  async #stop(progress: Int32Array | undefined): Promise<void> {
    this.#isEnding = true;
    this.#onChange();
    clearInterval(this.#timer);
    this.#heartbeat.stop();
    const closing = this.#release().then(() => this.#queue?.close()).catch(() => {});
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, CLOSE_MS))]);
    this.#client.disconnect();
    this.#listener.disconnect();
    if (progress !== undefined) {
      Atomics.store(progress, 0, 1);
      Atomics.notify(progress, 0);
    }
    this.#consumer.report(RecordType.GONE);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
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
