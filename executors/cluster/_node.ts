/**
 * A node of a cluster: takes jobs from the queue and runs them in processes.
 *
 * @module
 */

import { type Job, UnrecoverableError, WaitingError, Worker as JobWorker } from "bullmq";
import type { Redis } from "ioredis";
import type { Future } from "../../futures/future.ts";
import { encodeValue } from "../_codec.ts";
import { importModule } from "../_import.ts";
import { entry } from "../_entry.ts";
import type { Permissions } from "../_permissions.ts";
import { aborted, onTold, ProcessPoolExecutor } from "../process_pool_executor.ts";
import { TaskAbortedError } from "./errors.ts";
import { type Address, connect, inspectServer, isRefusal, shown } from "./_connection.ts";
import {
  checkJobData,
  type Control,
  controlChannel,
  executorOf,
  type JobData,
  type JobResult,
  MOST_NOTED,
  type Note,
  noteChannel,
  type Outcome,
  RETURNED,
  type TaskData,
  toPayload,
} from "./_jobs.ts";
import { type CurrentJob, withRemote } from "./job.ts";
import { JobOrder } from "./_order.ts";
import { taskRef } from "../task_ref.ts";
import type { Returned, runTask } from "./_run_job.ts";

/** What a node is told. */
export interface NodeOptions {
  readonly address: Address;
  /** The URLs of the modules whose exports may be called, by the name that jobs use. */
  readonly modules: ReadonlyMap<string, string>;
  readonly workers: number;
  /** What the processes may do. */
  readonly permissions: Permissions;
  /** How long a lock is valid that is not renewed, in milliseconds: so long a job of a node that was lost waits, and up to half as long again. */
  readonly lock: number;
  readonly name: string;
}

/** What processes run for each task. */
const RUN_JOB = entry(import.meta.resolve("./_run_job.ts"), () => import("./_run_job.ts"));
const RUN_TASK = taskRef<typeof runTask>(RUN_JOB, "runTask");

/**
 * While tasks are quick, a node takes more jobs than it has processes, so that none waits for the server. A task is quick when it takes no longer than this, in
 * milliseconds.
 */
const QUICK_MS = 5;
const MOST_PER_WORKER = 4;

/**
 * How often a node looks what has begun, after how long it gives back what has not, and how often it looks whether there is anybody to take that, in
 * milliseconds. That a task has begun is told again after a second, as what is said may be lost, and then each time it has taken twice as long.
 */
const LOOK_MS = 5;
const GIVE_BACK_MS = 20;
const COUNT_MS = 100;
const TELL_AGAIN_MS = 1_000;

/** How long, in milliseconds, and how often a node waits for the end to be said to the server, and to a server that is away. */
const CLOSE_ROUND_MS = 500;
const MOST_CLOSE_ROUNDS = 10;

type Omitted<T, K extends string> = T extends unknown ? Omit<T, K> : never;

type ClusterJob = Job<JobData, JobResult>;

/** A job that this node has. */
interface Held {
  readonly job: ClusterJob;
  readonly since: number;
  readonly attempt: number;
  /** By their place in the job. */
  readonly tasks: Map<number, HeldTask>;
  /** Whether another node shall take it. */
  isGivenBack: boolean;
  /** Whether it is too late for anything else. */
  isMoved: boolean;
}

/** A task of it; one that this node knows. */
interface HeldTask {
  readonly place: number;
  readonly future: Future<Returned>;
  /** When it is to be told (again) that it has begun, if it has. */
  tellAt: number;
  isAborted: boolean;
  /** Whether it goes back to where it came from. */
  isReturned: boolean;
}

/** A node. */
export class ClusterNode {
  readonly #options: NodeOptions;
  readonly #pool: ProcessPoolExecutor;
  readonly #exports = new Map<string, ReadonlySet<string>>();
  readonly #client: Redis;
  readonly #listener: Redis;
  #worker: JobWorker | undefined;
  /** What a task takes, in milliseconds, on the average of the last ones. */
  #pace = QUICK_MS * 2;
  readonly #held = new Map<string, Held>();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** When the nodes of the queue are counted next. */
  #countAt = 0;
  #onIdle = () => {};
  /** Results that no note has told, because they are large. */
  readonly #unnoted = new WeakSet<JobResult>();
  readonly #order = new JobOrder();

  constructor(options: NodeOptions) {
    this.#options = options;
    const { address, workers, permissions } = options;
    this.#pool = new ProcessPoolExecutor({ maxWorkers: workers, permissions, onWorkerCrash: "replace" });
    this.#client = connect(address);
    this.#listener = connect(address);
  }

