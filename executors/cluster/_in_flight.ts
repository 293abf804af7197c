/**
 * The tasks of a `ClusterExecutor` that the cluster has, and the jobs that carry them: what becomes of them, and who is told.
 *
 * A task is PENDING in the pool's queue, PREFETCHED while it is here, RUNNING when a node has told that it has begun, or PENDING again when it comes back; a job only
 * carries tasks. What of a task comes too late, because it has come back or is done, finds it no longer a part of its job.
 *
 * @module
 */

import { EMPTY, Encoded, Encoding } from "../_values/encoded.ts";
import type { Consumer, Task } from "../_queue/consumer.ts";
import { RecordType, TaskState } from "../_queue/protocol.ts";
import { type Definition, modulesOf } from "../_functions/definition.ts";
import { LARGE_BYTES } from "./_keep.ts";
import { aliasOf, checkJobResult, fromPayload, howOf, type Outcome, type TaskData, toPayload } from "./_jobs.ts";

/** Why the pool is broken, or a job has failed without running to its end. It tells the owner, as JSON. */
export interface ClusterReport {
  readonly what: "unreachable" | "lost" | "stalled" | "unknown" | "refused";
  readonly message: string;
  readonly job?: string;
  readonly modules?: readonly string[];
}

/**
 * So many quick tasks at the most become one job, and no more than take so long, in milliseconds: a job costs server and nodes a fraction of a millisecond each, and
 * few tasks take that long. What is added at once becomes at least so many jobs, if it can, so that many workers have something of it; and tasks with more
 * bytes than that become jobs of their own.
 */
const MAX_PACKED = 32;
const PACK_MS = 5;
const SHARES = 16;
const SMALL_BYTES = 1_024;

/** What is back is given away again when for so long, in milliseconds, none of it was cancelled. */
const HOLD_MS = 50;

/** A task that the pool's queue has no more. */
export interface InFlightTask {
  readonly task: Task;
  /** The how manieth of its executor it is. */
  readonly number: number;
  readonly data: TaskData;
  /** The job that carries it, if any. */
  job?: Job;
  /** How often it came back before it had begun. */
  returns: number;
  /** Whether a node has told that it has begun it. */
  hasBegun: boolean;
  /** While it is taken back: is told what is heard of it. */
  onNews?: (news: News) => void;
}

/** What can be heard of a task that is taken back. */
export type News = "added" | "begun" | "over";

/** What lies in the cluster's queue, or runs on a node: one task, or several. */
export interface Job {
  readonly id: string;
  /** In their order; some may not belong to it any more. */
  readonly all: readonly InFlightTask[];
  /** Whether the server has it. */
  isAdded: boolean;
  /** When something was heard of it last. */
  heardAt: number;
  /** During which connection it was added. */
  connection: number;
}

/** How tasks become jobs. */
export interface FlightOptions {
  /** What the numbers of all jobs of this executor begin with. */
  readonly id: string;
  /** The names of modules, by URL, where they are not those of the files. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Whether quick tasks share a job. */
  readonly packs: boolean;
}

/** See above. */
export class InFlight {
  readonly #consumer: Consumer;
  readonly #options: FlightOptions;
  /** What is told when a task has left. */
  readonly #onLeft: () => void;
  readonly jobs: Map<string, Job> = new Map();
  /** Large jobs that the server needs not keep any more. */
  readonly delivered: string[] = [];
  /** The tasks of jobs, by their slots. */
  readonly #sent = new Map<number, InFlightTask>();
  /** Tasks that are going to be jobs. */
  #batch: InFlightTask[] = [];
  /** Tasks that came back and are pending again, and until when they stay here. */
  #backlog: InFlightTask[] = [];
  #heldUntil = 0;
  /** What tasks of a function take, in milliseconds, on the average of the last ones. */
  readonly #paces = new Map<number, number>();
  #count = 0;

