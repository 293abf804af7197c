/**
 * A node of a cluster: takes jobs from the queue and runs them in processes.
 *
 * @module
 */

import { DelayedError, type Job, UnrecoverableError, WaitingError, Worker as JobWorker } from "bullmq";
import { BrokenProcessPool } from "../../futures/errors.ts";
import type { Future } from "../../futures/future.ts";
import { encodeValue } from "../_values/codec.ts";
import type { Permissions } from "../processes/permissions.ts";
import { aborted, onTold, ProcessPoolExecutor } from "../processes/process_pool_executor.ts";
import { TaskAbortedError } from "./errors.ts";
import { type Address, shown } from "./_address.ts";
import { inspectServer } from "./_connection.ts";
import { Functions } from "./_functions.ts";
import {
  checkJobData,
  isOfExecutor,
  type JobData,
  type JobResult,
  MAX_NOTED,
  type Note,
  type Outcome,
  readControl,
  RETURNED,
  toPayload,
} from "./_jobs.ts";
import { type CurrentJob, withRemote } from "./job.ts";
import { boundEvents, expireJob, Forgetter, LARGE_BYTES, persistJob } from "./_keep.ts";
import { Link } from "./_link.ts";
import { JobOrder } from "./_order.ts";
import type { Returned } from "./_run_job.ts";

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

/**
 * While tasks are quick, a node takes more jobs than it has processes, so that none waits for the server. A task is quick when it takes no longer than this, in
 * milliseconds.
 */
const QUICK_MS = 5;
const MAX_PER_WORKER = 4;

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
const MAX_CLOSE_ROUNDS = 10;

/**
 * For how long a node asks the server at a time whether there is a job, in seconds: for that long it may not notice
 * that it asks in vain.
 */
const ASK_SECONDS = 2;

/** How often it looks for names of jobs that the server has removed, in milliseconds. */
const FORGET_MS = 5_000;

/**
 * For how long a job rests that another node can run, in milliseconds: at first, how much longer each time, and at the
 * most. And how much longer a node waits that has left it to others: else it would be the first to take it again.
 */
const REST_MS = 20;
const REST_GROWTH = 1.5;
const MAX_REST_MS = 150;
const LATER_MS = 20;

/** How long a node that ends because it cannot run tasks may take to give back what it has, in milliseconds. */
const GIVE_ALL_BACK_MS = 5_000;

