/**
 * A node of a cluster: takes jobs from the queue and runs them in processes.
 *
 * @module
 */

// Before bullmq, which may use it: in what a program imports dynamically, Deno 2.9 resolves one package after the
// other, and forgets how it resolved bullmq when ioredis follows. Then the node cannot be loaded.
import "ioredis";
import { DelayedError, UnrecoverableError, WaitingError, Worker as JobWorker } from "bullmq";
import { BrokenProcessPool } from "../../futures/errors.ts";
import { encodeValue } from "../_values/codec.ts";
import { type Address, keyStart } from "./_address.ts";
import { inspectServer } from "./_connection.ts";
import { Functions } from "./_functions.ts";
import { type ClusterJob, type HeldJob, HeldJobs, type HeldTask, LOOK_MS } from "./_held_jobs.ts";
import { Intake } from "./_intake.ts";
import {
  checkJobData,
  executorOf,
  isOfExecutor,
  type JobResult,
  type Outcome,
  type RanOn,
  RECALLED,
  type TaskData,
} from "./_jobs.ts";
import { type JobValue, toJobValue } from "./_job_value.ts";
import { MAX_MESSAGE_LENGTH, readControl } from "./_messages.ts";
import type { CurrentJob } from "../current_task.ts";
import { boundEvents, expireJob, Forgetter, LARGE_BYTES, persistJob } from "./_keep.ts";
import { Link } from "./_link.ts";
import { NodePool, type Permissions } from "./_node_pool.ts";
import { withRemote } from "./remote.ts";
import { Reports } from "./_reports.ts";
import { ReceivedSignals } from "./_signals.ts";

/** Options of a node. */
export interface NodeOptions {
  readonly address: Address;
  /** The URLs of the modules whose exports may be called, by the name that jobs use. */
  readonly modules: ReadonlyMap<string, string>;
  readonly workers: number;
  /** What the processes may do. */
  readonly permissions: Permissions;
  /**
   * How many milliseconds a lock is valid that is not renewed: as long, and up to half as long again, a job waits whose
   * node is lost.
   */
  readonly lock: number;
  readonly name: string;
}

/**
 * While tasks are quick, a node takes `MAX_PER_WORKER` jobs for each process, so that no process waits for the server.
 * A task is quick that takes `QUICK_MS` or less. When `MANY_LONE` jobs in a row have found a process idle, and none
 * waited behind them, it takes one for each.
 */
const QUICK_MS = 5;
const MAX_PER_WORKER = 4;
const MANY_LONE = 4;

/**
 * How many milliseconds a node waits, at its end, for the engine to say so to the server; and how many times, if the
 * server is away.
 */
const CLOSE_ROUND_MS = 500;
const MAX_CLOSE_ROUNDS = 10;

/** For how many seconds at a time a node asks for a job: for as long it may not notice that it asks in vain. */
const ASK_SECONDS = 2;

/** How often a node looks for names of jobs that the server has removed, in milliseconds. */
const FORGET_MS = 5_000;

/**
 * For how many milliseconds a job rests that only another node can run: at first, how much longer each time, and at the
 * most. The node that leaves it to others waits for `LATER_MS` more: else it would be the first to take the job again.
 */
const REST_MS = 20;
const REST_GROWTH = 1.5;
const MAX_REST_MS = 150;
const LATER_MS = 20;

/** How many milliseconds a node that cannot run tasks any more has to give back its jobs before it ends. */
const GIVE_ALL_BACK_MS = 5_000;

/** How many values that a task reports may be on their way to the server. */
const MAX_REPORTS = 1_000;

/** How many characters of a stack the server keeps of a job that has failed. */
const MAX_STACK = 2_000;

/** A node. */
export class ClusterNode {
  readonly #options: NodeOptions;
  readonly #pool: NodePool;
  readonly #functions: Functions;
  readonly #link: Link;
  /** What the server's keys of the queue begin with. */
  readonly #keyStart: string;
  readonly #held: HeldJobs;
  readonly #signals: ReceivedSignals;
  #worker: JobWorker | undefined;
  /** How long a task takes, in milliseconds, on the average of the last ones. */
  #msPerTask = QUICK_MS * 2;
  /** How many jobs have come, the last one included, behind which nothing waited and for which a process was idle. */
  #lone = MANY_LONE;
  /** Whether the server has had no more since the last job. */
  #isDrained = true;
  /** Results that are too long for a message, and how long they are as texts. */
  readonly #long = new WeakMap<JobResult, number>();
  readonly #intake = new Intake((job: ClusterJob) => this.#run(job));
  #forgetting: ReturnType<typeof setInterval> | undefined;
  readonly #broken = Promise.withResolvers<string>();
  #isBroken = false;