  constructor(consumer: Consumer, options: FlightOptions, onLeft: () => void) {
    this.#consumer = consumer;
    this.#options = options;
    this.#onLeft = onLeft;
  }

  /** How many tasks the cluster has, or is going to have. */
  get size(): number {
    return this.#sent.size;
  }

  /** How many of them are no part of a job yet. */
  get waiting(): number {
    return this.#batch.length;
  }

  get hasBacklog(): boolean {
    return this.#backlog.length > 0;
  }

  /** For how many milliseconds the backlog stays here. */
  get heldFor(): number {
    return this.#heldUntil - performance.now();
  }

  ofSlot(slot: number): InFlightTask | undefined {
    return this.#sent.get(slot);
  }

  // From the pool's queue to a job

  /** Takes a task that was marked as given. */
  take(task: Task, definition: Definition): void {
    const number = ++this.#count;
    const urls = modulesOf(definition);
    const data: TaskData = {
      id: `${this.#options.id}-${number}`,
      modules: urls.map((url) => this.#options.aliases.get(url) ?? aliasOf(url)),
      name: nameOf(definition),
      how: howOf(task.flags),
      payload: toPayload(task.payload),
    };
    this.#give({ task, number, data, returns: 0, hasBegun: false });
  }

  #give(sent: InFlightTask): void {
    this.#sent.set(sent.task.slot, sent);
    this.#batch.push(sent);
  }

  /** Takes what came back and is not cancelled again, in the order in which it was submitted; what is being cancelled is waited for. */
  takeBacklog(): void {
    const pending = this.#backlog.filter(({ task }) => this.#consumer.start(task, TaskState.PENDING));
    const isBeingCancelled = pending.length < this.#backlog.length;
    this.#backlog = pending;
    if (isBeingCancelled) {
      this.#heldUntil = performance.now() + HOLD_MS;
      return;
    }
    this.#backlog = [];
    for (const sent of pending.sort((a, b) => a.number - b.number)) {
      if (this.#consumer.start(sent.task, TaskState.PREFETCHED)) this.#give(sent);
    }
  }

  /** Makes jobs of what waits. */
  makeJobs(): Job[] {
    const batch = this.#batch;
    this.#batch = [];
    const jobs: Job[] = [];
    for (let i = 0; i < batch.length;) {
      const all = batch.slice(i, i + this.#packed(batch, i));
      i += all.length;
      const [{ data, returns }] = all;
      // The server keeps for a while what a node has given back.
      const id = returns === 0 ? data.id : `${data.id}.${returns}`;
      const job: Job = { id, all, isAdded: false, heardAt: performance.now(), connection: 0 };
      for (const sent of all) sent.job = job;
      this.jobs.set(id, job);
      jobs.push(job);
    }
    return jobs;
  }

  /** How many tasks from this one on become one job. */
  #packed(batch: readonly InFlightTask[], from: number): number {
    const { fn } = batch[from].task;
    const pace = this.#paces.get(fn);
    if (pace === undefined || !this.#options.packs) return 1;
    const most = Math.min(MAX_PACKED, PACK_MS / pace, Math.ceil(batch.length / SHARES));
    let length = 1;
    while (length < most && batch[from + length]?.task.fn === fn && isSmall(batch[from + length])) length++;
    return length;
  }

  // What becomes of them

  noteAdded(job: Job, connection: number): void {
    job.isAdded = true;
    job.connection = connection;
    job.heardAt = performance.now();
    for (const sent of job.all) sent.onNews?.("added");
  }

  markBegun(sent: InFlightTask | undefined): void {
    if (sent?.job === undefined) return;
    if (!sent.hasBegun) this.#consumer.setState(sent.task, TaskState.RUNNING);
    sent.hasBegun = true;
    sent.onNews?.("begun");
  }

  /**
   * Settles the tasks of a job.
   *
   * @param bytes How long its result was as a text.
   * @throws {TypeError} This is no result of it; then nothing has changed.
   */
  complete(job: Job, value: unknown, bytes: number): void {
    checkJobResult(value, job.all.length);
    const payloads = value.outcomes.map((outcome) => "ok" in outcome ? fromPayload(outcome.payload) : EMPTY);
    let room = bytes;
    for (const [i, sent] of job.all.entries()) {
      room += sent.task.payload.room;
      if (sent.job === job) this.#onOutcome(sent, value.outcomes[i], payloads[i]);
    }
    if (room > LARGE_BYTES) this.delivered.push(job.id);
    this.end(job);
  }

  #onOutcome(sent: InFlightTask, outcome: Outcome, payload: Encoded): void {
    if ("returned" in outcome) this.putBack(sent);
    else if ("unknown" in outcome) {
      const report: ClusterReport = { what: "unknown", message: outcome.unknown, modules: sent.data.modules };
      this.#settle(sent, RecordType.LOST, reportPayload(report));
    } else {
      const { fn } = sent.task;
      this.#paces.set(fn, (outcome.ms + (this.#paces.get(fn) ?? outcome.ms)) / 2);
      this.#settle(sent, outcome.ok ? RecordType.VALUE : RecordType.ERROR, payload, outcome.attempt);
    }
  }

  /** Settles the tasks of a job by what the server has of it: its result, or why it has failed. */
  completeBy(job: Job, text: string): void {
    try {
      this.complete(job, JSON.parse(text), text.length);
    } catch (error) {
      this.fail(job, { what: "lost", message: String(error) });
    }
  }

  failBy(job: Job, reason: string): void {
    // Else it is no text of a node's, but the engine's own.
    if (reason.startsWith("{")) this.completeBy(job, reason);
    else this.fail(job, { what: /stalled/.test(reason) ? "stalled" : "lost", message: reason });
  }

  #settle(sent: InFlightTask, type: number, payload: Encoded, attempts = 1): void {
    // The owner may be waiting to cancel it.
    this.markBegun(sent);
    this.#forget(sent);
    this.#consumer.reply(sent.task, type, payload, attempts, false);
  }

