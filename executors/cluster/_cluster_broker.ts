/**
 * What the broker of a `ClusterExecutor` runs: a Web Worker that takes tasks out of the pool's queue, adds them to the cluster's queue as jobs, and
 * publishes what became of them. What it does when is told in README.md beside this file.
 *
 * @module
 */

// Before bullmq, which may make use of it: in what a program imports dynamically, Deno 2.9 resolves one package after the
// other, and forgets how it resolved bullmq when ioredis follows. Then the broker cannot be loaded.
import "ioredis";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { Consumer, DECODED } from "../_queue/consumer.ts";
import { type ConsumerMessage, type ConsumerStart, RecordType, TaskState } from "../_queue/protocol.ts";
import { type Address, shown } from "./_address.ts";
import { connect, inspectServer, isRefusal, takeJobs } from "./_connection.ts";
import { Heartbeat } from "./_heartbeat.ts";
import { InFlight, type InFlightTask, type Job, type News, reportPayload } from "./_in_flight.ts";
import { MAX_EVENTS, MAX_KEPT, Releaser } from "./_keep.ts";
import { type Control, controlChannel, fromPayload, type JobData, noteChannel, readNote, VERSION } from "./_jobs.ts";

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

/** How many tasks are added at once, and how many can be in the cluster's queue; more wait in the pool's. */
const BATCH = 500;
const MAX_SENT = 10_000;

/** How often the broker looks for what events did not tell, and of which jobs: those it has not heard of for so long; in milliseconds. */
const SWEEP_MS = 1_000;
const SILENT_MS = 2_000;

/**
 * How long the server, or a node that has a job, may take to be heard of, and how soon it is asked again at first, in milliseconds: the server may have given a
 * job to a node that has not received it yet.
 */
const ANSWER_MS = 2_000;
const ASK_AGAIN_MS = 10;

/** So many tasks that are to be cancelled within so many milliseconds bring back all: each one takes a millisecond or more. */
const BURST = 3;
const BURST_MS = 100;

/** How long the end may take to be said to the server, in milliseconds. */
const CLOSE_MS = 1_000;

class ClusterBroker {
  readonly #start: ClusterBrokerStart;
  readonly #consumer: Consumer;
  readonly #inFlight: InFlight;
  readonly #client: Redis;
  readonly #listener: Redis;
  readonly #heartbeat: Heartbeat;
  readonly #releaser: Releaser;
  #queue: Queue | undefined;
  /** How many tasks were to be cancelled in a row, and when the last one was. */
  #burst = 0;
  #burstAt = 0;
  #isReturning = false;
  /** How often a connection was made. */
  #connections = 0;
  #lastProblem = "it does not answer";
  #timer: ReturnType<typeof setInterval> | undefined;
  #isAdding = false;
  #isSweeping = false;
  #isEnding = false;
  #onChange = () => {};

