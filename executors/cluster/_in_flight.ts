/**
 * The table of a `ClusterExecutor`'s tasks that are under way: where each one is, and which job carries it.
 *
 * A job only carries tasks; a task belongs to one job at the most. What comes too late, because its task has been
 * recalled or is done, finds that the task belongs to that job no more, and changes nothing.
 *
 * @module
 */

import { sharedNow } from "../../futures/builtins.ts";
import { EMPTY, Encoded, Encoding } from "../_values/encoded.ts";
import { nameAndRest } from "../_values/named.ts";
import type { Consumer, Task } from "../_queue/consumer.ts";
import { RecordType, Status, TaskFlag, TaskState } from "../_queue/protocol.ts";
import { type Definition, modulesOf } from "../_functions/definition.ts";
import { LARGE_BYTES } from "./_keep.ts";
import { aliasOf, checkJobResult, checkOutcome, howOf, nameOf, type Outcome, type TaskData } from "./_jobs.ts";
import { fromJobValue, toJobValue } from "./_job_value.ts";
import type { SentSignals } from "./_signals.ts";
import { NOT_TOLD, WorkerNames } from "./_worker_names.ts";

/** Why the pool is broken, or why a job has failed without running to its end: the broker reports it as JSON. */
export interface ClusterReport {
  readonly what: "unreachable" | "lost" | "stalled" | "unknown" | "refused";
  readonly message: string;
  readonly job?: string;
  readonly modules?: readonly string[];
}

/**
 * A job costs server and nodes a fraction of a millisecond each, and quick tasks take no longer than that. So up to
 * `MAX_PACKED` of them share a job, as long as they take no more than `MAX_PACKED_MS` together. What is added at once
 * becomes `MIN_JOBS` jobs or more, if it can, for as many workers; and a task with more than `SMALL_BYTES` is a job of
 * its own.
 */
const MAX_PACKED = 32;
const MAX_PACKED_MS = 5;
const MIN_JOBS = 16;
const SMALL_BYTES = 1_024;

/** For how many milliseconds recalled tasks stay here after the last one was cancelled, in case that more follow. */
const HOLD_MS = 50;

/** A task that is not in the pool's queue any more. */
export interface InFlightTask extends Task {
  /** Which of its executor's tasks it is, from 1 on: the order of their submission. */
  readonly number: number;
  readonly data: TaskData;
  /**
   * Where it is; in parentheses, what its slot says:
   *
   * - `"waiting"` (PREFETCHED): for a job, which is made of all that wait.
   * - `"sent"` (PREFETCHED), from `"waiting"`: a job carries it, which is with the server or with a node.
   * - `"begun"` (RUNNING), from `"sent"`: a node has said so, or nobody has said in time that it has not.
   * - `"recalled"` (PENDING, or CANCELLED by the owner), from the three above: it comes back before it has begun. What
   *   is not cancelled is `"waiting"` again after a moment.
   * - `"done"` (DONE), from `"sent"` and `"begun"`: its outcome is on its way to the owner.
   *
   * In all of them but the last the owner may make it STOPPING, which stays so until it is done, or is found when it
   * comes back.
   */
  state: "waiting" | "sent" | "begun" | "recalled" | "done";
  /** The job that carries it, while it is `"sent"` or `"begun"`. */
  job?: Job;
  /** How often it was recalled. */
  recalls: number;
  /** When the broker took it, by the clock that all threads share. */
  readonly takenAt: number;
  /** Is called with what becomes of it, while the broker recalls it. */
  onUpdate?: (update: TaskUpdate) => void;
}

/** What the broker waits for when it recalls a task: the server has its job; it has begun; it is recalled, or done. */
export type TaskUpdate = "added" | "begun" | "left";

/** What is with the server, or runs on a node: one task, or several. */
export interface Job {
  readonly id: string;
  /** All that it was made of, in their order, also those that have left it since. */
  readonly tasks: readonly InFlightTask[];
  /** Whether the server has it. */
  isAdded: boolean;
  /** When the broker has heard of it last. */
  heardAt: number;
  /** During which connection it was added. */
  connection: number;
}