  constructor(options: NodeOptions) {
    this.#options = options;
    const { address, modules, workers, permissions, lock, name } = options;
    this.#keyStart = keyStart(address);
    this.#functions = new Functions(address, modules);
    this.#pool = new NodePool(workers, permissions, this.#functions);
    this.#link = new Link(address, name, lock);
    this.#held = new HeldJobs(this.#link, this.#pool, workers, () => this.#takeFewer());
    this.#signals = new ReceivedSignals(this.#link.client, address);
  }

  /** Resolves, with the reason, when no process can be started any more and what had not begun is given back. */
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
    for (const warning of await inspectServer(this.#link.client, address)) console.error(`${name}: ${warning}`);
    const worker = this.#worker = new JobWorker(address.queue, (job) => this.#intake.run(job), {
      connection: this.#link.client,
      prefix: address.prefix,
      concurrency: workers,
      lockDuration: lock,
      stalledInterval: lock / 2,
      maxStalledCount: 1,
      drainDelay: ASK_SECONDS,
      name,
    });
    worker.on("active", (job) => {
      this.#meet();
      this.#intake.announce(job);
    });
    worker.on("drained", () => this.#isDrained = true);
    worker.on("completed", (job, result) => this.#onEnd(job, result));
    worker.on("failed", (job) => job?.finishedOn !== undefined && this.#onEnd(job));
    worker.on("error", (error) => this.#link.covers(error) || console.error(`${name}: ${error.message}`));
    await worker.waitUntilReady();
    const forgetter = new Forgetter(this.#link.client, this.#keyStart);
    this.#forgetting = setInterval(() => void forgetter.turn(), FORGET_MS);
    return this.#functions.toJSON();
  }

  /** Loads the modules in a process, which may do less than this one: better to fail now than at each task. */
  async #tryModules(): Promise<void> {
    const { modules } = this.#options;
    const futures = this.#pool.tryModules([...modules.values()]);
    for (const [i, [alias, url]] of [...modules].entries()) {
      try {
        await futures[i];
      } catch (error) {
        const problem = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
        const what = `Cannot load the module ${alias} in a process with its --permissions`;
        throw new Error(`${what}, from ${url}: ${problem}`, { cause: error });
      }
    }
  }

  /** Takes in what an executor says. */
  #hear(text: string): void {
    const control = readControl(text);
    if (control?.what === "signal") this.#signals.hear(control.executor, control.signal, control.reason);
    else if (control !== undefined) this.#held.hear(control);
  }

  /** Lets the server keep a job that has ended for as long as its executor wants. */
  #onEnd(job: ClusterJob, result?: JobResult): void {
    const { keep } = job.data ?? {};
    if (Number.isSafeInteger(keep) && keep! > 0) expireJob(this.#link.client, this.#keyStart + job.id, keep!);
    const bytes = result === undefined ? job.failedReason?.length ?? 0 : this.#long.get(result) ?? 0;
    if (bytes > LARGE_BYTES) boundEvents(this.#link.client, this.#keyStart, bytes);
    if (result !== undefined && bytes > 0) void this.#link.send(job, { what: "ended" });
  }

  async #run(job: ClusterJob): Promise<JobResult> {
    const { token } = job;
    try {
      checkJobData(job.data);
    } catch (error) {
      throw new UnrecoverableError((error as Error).message);
    }
    // A job that had ended, and that somebody wants to be run again, must not expire before that.
    if (job.attemptsMade > 0) persistJob(this.#link.client, this.#keyStart + job.id);
    await this.#leaveToOthers(job, token);
    const { tasks } = job.data;
    const hasSignals = tasks.some(({ signals }) => signals !== undefined);
    const signals = hasSignals ? await Promise.all(tasks.map((task) => this.#enterSignals(job, task))) : undefined;
    const held = this.#held.add(job);
    try {
      const outcomes = await Promise.all(tasks.map(async (_, place) => {
        const outcome = await this.#runTask(held, place, signals?.[place]);
        held.untold.set(place, outcome);
        return outcome;
      }));
      if (held.state === "leaving") {
        held.state = "left";
        await job.moveToWait(token);
        throw new WaitingError();
      }
      return this.#conclude(held, { outcomes });
    } catch (error) {
      if (!(error instanceof BrokenProcessPool)) throw error;
      this.#breakDown(error.message);
      // Nobody knows how far it has come. So its lock runs out, as when a node is lost.
      if (held.state === "begun") return await new Promise<never>(() => {});
      await job.moveToWait(token);
      throw new WaitingError();
    } finally {
      this.#held.remove(held);
      if (hasSignals) { for (const task of tasks) this.#signals.leave(executorOf(job.id!), task.signals ?? []); }
    }
  }

  async #enterSignals({ id }: ClusterJob, { signals = [] }: TaskData): Promise<AbortSignal[]> {
    return signals.length === 0 ? [] : await this.#signals.enter(executorOf(id!), signals);
  }

  /** Leaves a job to other nodes if one of them has its function and this one has not, as during an update. */
  async #leaveToOthers(job: ClusterJob, token: string | undefined): Promise<void> {
    const { tasks: [task, ...others] } = job.data;
    const isOneFunction = others.every(({ name, modules }) => {
      return name === task.name && modules.join() === task.modules.join();
    });
    // If it has several functions, each node may lack one of them, and the job would rest for ever.
    if (!isOneFunction || this.#functions.find(task) !== undefined) return;
    if (!await this.#functions.mayBeElsewhere(this.#link.client, task)) return;
    const rest = Math.round(Math.min(MAX_REST_MS, REST_MS * REST_GROWTH ** (job.attemptsStarted - 1)));
    await job.moveToDelayed(Date.now() + rest, token);
    await new Promise((resolve) => setTimeout(resolve, rest + LATER_MS));
    throw new DelayedError();
  }

  /**
   * Tells the engine what became of a job.
   *
   * @throws {Error} It has failed.
   */
  #conclude({ job, tasks, stack }: HeldJob, result: JobResult): JobResult {
    const hasFailed = result.outcomes.some((outcome) => {
      return "unknown" in outcome || "timedOut" in outcome || ("ok" in outcome && !outcome.ok);
    });
    const isUnknown = result.outcomes.some((outcome) => "unknown" in outcome);
    const isFinal = isUnknown || [...tasks.values()].some(({ endedBy }) => endedBy === "abort") ||
      result.outcomes.some((outcome) => "timedOut" in outcome);
    const text = JSON.stringify(result);
    if (hasFailed && !isFinal && job.attemptsMade + 1 < (job.opts.attempts ?? 1)) {
      throw withStack(new Error(text), stack);
    }
    // Other clients learn from the engine that their job has failed; an executor reads the result.
    if (hasFailed && !isOfExecutor(job.id!)) throw withStack(new UnrecoverableError(text), stack);
    if (text.length <= MAX_MESSAGE_LENGTH) void this.#link.send(job, { what: "ended", result });
    else this.#long.set(result, text.length);
    return result;
  }

  async #runTask(held: HeldJob, place: number, signals: readonly AbortSignal[] = []): Promise<Outcome> {
    const data = held.job.data.tasks[place];
    const { address: { queue }, name: node } = this.#options;
    const { attempt } = held;
    const current: CurrentJob = { id: data.id, queue, node, attempt };
    const module = this.#functions.find(data);
    if (module === undefined) return { unknown: this.#functions.describeUnknown(node, data) };
    const { name, how, args, label } = data;
    const call = { name, label, how, args, signals, job: current };
    let reports: Reports<JobValue>[] | undefined;
    const future = this.#pool.run(module, call, data, (progress) => {
      const value = toJobValue(encodeValue(progress, { root: "progress", sameProcess: false }));
      reports ??= this.#reportsOf(held, place);
      for (const one of reports) one.say(value);
    });
    const task: HeldTask = { place, future, reportAt: held.since + LOOK_MS };
    held.tasks.set(place, task);
    try {
      const [value, ms] = await future;
      this.#learn(ms);
      return { ok: true, attempt, ms, value, ran: this.#ranOf(task, data) };
    } catch (error) {
      if (task.endedBy === "recall") return RECALLED;
      if (error instanceof BrokenProcessPool && this.#pool.isBroken()) throw error;
      if (error instanceof Error) held.stack ??= error.stack;
      const end = { attempt, ms: performance.now() - held.since, ran: this.#ranOf(task, data) };
      if (this.#pool.hasTimedOut(future)) return { timedOut: node, ...end };
      const value = toJobValue(encodeValue(withRemote(error, current), { root: "error", sameProcess: false }));
      return { ok: false, ...end, value };
    } finally {
      reports?.forEach((one) => one.end());
    }
  }

  /** Where and when a task ran, if its executor wants to know. */
  #ranOf({ future }: HeldTask, { measured }: TaskData): RanOn | undefined {
    const ran = measured && this.#pool.ranOf(future);
    return ran && [`${this.#options.name}_${ran.worker}`, ran.began, ran.ended];
  }

  /** Takes no more jobs, and resolves `broken` when the jobs that had not begun are back in the queue. */
  #breakDown(problem: string): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    void this.#worker!.close().catch(() => {});
    const end = performance.now() + GIVE_ALL_BACK_MS;
    const timer = setInterval(() => {
      if (this.#held.hasWaiting() && performance.now() < end) return;
      clearInterval(timer);
      this.#broken.resolve(problem);
    }, LOOK_MS);
  }

  /** Where a task's progress goes. */
  #reportsOf({ job }: HeldJob, place: number): Reports<JobValue>[] {
    const reports = [
      new Reports<JobValue>((value) => this.#link.send(job, { what: "progress", task: place, value }), MAX_REPORTS),
    ];
    // For dashboards, in which a job of several tasks has no progress of its own.
    if (job.data.tasks.length === 1) reports.push(new Reports((value) => job.updateProgress(value as object), 1));
    return reports;
  }

  #learn(ms: number): void {
    this.#msPerTask = (this.#msPerTask * 7 + ms) / 8;
    this.#adapt();
  }

  /** Learns from a job that has come whether more come than there are processes. */
  #meet(): void {
    this.#lone = this.#isDrained && this.#held.size < this.#options.workers ? this.#lone + 1 : 0;
    this.#isDrained = false;
    this.#adapt();
  }

  /**
   * Takes more jobs at once while tasks are quick: they wait for the server more than for a process. But where they
   * come one by one, the engine would ask for one more in vain each time, before it hands over the one that it has.
   */
  #adapt(): void {
    const { workers } = this.#options;
    const wanted = this.#msPerTask <= QUICK_MS && this.#lone < MANY_LONE ? workers * MAX_PER_WORKER : workers;
    if (this.#worker!.concurrency !== wanted) this.#worker!.concurrency = wanted;
  }

  /** Takes no more jobs than there are processes, because other nodes have time for those that wait. */
  #takeFewer(): void {
    this.#msPerTask = QUICK_MS * 2;
    this.#worker!.concurrency = this.#options.workers;
  }

  /** Takes no more jobs, lets those that run end, and closes the connections. */
  async close(): Promise<void> {
    this.#link.isClosing = true;
    clearInterval(this.#forgetting);
    const closed = this.#worker?.close();
    await this.#held.empty();
    // The engine says at once what became of the last jobs. But its own end may take seconds, or never come if the
    // server has been away.
    for (let i = 0; i < MAX_CLOSE_ROUNDS; i++) {
      const round = new Promise((resolve) => setTimeout(resolve, CLOSE_ROUND_MS, "later"));
      if (await Promise.race([closed, round]) !== "later" || this.#link.client.status === "ready") break;
    }
    await this.#pool.shutdown();
    this.#link.close();
  }
}

/** Gives an error the stack of the task's error, as dashboards show it, instead of all its own text once more. */
function withStack<E extends Error>(error: E, stack = "A task has failed"): E {
  error.stack = stack.slice(0, MAX_STACK);
  return error;
}