  /**
   * Connects, and begins to take jobs.
   *
   * @returns Which functions each module has.
   * @throws {Error} A module cannot be loaded, or the server refuses.
   */
  async start(): Promise<{ [module: string]: string[] }> {
    const { address, modules, workers, lock, name } = this.#options;
    for (const [alias, url] of modules) this.#exports.set(alias, await functionsOf(alias, url));
    await this.#connect();
    for (const warning of await inspectServer(this.#client)) console.error(`${shown(address.redis)}: ${warning}`);
    const worker = this.#worker = new JobWorker(address.queue, (job, token) => this.#run(job, token), {
      connection: this.#client,
      prefix: address.prefix,
      concurrency: workers,
      lockDuration: lock,
      stalledInterval: lock / 2,
      maxStalledCount: 1,
      name,
    });
    worker.on("active", (job) => this.#order.expect(job));
    worker.on("completed", (job, result) => {
      if (this.#unnoted.has(result)) this.#tell(job, { what: "ended" });
    });
    worker.on("error", (error) => console.error(`${name}: ${error.message}`));
    await worker.waitUntilReady();
    return Object.fromEntries([...this.#exports].map(([alias, names]) => [alias, [...names]]));
  }

  async #connect(): Promise<void> {
    const { address } = this.#options;
    const { prefix, queue } = address;
    const refused = Promise.withResolvers<never>();
    for (const client of [this.#client, this.#listener]) {
      client.on("error", (error: Error) => {
        if (isRefusal(error)) refused.reject(new Error(`${shown(address.redis)} refuses: ${error.message}`));
      });
    }
    const ready = Promise.all([this.#client, this.#listener].map(async (client) => {
      await client.connect().catch(() => {});
      await client.ping();
    }));
    await Promise.race([ready, refused.promise]);
    this.#listener.on("message", (_channel: string, text: string) => this.#hear(text));
    await this.#listener.subscribe(controlChannel(prefix, queue));
  }

  #hear(text: string): void {
    let control: Partial<Control>;
    try {
      control = JSON.parse(text);
    } catch {
      return;
    }
    const held = this.#held.get(control?.job ?? "");
    const task = held?.tasks.get(control.task ?? -1);
    if (task === undefined) return;
    if (control.what === "abort") {
      task.isAborted = true;
      if (!task.future.cancel()) this.#pool[aborted](task.future);
    } else if (held!.isGivenBack) this.#return(held!);
    else if (held!.attempt === 1 && task.future.cancel()) {
      task.isReturned = true;
      this.#tell(held!.job, { what: "returned", task: task.place });
      // Whether a node that was lost had begun it, nobody knows.
    } else this.#tellBegun(held!, task);
  }

  async #run(job: ClusterJob, token: string | undefined): Promise<JobResult> {
    await this.#order.turn(job);
    try {
      checkJobData(job.data);
    } catch (error) {
      throw new UnrecoverableError((error as Error).message);
    }
    const attempt = job.attemptsMade + job.stalledCounter + 1;
    const held: Held = { job, since: performance.now(), attempt, tasks: new Map(), isGivenBack: false, isMoved: false };
    this.#held.set(job.id!, held);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    try {
      const outcomes = await Promise.all(job.data.tasks.map((_, place) => this.#runTask(held, place)));
      if (held.isGivenBack) {
        held.isMoved = true;
        await job.moveToWait(token);
        throw new WaitingError();
      }
      const result: JobResult = { outcomes };
      const hasFailed = outcomes.some((outcome) => "ok" in outcome && !outcome.ok);
      const isAborted = [...held.tasks.values()].some((task) => task.isAborted);
      // The engine tries again what throws.
      if (hasFailed && !isAborted && job.attemptsMade + 1 < (job.opts.attempts ?? 1)) {
        throw new Error(JSON.stringify(result));
      }
      const text = JSON.stringify(result);
      if (text.length <= MOST_NOTED) this.#tell(job, { what: "ended", result });
      else this.#unnoted.add(result);
      return result;
    } finally {
      this.#held.delete(job.id!);
      if (this.#held.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
        this.#onIdle();
      }
    }
  }

  async #runTask(held: Held, place: number): Promise<Outcome> {
    const data = held.job.data.tasks[place];
    const { modules, address: { queue }, name: node } = this.#options;
    const alias = data.modules.find((module) => this.#exports.get(module)?.has(data.name));
    const { attempt } = held;
    const current: CurrentJob = { id: data.id, queue, node, attempt };
    if (alias === undefined) return { unknown: this.#describeUnknown(data) };
    const { name, how, payload } = data;
    const future = this.#pool.submit(RUN_TASK, { module: modules.get(alias)!, name, how, payload, job: current });
    const task: HeldTask = { place, future, tellAt: held.since + LOOK_MS, isAborted: false, isReturned: false };
    held.tasks.set(place, task);
    this.#pool[onTold](future, (value) => this.#tellProgress(held, place, value));
    try {
      const [payload, ms] = await future;
      this.#learn(ms);
      return { ok: true, attempt, ms, payload };
    } catch (error) {
      if (task.isReturned) return RETURNED;
      const problem = task.isAborted ? new TaskAbortedError(`Job ${data.id} was aborted`) : error;
      const payload = toPayload(encodeValue(withRemote(problem, current), { root: "error", sameProcess: false }));
      return { ok: false, attempt, ms: performance.now() - held.since, payload };
    }
  }

  #describeUnknown({ modules, name }: TaskData): string {
    const known = [...this.#exports].map(([alias, names]) => `${alias} (${[...names].join(", ")})`).join(", ");
    return `Node ${this.#options.name} has no function ${name} in ${modules.join(" or ")}: its modules are ${known}`;
  }

  /** Tells which tasks run, and gives back jobs that wait behind tasks that take their time: another node may be idle. */
  #look(): void {
    const now = performance.now();
    const waiting: Held[] = [];
    let running = 0;
    for (const held of this.#held.values()) {
      let isWaiting = true;
      for (const task of held.tasks.values()) {
        if (task.future.running()) {
          running++;
          if (now >= task.tellAt) this.#tellBegun(held, task);
        }
        isWaiting &&= !task.future.running() && !task.future.done();
      }
      if (isWaiting) waiting.push(held);
    }
    const { workers } = this.#options;
    if (running < workers || waiting.length === 0) return;
    if (now - waiting[0].since >= GIVE_BACK_MS && now >= this.#countAt) void this.#giveBackAll(waiting);
  }

  /** Gives back jobs if there is another node: alone, one worker runs them in their order. */
  async #giveBackAll(waiting: Held[]): Promise<void> {
    this.#countAt = Infinity;
    const isAlone = await this.#countNodes() === 1;
    this.#countAt = performance.now() + (isAlone ? COUNT_MS : 0);
    if (isAlone) return;
    this.#pace = QUICK_MS * 2;
    this.#worker!.concurrency = this.#options.workers;
    // The last one that goes is in front of the queue then.
    for (const held of waiting.reverse()) this.#giveBack(held);
  }

  /** How many nodes serve the queue, with this one; `undefined` where the server does not tell. */
  async #countNodes(): Promise<number | undefined> {
    const { prefix, queue } = this.#options.address;
    try {
      return (await this.#client.pubsub("NUMSUB", controlChannel(prefix, queue)))[1] as number;
    } catch {
      return undefined;
    }
  }

  #giveBack(held: Held): void {
    const returned = [...held.tasks.values()].filter((task) => !task.future.done() && task.future.cancel());
    for (const task of returned) task.isReturned = true;
    if (returned.length === held.tasks.size) held.isGivenBack = true;
    // Some have just begun.
    else for (const task of returned) this.#tell(held.job, { what: "returned", task: task.place });
  }

  /** Returns to its executor what was on its way back to the queue, where a node could begin it meanwhile. */
  #return(held: Held): void {
    // The executor looks into the queue again.
    if (held.isMoved) return;
    held.isGivenBack = false;
    for (const task of held.tasks.values()) this.#tell(held.job, { what: "returned", task: task.place });
  }