/** How tasks become jobs. */
export interface InFlightOptions {
  /** What the ids of all jobs of this executor begin with. */
  readonly id: string;
  /** The names of modules, by URL, where they are not those of the files. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Whether quick tasks share a job. */
  readonly packs: boolean;
  /** Follows the signals among the arguments. */
  readonly signals?: Pick<SentSignals, "begin" | "forget">;
}

/** See above. */
export class InFlight {
  readonly #consumer: Consumer;
  readonly #options: InFlightOptions;
  /** Is called when a job, or a task of one, has left the table. */
  readonly #onLeft: () => void;
  readonly jobs: Map<string, Job> = new Map();
  /** Large jobs that the server need not keep any more. */
  readonly delivered: string[] = [];
  /** All tasks but recalled and done ones, by their slots. */
  readonly #tasks = new Map<number, InFlightTask>();
  #waiting: InFlightTask[] = [];
  /** The tasks that are recalled, and until when they stay so. */
  #backlog: InFlightTask[] = [];
  #heldUntil = 0;
  /** How long a task takes, in milliseconds, on the average of the last ones; by its function. */
  readonly #msPerTask = new Map<number, number>();
  #count = 0;
  readonly #workers: WorkerNames;

  constructor(consumer: Consumer, options: InFlightOptions, onLeft: () => void) {
    this.#consumer = consumer;
    this.#workers = new WorkerNames(consumer);
    this.#options = options;
    this.#onLeft = onLeft;
  }

  /** How many tasks the cluster has, or is going to have. */
  get size(): number {
    return this.#tasks.size;
  }

  /** How many of them wait for a job. */
  get waiting(): number {
    return this.#waiting.length;
  }

  get hasBacklog(): boolean {
    return this.#backlog.length > 0;
  }

  /** For how many milliseconds the backlog stays here. */
  get heldFor(): number {
    return this.#heldUntil - performance.now();
  }

  ofSlot(slot: number): InFlightTask | undefined {
    return this.#tasks.get(slot);
  }

  // From the pool's queue to a job

  /** Takes a task in that was started as PREFETCHED. */
  take(task: Task, definition: Definition): void {
    const { slot, fn, flags } = task;
    const [label, payload] = (flags & TaskFlag.NAMED) === 0 ? [undefined, task.payload] : nameAndRest(task.payload);
    const number = ++this.#count;
    const urls = modulesOf(definition);
    const data: TaskData = {
      id: `${this.#options.id}-${number}`,
      modules: urls.map((url) => this.#options.aliases.get(url) ?? aliasOf(url)),
      name: nameOf(definition),
      how: howOf(flags),
      args: toJobValue(payload),
      label,
      ...(flags & TaskFlag.TIMEOUT) === 0 ? undefined : this.#consumer.limitsOf(slot),
      signals: payload.shared.length === 0 ? undefined : this.#options.signals?.begin(payload.shared),
      measured: (flags & TaskFlag.MEASURED) === 0 ? undefined : true,
    };
    const takenAt = sharedNow();
    this.#wait({ slot, fn, flags, payload, number, data, state: "waiting", recalls: 0, takenAt });
  }

  #wait(task: InFlightTask): void {
    task.state = "waiting";
    this.#tasks.set(task.slot, task);
    this.#waiting.push(task);
  }