/** How many characters of a stack the server keeps of a job that has failed. */
const MAX_STACK = 2_000;

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
  /** Whether a task of it was seen to run. */
  hasBegun: boolean;
  /** The stack of the first of its errors. */
  stack?: string;
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
  readonly #functions: Functions;
  readonly #link: Link;
  /** What the server's keys of the queue begin with. */
  readonly #start: string;
  #worker: JobWorker | undefined;
  /** What a task takes, in milliseconds, on the average of the last ones. */
  #pace = QUICK_MS * 2;
  readonly #held = new Map<string, Held>();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** When the nodes of the queue are counted next. */
  #countAt = 0;
  #onIdle = () => {};
  /** Results that no note has told, because they are large, and how long they are as texts. */
  readonly #unnoted = new WeakMap<JobResult, number>();
  readonly #order = new JobOrder();
  #forgetting: ReturnType<typeof setInterval> | undefined;
  readonly #broken = Promise.withResolvers<string>();
  #isBroken = false;

  constructor(options: NodeOptions) {
    this.#options = options;
    const { address, modules, workers, permissions, lock, name } = options;
    this.#start = `${address.prefix}:${address.queue}:`;
    this.#functions = new Functions(address, modules);
    this.#pool = new ProcessPoolExecutor({ maxWorkers: workers, permissions, onWorkerCrash: "replace" });
    this.#link = new Link(address, name, lock);
  }

  /**
   * Resolves, with the reason, when no process can be started any more, and others have what this node had not begun.
   */
  get broken(): Promise<string> {
    return this.#broken.promise;
  }

  /**
   * Connects, and begins to take jobs.
   *
   * @returns Which functions each module has.
   * @throws {Error} A module cannot be loaded, or the server refuses.
   */
  async start(): Promise<{ [module: string]: string[] }> {
    const { address, workers, lock, name } = this.#options;
    await this.#functions.load();
    await this.#tryModules();
    await this.#link.open((text) => this.#hear(text), this.#functions.channels());
    for (const warning of await inspectServer(this.#link.client)) console.error(`${shown(address.redis)}: ${warning}`);
    const worker = this.#worker = new JobWorker(address.queue, (job, token) => this.#run(job, token), {
      connection: this.#link.client,
      prefix: address.prefix,
      concurrency: workers,
      lockDuration: lock,
      stalledInterval: lock / 2,
      maxStalledCount: 1,
      drainDelay: ASK_SECONDS,
      name,
    });
    worker.on("active", (job) => this.#order.expect(job));
    worker.on("completed", (job, result) => this.#onEnd(job, result));
    worker.on("failed", (job) => job?.finishedOn !== undefined && this.#onEnd(job));
    worker.on("error", (error) => this.#link.tells(error) || console.error(`${name}: ${error.message}`));
    await worker.waitUntilReady();
    const forgetter = new Forgetter(this.#link.client, this.#start);
    this.#forgetting = setInterval(() => void forgetter.turn(), FORGET_MS);
    return this.#functions.toJSON();
  }

  /** Loads the modules in a process, which may do less than this one: better to fail now than with each task. */
  async #tryModules(): Promise<void> {
    const { modules } = this.#options;
    for (const [alias, url] of modules) {
      try {
        await this.#pool.submit(this.#functions.tryModule, url);
      } catch (error) {
        const problem = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
        const what = `Cannot load the module ${alias} in a process with its --permissions`;
        throw new Error(`${what}, from ${url}: ${problem}`, { cause: error });
      }
    }
  }

  /** When the engine has said what became of a job: lets the server keep it for as long as its executor wants. */
  #onEnd(job: ClusterJob, result?: JobResult): void {
    const { keep } = job.data ?? {};
    if (Number.isSafeInteger(keep) && keep! > 0) expireJob(this.#link.client, this.#start + job.id, keep!);
    const bytes = result === undefined ? job.failedReason?.length ?? 0 : this.#unnoted.get(result) ?? 0;
    if (bytes > LARGE_BYTES) boundEvents(this.#link.client, this.#start, bytes);
    if (result !== undefined && bytes > 0) this.#tell(job, { what: "ended" });
  }

  #hear(text: string): void {
    const control = readControl(text);
    const held = control && this.#held.get(control.job);
    const task = held?.tasks.get(control!.task);
    if (held === undefined || task === undefined) return;
    if (control!.what === "abort") {
      task.isAborted = true;
      if (!task.future.cancel()) this.#pool[aborted](task.future);
    } else if (held.isGivenBack) this.#return(held);
    else if (held.attempt === 1 && task.future.cancel()) {
      task.isReturned = true;
      this.#tell(held.job, { what: "returned", task: task.place });
      // Whether a node that was lost had begun it, nobody knows.
    } else this.#tellBegun(held, task);
  }

  async #run(job: ClusterJob, token: string | undefined): Promise<JobResult> {
    await this.#order.turn(job);
    try {
      checkJobData(job.data);
    } catch (error) {
      throw new UnrecoverableError((error as Error).message);
    }
    // Somebody wants it to be run again that had ended, and had not much time left.
    if (job.attemptsMade > 0) persistJob(this.#link.client, this.#start + job.id);
    await this.#leaveToOthers(job, token);
    const attempt = job.attemptsMade + job.stalledCounter + 1;
    const held: Held = {
      job,
      since: performance.now(),
      attempt,
      tasks: new Map(),
      isGivenBack: false,
      isMoved: false,
      hasBegun: false,
    };
    this.#held.set(job.id!, held);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    try {
      const outcomes = await Promise.all(job.data.tasks.map((_, place) => this.#runTask(held, place)));
      if (held.isGivenBack) {
        held.isMoved = true;
        await job.moveToWait(token);
        throw new WaitingError();
      }
      return this.#conclude(held, { outcomes });
    } catch (error) {
      if (!(error instanceof BrokenProcessPool)) throw error;
      this.#breakDown(error.message);
      // How far it has come nobody knows: its lock runs out, as when a node is lost.
      if (held.hasBegun) return await new Promise<never>(() => {});
      await job.moveToWait(token);
      throw new WaitingError();
    } finally {
      this.#held.delete(job.id!);
      if (this.#held.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
        this.#onIdle();
      }
    }
  }

  /**
   * Leaves a job to other nodes if one of them has its function and this one has not, as while a new version comes into
   * use.
   */
  async #leaveToOthers(job: ClusterJob, token: string | undefined): Promise<void> {
    const { tasks: [task, ...others] } = job.data;
    const isOneFunction = others.every(({ name, modules }) => {
      return name === task.name && modules.join() === task.modules.join();
    });
    // What has several may have one that each node lacks: it would rest for ever.
    if (!isOneFunction || this.#functions.find(task) !== undefined) return;
    if (!await this.#functions.mayBeElsewhere(this.#link.client, task)) return;
    const rest = Math.round(Math.min(MAX_REST_MS, REST_MS * REST_GROWTH ** (job.attemptsStarted - 1)));
    await job.moveToDelayed(Date.now() + rest, token);
    await new Promise((resolve) => setTimeout(resolve, rest + LATER_MS));
    throw new DelayedError();
  }

  /** What the engine is to know of a job: its result, or by an error that it has failed. */
  #conclude({ job, tasks, stack }: Held, result: JobResult): JobResult {
    const hasFailed = result.outcomes.some((outcome) => "unknown" in outcome || ("ok" in outcome && !outcome.ok));
    const isUnknown = result.outcomes.some((outcome) => "unknown" in outcome);
    const isFinal = isUnknown || [...tasks.values()].some((task) => task.isAborted);
    const text = JSON.stringify(result);
    if (hasFailed && !isFinal && job.attemptsMade + 1 < (job.opts.attempts ?? 1)) {
      throw withStack(new Error(text), stack);
    }
    // Who else adds jobs looks by the engine what became of them; an executor reads its result.
    if (hasFailed && !isOfExecutor(job.id!)) throw withStack(new UnrecoverableError(text), stack);
    if (text.length <= MAX_NOTED) this.#tell(job, { what: "ended", result });
    else this.#unnoted.set(result, text.length);
    return result;
  }

  async #runTask(held: Held, place: number): Promise<Outcome> {
    const data = held.job.data.tasks[place];
    const { address: { queue }, name: node } = this.#options;
    const { attempt } = held;
    const current: CurrentJob = { id: data.id, queue, node, attempt };
    const module = this.#functions.find(data);
    if (module === undefined) return { unknown: this.#functions.describeUnknown(node, data) };
    const { name, how, payload } = data;
    const future = this.#pool.submit(this.#functions.runTask, { module, name, how, payload, job: current });
    const task: HeldTask = { place, future, tellAt: held.since + LOOK_MS, isAborted: false, isReturned: false };
    held.tasks.set(place, task);
    this.#pool[onTold](future, (value) => this.#tellProgress(held, place, value));
    try {
      const [payload, ms] = await future;
      this.#learn(ms);
      return { ok: true, attempt, ms, payload };
    } catch (error) {
      if (task.isReturned) return RETURNED;
      if (error instanceof BrokenProcessPool && this.#isPoolBroken()) throw error;
      const problem = task.isAborted ? new TaskAbortedError(`Job ${data.id} was aborted`) : error;
      if (problem instanceof Error) held.stack ??= problem.stack;
      const payload = toPayload(encodeValue(withRemote(problem, current), { root: "error", sameProcess: false }));
      return { ok: false, attempt, ms: performance.now() - held.since, payload };
    }
  }

  /** Whether the pool takes no tasks any more; else a process has died, which is its task's own affair. */
  #isPoolBroken(): boolean {
    try {
      this.#pool.submit(this.#functions.tryModule, "").cancel();
      return false;
    } catch {
      return true;
    }
  }

  /** Takes no more jobs, and tells who started the node when what was not begun is back in the queue. */
  #breakDown(problem: string): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    void this.#worker!.close().catch(() => {});
    const end = performance.now() + GIVE_ALL_BACK_MS;
    const timer = setInterval(() => {
      const isHolding = [...this.#held.values()].some(({ hasBegun }) => !hasBegun);
      if (isHolding && performance.now() < end) return;
      clearInterval(timer);
      this.#broken.resolve(problem);
    }, LOOK_MS);
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
          held.hasBegun = true;
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
    const isAlone = await this.#link.countNodes() === 1;
    this.#countAt = performance.now() + (isAlone ? COUNT_MS : 0);
    if (isAlone) return;
    this.#pace = QUICK_MS * 2;
    this.#worker!.concurrency = this.#options.workers;
    // The last one that goes is in front of the queue then.
    for (const held of waiting.reverse()) this.#giveBack(held);
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
    this.#link.tell(id!, JSON.stringify({ ...note, job: id }));
  }

  /** Quick tasks wait for the server more than for a process: then more of them are taken at once. */
  #learn(ms: number): void {
    this.#pace = (this.#pace * 7 + ms) / 8;
    const { workers } = this.#options;
    const wanted = this.#pace <= QUICK_MS ? workers * MAX_PER_WORKER : workers;
    if (this.#worker!.concurrency !== wanted) this.#worker!.concurrency = wanted;
  }

  /** Takes no more jobs, lets those that run end, and closes the connections. */
  async close(): Promise<void> {
    this.#link.isClosing = true;
    clearInterval(this.#forgetting);
    const closed = this.#worker?.close();
    if (this.#held.size > 0) await new Promise<void>((resolve) => this.#onIdle = resolve);
    // The engine says at once what became of the last jobs, but its own end may take seconds, or never come when the server has been away.
    for (let i = 0; i < MAX_CLOSE_ROUNDS; i++) {
      const round = new Promise((resolve) => setTimeout(resolve, CLOSE_ROUND_MS, "later"));
      if (await Promise.race([closed, round]) !== "later" || this.#link.client.status === "ready") break;
    }
    await this.#pool.shutdown();
    this.#link.close();
  }
}

/** An error as dashboards show it: with the stack of the task's, and not with all of its own text once more. */
function withStack<E extends Error>(error: E, stack = "A task has failed"): E {
  error.stack = stack.slice(0, MAX_STACK);
  return error;
}