  #tellBegun(held: Held, task: HeldTask): void {
    const now = performance.now();
    task.tellAt = now + Math.max(TELL_AGAIN_MS, now - held.since);
    this.#tell(held.job, { what: "begun", task: task.place });
  }

  #tellProgress({ job }: Held, place: number, value: unknown): void {
    const payload = toPayload(encodeValue(value, { root: "result", sameProcess: false }));
    this.#tell(job, { what: "progress", task: place, payload });
    // For dashboards, in which a job of several tasks has no progress of its own.
    if (job.data.tasks.length === 1) job.updateProgress(payload as object).catch(() => {});
  }

  #tell({ id }: ClusterJob, note: Omitted<Note, "job">): void {
    const { prefix, queue } = this.#options.address;
    const text = JSON.stringify({ ...note, job: id });
    this.#client.publish(noteChannel(prefix, queue, executorOf(id!)), text).catch(() => {});
  }

  /** Quick tasks wait for the server more than for a process: then more of them are taken at once. */
  #learn(ms: number): void {
    this.#pace = (this.#pace * 7 + ms) / 8;
    const { workers } = this.#options;
    const wanted = this.#pace <= QUICK_MS ? workers * MOST_PER_WORKER : workers;
    if (this.#worker!.concurrency !== wanted) this.#worker!.concurrency = wanted;
  }

  /** Takes no more jobs, lets those that run end, and closes the connections. */
  async close(): Promise<void> {
    const closed = this.#worker?.close();
    if (this.#held.size > 0) await new Promise<void>((resolve) => this.#onIdle = resolve);
    // The engine says at once what became of the last jobs, but its own end may take seconds, or never come when the server has been away.
    for (let i = 0; i < MOST_CLOSE_ROUNDS; i++) {
      const round = new Promise((resolve) => setTimeout(resolve, CLOSE_ROUND_MS, "later"));
      if (await Promise.race([closed, round]) !== "later" || this.#client.status === "ready") break;
    }
    await this.#pool.shutdown();
    this.#client.disconnect();
    this.#listener.disconnect();
  }
}

/** The names under which a module exports functions. */
async function functionsOf(alias: string, url: string): Promise<Set<string>> {
  let namespace: { [name: string]: unknown };
  try {
    namespace = await importModule(url);
  } catch (error) {
    throw new Error(`Cannot load the module ${alias} from ${url}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  const names = Object.keys(namespace).filter((name) => typeof namespace[name] === "function");
  if (names.length === 0) throw new Error(`Cannot use the module ${alias}, because it exports no functions: ${url}`);
  return new Set(names);
}