  #forget(sent: InFlightTask): void {
    sent.job = undefined;
    this.#sent.delete(sent.task.slot);
    sent.onNews?.("over");
  }

  /** Fails what still belongs to a job. */
  fail(job: Job, report: Omit<ClusterReport, "job">): void {
    for (const sent of job.all) {
      if (sent.job === job) this.#settle(sent, RecordType.LOST, reportPayload({ ...report, job: sent.data.id }));
    }
    this.end(job);
  }

  end(job: Job): void {
    this.jobs.delete(job.id);
    this.#consumer.ring();
    this.#onLeft();
  }

  /** Takes a task back that has not begun. */
  putBack(sent: InFlightTask): void {
    if (this.#sent.get(sent.task.slot) !== sent) return;
    if (sent.job === undefined) this.#batch = this.#batch.filter((other) => other !== sent);
    this.#forget(sent);
    sent.returns++;
    this.#consumer.setState(sent.task, TaskState.PENDING);
    this.#backlog.push(sent);
    this.#heldUntil = performance.now() + HOLD_MS;
    this.#consumer.wakeUp();
  }

  /** Takes back all that is no part of a job yet. */
  putBackWaiting(): void {
    const batch = this.#batch;
    this.#batch = [];
    for (const sent of batch) this.putBack(sent);
  }
}

function isSmall({ task }: InFlightTask): boolean {
  return task.payload.room <= SMALL_BYTES;
}

export function reportPayload(report: ClusterReport | null): Encoded {
  return new Encoded(Encoding.JSON, JSON.stringify(report));
}

/** The name under which nodes have a function: that of its export. */
function nameOf(definition: Definition): string {
  if (definition.how === "reference") return definition.path;
  return definition.how === "search" && definition.exports.length > 0 ? definition.exports[0].path : definition.name;
}