  constructor(start: ClusterBrokerStart) {
    this.#start = start;
    this.#consumer = new Consumer(start, DECODED);
    const { id, aliases, settings } = start;
    // What may be tried again is tried again by itself.
    const options = { id, aliases, packs: settings.attempts === 1 };
    this.#inFlight = new InFlight(this.#consumer, options, () => this.#onChange());
    this.#client = connect(start.address);
    this.#listener = connect(start.address);
    this.#releaser = new Releaser(this.#client, `${start.address.prefix}:${start.address.queue}:`);
    this.#heartbeat = new Heartbeat([this.#client, this.#listener], start.unreachableAfter / 2);
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
    let count = 0;
    while (!this.#isEnding) {
      if (this.#inFlight.size >= MAX_SENT) {
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
      if (++count < BATCH) continue;
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
        void this.#return(message.slot);
        break;
      case "abort":
        this.#abort(message.slot);
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
        this.#isSweeping = false;
        // What was said meanwhile was not heard.
        for (const job of this.#inFlight.jobs.values()) job.heardAt = -Infinity;
      });
      client.on("error", (error: Error) => {
        this.#lastProblem = error.message;
        if (isRefusal(error)) this.#break(error.message);
      });
      client.connect().catch(() => {});
    }
    for (const warning of await inspectServer(this.#client)) {
      console.warn(`ClusterExecutor: ${shown(address.redis)}. ${warning}`);
    }
    this.#queue = new Queue(name, { connection: this.#client, prefix, streams: { events: { maxLen: MAX_EVENTS } } });
    this.#queue.on("error", () => {});
    await this.#queue.waitUntilReady();
    this.#listener.on("message", (_channel: string, text: string) => this.#hear(text));
    await this.#listener.subscribe(noteChannel(prefix, name, this.#start.id));
  }

  /** What a node says. */
  #hear(text: string): void {
    const note = readNote(text);
    if (note === undefined) return;
    const job = this.#inFlight.jobs.get(note.job);
    if (job === undefined) return;
    job.heardAt = performance.now();
    if (note.what === "ended") {
      try {
        if (note.result !== undefined) {
          this.#inFlight.complete(job, note.result, text.length);
          if (this.#inFlight.delivered.length > 0) void this.#release();
          return;
        }
      } catch {
        // Nobody who knows has said that: the server will tell.
      }
      void this.#sweep([job]);
      return;
    }
    const sent = job.all[note.task];
    if (sent?.job !== job) return;
    if (note.what === "begun") this.#inFlight.markBegun(sent);
    else if (note.what === "returned") this.#inFlight.putBack(sent);
    else if (note.what === "progress") {
      this.#inFlight.markBegun(sent);
      this.#consumer.progress(sent.task, fromPayload(note.payload));
    }
  }

  /** Looks whether the server has been away for too long, and for what events did not tell. */
  #look(): void {
    const { unreachableAfter, address } = this.#start;
    const { silence } = this.#heartbeat;
    if (silence >= unreachableAfter) {
      this.#break(`${shown(address.redis)} has been out of reach for ${Math.round(silence)} ms: ${this.#lastProblem}`);
      return;
    }
    if (this.#heartbeat.isAway || this.#isSweeping) return;
    void this.#release();
    this.#isSweeping = true;
    const until = performance.now() - SILENT_MS;
    const silent = [...this.#inFlight.jobs.values()].filter((job) => job.isAdded && job.heardAt < until);
    void this.#sweep(silent).finally(() => this.#isSweeping = false);
  }

  /** Looks what the server knows of jobs: what nodes say may be lost. */
  async #sweep(jobs: readonly Job[]): Promise<void> {
    const { prefix, queue } = this.#start.address;
    try {
      for (let i = 0; i < jobs.length; i += BATCH) {
        const some = jobs.slice(i, i + BATCH);
        const pipeline = this.#client.pipeline();
        // One command for each, so that a state is never read with another state's value.
        for (const { id } of some) {
          pipeline.hmget(`${prefix}:${queue}:${id}`, "timestamp", "finishedOn", "returnvalue", "failedReason");
        }
        const replies = await pipeline.exec() ?? [];
        for (const [i, [error, values]] of replies.entries()) {
          if (error === null && this.#inFlight.jobs.has(some[i].id)) {
            this.#onSwept(some[i], values as (string | null)[]);
          }
        }
      }
      if (this.#inFlight.delivered.length > 0) await this.#release();
    } catch {
      // The connection has broken: there will be another sweep.
    }
  }

  #onSwept(job: Job, [timestamp, finishedOn, value, reason]: (string | null)[]): void {
    job.heardAt = performance.now();
    if (timestamp === null) this.#onLost(job);
    else if (finishedOn === null) return;
    else if (value !== null) this.#inFlight.completeBy(job, value);
    else this.#inFlight.failBy(job, reason ?? "");
  }

  /** The server knows nothing of it. */
  #onLost(job: Job): void {
    if (job.connection === this.#connections) {
      const message = "the server does not know it any more: somebody has removed it, or keepResults is too short";
      this.#inFlight.fail(job, { what: "lost", message });
    } else {
      // A server that was killed may have lost what came last. It is run again, as when its node is lost.
      job.isAdded = false;
      void this.#add([job]);
    }
  }