  /**
   * Takes in again what was recalled and is not cancelled, in the order of its submission; waits once more if some was
   * cancelled meanwhile.
   */
  takeBacklog(): void {
    const pending = this.#backlog.filter((task) => this.#startAgain(task, TaskState.PENDING));
    const isBeingCancelled = pending.length < this.#backlog.length;
    this.#backlog = pending;
    if (isBeingCancelled) {
      this.#heldUntil = performance.now() + HOLD_MS;
      return;
    }
    this.#backlog = [];
    for (const task of pending.sort((a, b) => a.number - b.number)) {
      if (this.#startAgain(task, TaskState.PREFETCHED)) this.#wait(task);
    }
  }

  /** As `start()`, for a task that has come back: if it was cancelled, or stopped, it is not sent again. */
  #startAgain(task: InFlightTask, as: number): boolean {
    const mayStart = this.#consumer.start(task, as);
    if (!mayStart) this.#options.signals?.forget(task.payload.shared);
    return mayStart;
  }

  /** Makes jobs of all tasks that wait. */
  makeJobs(): Job[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    const jobs: Job[] = [];
    for (let i = 0; i < waiting.length;) {
      const tasks = waiting.slice(i, i + this.#packed(waiting, i));
      i += tasks.length;
      const [{ data, recalls }] = tasks;
      // The server keeps for a while what a node has given back.
      const id = recalls === 0 ? data.id : `${data.id}.${recalls}`;
      const job: Job = { id, tasks, isAdded: false, heardAt: performance.now(), connection: 0 };
      for (const task of tasks) {
        task.state = "sent";
        task.job = job;
      }
      this.jobs.set(id, job);
      jobs.push(job);
    }
    return jobs;
  }

  /** How many tasks, from this one on, become one job. */
  #packed(waiting: readonly InFlightTask[], from: number): number {
    const { fn } = waiting[from];
    const ms = this.#msPerTask.get(fn);
    if (ms === undefined || !this.#options.packs || mayTakeLong(waiting[from])) return 1;
    const most = Math.min(MAX_PACKED, MAX_PACKED_MS / ms, Math.ceil(waiting.length / MIN_JOBS));
    let length = 1;
    for (; length < most; length++) {
      const task = waiting[from + length];
      if (task?.fn !== fn || !isSmall(task) || mayTakeLong(task)) break;
    }
    return length;
  }

  // What becomes of them

  markAdded(job: Job, connection: number): void {
    job.isAdded = true;
    job.connection = connection;
    job.heardAt = performance.now();
    for (const task of job.tasks) task.onUpdate?.("added");
  }

  markBegun(task: InFlightTask): void {
    if (task.state === "sent") {
      task.state = "begun";
      this.#consumer.setState(task, TaskState.RUNNING);
    }
    if (task.state === "begun") task.onUpdate?.("begun");
  }

  /** Takes a task out of its job that comes back before it has begun. */
  markRecalled(task: InFlightTask): void {
    if (task.state === "recalled" || task.state === "done") return;
    if (task.state === "waiting") this.#waiting = this.#waiting.filter((other) => other !== task);
    this.#leave(task, "recalled");
    task.recalls++;
    this.#consumer.setState(task, TaskState.PENDING);
    this.#backlog.push(task);
    this.#heldUntil = performance.now() + HOLD_MS;
    this.#consumer.wakeUp();
  }

  /** Recalls all tasks that wait for a job. */
  recallWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const task of waiting) this.markRecalled(task);
  }

  /**
   * Settles the tasks of a job.
   *
   * @param bytes How long its result was as a text.
   * @throws {TypeError} This is no result of it; then nothing has changed.
   */
  complete(job: Job, result: unknown, bytes: number): void {
    checkJobResult(result, job.tasks.length);
    const payloads = result.outcomes.map((outcome, i) => payloadOf(outcome, job.tasks[i]));
    let room = bytes;
    for (const [i, task] of job.tasks.entries()) {
      room += task.payload.room;
      if (task.job === job) this.#onOutcome(task, result.outcomes[i], payloads[i]);
    }
    if (room > LARGE_BYTES) this.delivered.push(job.id);
    this.end(job);
  }

  /** Settles a task by the outcome that the server has of it, while others of its job go on. */
  completeTask(job: Job, place: number, text: string): void {
    const task = job.tasks[place];
    if (task.job !== job) return;
    try {
      const outcome: unknown = JSON.parse(text);
      checkOutcome(outcome);
      this.#onOutcome(task, outcome, payloadOf(outcome, task));
    } catch (error) {
      this.#lose(task, { what: "lost", message: String(error) });
    }
    this.#consumer.ring();
    this.#onLeft();
  }

  #onOutcome(task: InFlightTask, outcome: Outcome, payload: Encoded): void {
    if ("recalled" in outcome) this.markRecalled(task);
    else if ("unknown" in outcome) {
      const report: ClusterReport = { what: "unknown", message: outcome.unknown, modules: task.data.modules };
      this.#settle(task, RecordType.LOST, reportPayload(report));
    } else {
      const { ms, attempt, ran } = outcome;
      this.#msPerTask.set(task.fn, (ms + (this.#msPerTask.get(task.fn) ?? ms)) / 2);
      const type = "timedOut" in outcome ? RecordType.TIMED_OUT : outcome.ok ? RecordType.VALUE : RecordType.ERROR;
      this.#settle(task, type, payload, attempt, ran && this.#workers.timesOf(task, ran));
    }
  }

  /** Settles the tasks of a job by the result that the server has of it. */
  completeByText(job: Job, text: string): void {
    try {
      this.complete(job, JSON.parse(text), text.length);
    } catch (error) {
      this.fail(job, { what: "lost", message: String(error) });
    }
  }

  /** Settles the tasks of a job by the reason that the server has for its failure. */
  failByReason(job: Job, reason: string): void {
    // What a node gives as the reason is a result; else it is a text of the engine's own.
    if (reason.startsWith("{")) this.completeByText(job, reason);
    else this.fail(job, { what: /stalled/.test(reason) ? "stalled" : "lost", message: reason });
  }

  /** Fails the tasks that still belong to a job. */
  fail(job: Job, report: Omit<ClusterReport, "job">): void {
    for (const task of job.tasks) if (task.job === job) this.#lose(task, report);
    this.end(job);
  }

  #lose(task: InFlightTask, report: Omit<ClusterReport, "job">): void {
    this.#settle(task, RecordType.LOST, reportPayload({ ...report, job: task.data.id }));
  }

  #settle(task: InFlightTask, type: number, payload: Encoded, attempts = 1, times = NOT_TOLD): void {
    // The owner may be waiting to cancel it.
    this.markBegun(task);
    this.#leave(task, "done");
    this.#options.signals?.forget(task.payload.shared);
    this.#consumer.reply(task, type, payload, attempts, false, Status.ACTIVE, times);
  }

  #leave(task: InFlightTask, state: "recalled" | "done"): void {
    task.state = state;
    task.job = undefined;
    this.#tasks.delete(task.slot);
    task.onUpdate?.("left");
  }

  /** Takes a job out of the table, which carries no task any more. */
  end(job: Job): void {
    this.jobs.delete(job.id);
    this.#consumer.ring();
    this.#onLeft();
  }
}

function isSmall({ payload }: InFlightTask): boolean {
  return payload.room <= SMALL_BYTES;
}

/** Whether a task may take longer than others of its function: those in its job would wait for it. */
function mayTakeLong({ data }: InFlightTask): boolean {
  return data.timeout !== undefined;
}

/**
 * What an outcome says.
 *
 * @throws {TypeError} It cannot be that of this task.
 */
function payloadOf(outcome: Outcome, { data: { timeout } }: InFlightTask): Encoded {
  if ("timedOut" in outcome) {
    if (timeout === undefined) throw new TypeError("Cannot read a timeout of a task that has none");
    return new Encoded(Encoding.TEXT, outcome.timedOut);
  }
  return "ok" in outcome ? fromJobValue(outcome.value) : EMPTY;
}

export function reportPayload(report: ClusterReport): Encoded {
  return new Encoded(Encoding.JSON, JSON.stringify(report));
}