  /** Removes what was large and is delivered from the server. */
  async #release(): Promise<void> {
    await this.#releaser.release(this.#inFlight.delivered.splice(0));
  }

  // Adding

  /** Adds what waits, one batch after the other: the engine keeps no order among calls that overlap. */
  async #addWaiting(): Promise<void> {
    if (this.#isAdding) return;
    this.#isAdding = true;
    while (this.#inFlight.waiting > 0) {
      const jobs = this.#inFlight.makeJobs();
      while (jobs.length > 0) await this.#add(jobs.splice(0, BATCH));
    }
    this.#isAdding = false;
  }

  async #add(jobs: readonly Job[]): Promise<void> {
    const { attempts, backoff, priority, keepResults } = this.#start.settings;
    // By age the engine would remove those of other programs as well.
    const keep = { count: MAX_KEPT };
    const entries = jobs.map(({ id, all }) => {
      const tasks = all.map(({ data }) => data);
      const name = `${tasks[0].modules[0]}.${tasks[0].name}`;
      const data: JobData = { v: VERSION, tasks, keep: keepResults };
      const opts = { jobId: id, attempts, backoff, priority, removeOnComplete: keep, removeOnFail: keep };
      return { name, data, opts };
    });
    try {
      // A transaction, of which a single one has no need.
      if (entries.length > 1) await this.#queue!.addBulk(entries);
      else await this.#queue!.add(entries[0].name, entries[0].data, entries[0].opts);
      for (const job of jobs) this.#inFlight.noteAdded(job, this.#connections);
    } catch (error) {
      if (this.#isEnding) return;
      if (jobs.length > 1) {
        // One of them may be what the server refuses. To add one twice makes no second job.
        for (const job of jobs) await this.#add([job]);
      } else {
        this.#inFlight.fail(jobs[0], {
          what: "refused",
          message: error instanceof Error ? error.message : String(error),
        });
      }
    }
  }

  // Taking back

  /** Takes a task back because it is to be cancelled; if it is one of many, all others as well. */
  async #return(slot: number): Promise<void> {
    const sent = this.#inFlight.ofSlot(slot);
    if (sent === undefined) return;
    const now = performance.now();
    if (now - this.#burstAt > BURST_MS) this.#burst = 0;
    this.#burstAt = now;
    this.#burst++;
    await this.#takeBack(sent);
    if (this.#burst < BURST || this.#isReturning) return;
    this.#isReturning = true;
    this.#inFlight.putBackWaiting();
    // The server looks for each from the end at which the last one lies.
    const others = [...this.#inFlight.jobs.values()].filter(({ isAdded }) => isAdded).reverse();
    while (others.length > 0) await this.#take(others.splice(0, BATCH));
    this.#isReturning = false;
  }

  /** Takes those jobs out of the queue that no node has. Their tasks are pending again then, and those of them that are not cancelled are added again. */
  async #take(jobs: readonly Job[]): Promise<void> {
    const { prefix, queue } = this.#start.address;
    try {
      const areTaken = await takeJobs(this.#client, `${prefix}:${queue}:`, jobs.map(({ id }) => id));
      for (const [i, job] of jobs.entries()) {
        if (!areTaken[i] || this.#inFlight.jobs.get(job.id) !== job) continue;
        for (const sent of job.all) if (sent.job === job) this.#inFlight.putBack(sent);
        this.#inFlight.end(job);
      }
    } catch {
      // Unknown: the sweep will tell.
    }
  }

  /** Takes a task back from the queue, or from the node that has it, if it has not begun. */
  async #takeBack(sent: InFlightTask): Promise<void> {
    if (sent.onNews !== undefined) return;
    const { job } = sent;
    if (job === undefined) {
      this.#inFlight.putBack(sent);
      return;
    }
    if (this.#heartbeat.isAway) {
      // Nobody can tell, and it would take long to find that out for each.
      this.#inFlight.markBegun(sent);
      return;
    }
    if (!job.isAdded) await this.#newsOf(sent, "added");
    if (sent.job !== job || sent.hasBegun) return;
    await this.#take([job]);
    if (sent.job !== job) return;
    const control: Control = { what: "back", job: job.id, task: job.all.indexOf(sent) };
    if (await this.#newsOf(sent, "begun", () => this.#tellNodes(control)) !== undefined) return;
    // It may have been on its way back to the queue.
    await this.#take([job]);
    if (sent.job === job) this.#inFlight.markBegun(sent);
  }

  /** The first of some news that is heard of a task, or that it is over; `undefined` where that takes too long. Asks for it until then, each time after a longer pause. */
  async #newsOf(sent: InFlightTask, wanted: News, ask = () => {}): Promise<News | undefined> {
    const { promise, resolve } = Promise.withResolvers<News | undefined>();
    sent.onNews = (news) => (news === "over" || news === wanted) && resolve(news);
    const end = performance.now() + ANSWER_MS;
    let pause = ASK_AGAIN_MS;
    let timer: ReturnType<typeof setTimeout>;
    const askAgain = () => {
      const left = end - performance.now();
      if (left <= 0) resolve(undefined);
      else {
        ask();
        timer = setTimeout(askAgain, Math.min(left, pause));
        pause *= 2;
      }
    };
    askAgain();
    const news = await promise;
    clearTimeout(timer!);
    sent.onNews = undefined;
    return news;
  }

  #tellNodes(control: Control): void {
    const { prefix, queue } = this.#start.address;
    this.#client.publish(controlChannel(prefix, queue), JSON.stringify(control)).catch(() => {});
  }

  #abort(slot: number): void {
    const sent = this.#inFlight.ofSlot(slot);
    this.#consumer.acknowledgeAbort(slot);
    if (sent?.job !== undefined) this.#tellNodes({ what: "abort", job: sent.job.id, task: sent.job.all.indexOf(sent) });
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
