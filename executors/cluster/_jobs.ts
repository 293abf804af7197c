/**
 * How tasks, and what became of them, lie in the queue: JSON that a program in any language can read and write.
 *
 * @module
 */

import type { Definition } from "../_functions/definition.ts";
import { TaskFlag } from "../_queue/protocol.ts";
import { type JobValue, shortened } from "./_job_value.ts";

/**
 * The version of jobs, of their results and of what is said of them. Counted up when a node would not understand the
 * change: nodes and programs are not updated at the same time, and a node refuses jobs of another version.
 */
export const VERSION = 3;

/** What a job carries: one task, or several quick ones of the same function. */
export interface JobData {
  readonly v: typeof VERSION;
  readonly tasks: readonly TaskData[];
  /** How long the job is kept when it has ended, in milliseconds; not given: as the engine's own options say. */
  readonly keep?: number;
}

/** One task of a job. */
export interface TaskData {
  /** The same each time that it is run. */
  readonly id: string;
  /** Names of the modules that may export the function, the likeliest first: each node has its own table of them. */
  readonly modules: readonly string[];
  /** The export's name. */
  readonly name: string;
  /** One call; or several, with a list of arguments or one argument for each. */
  readonly how: "call" | "chunk" | "column";
  readonly args: JobValue;
  /** What its caller has named it. */
  readonly label?: string;
  /** How long it may run, and how long it has to end by itself when that is over, in milliseconds. */
  readonly timeout?: number;
  readonly grace?: number;
  /** The numbers by which its executor knows the signals among its arguments: see `_signals.ts`. */
  readonly signals?: readonly number[];
  /** Whether its executor wants to know where and when it ran. */
  readonly measured?: true;
}

/**
 * What became of the tasks of a job, in their order: its return value; or its error's text, where it fails: because it
 * will be tried again, or because it was added by no executor.
 */
export interface JobResult {
  readonly outcomes: readonly Outcome[];
}

/** What became of a task. */
export type Outcome =
  /** It has ended, with a result or an error. */
  | {
    readonly ok: boolean;
    readonly value: JobValue;
    /** How many times it had been begun, with this time: 1 at first. */
    readonly attempt: number;
    /** How long it took, in milliseconds. */
    readonly ms: number;
    readonly ran?: RanOn;
  }
  /** It was stopped by the node of this name, because it ran for longer than its timeout. */
  | { readonly timedOut: string; readonly attempt: number; readonly ms: number; readonly ran?: RanOn }
  /** It has not begun, and its executor gets it back. */
  | typeof RECALLED
  /** No node has such a function. */
  | { readonly unknown: string };

/** By which worker a task was run, and from when to when by the clock of its node, in milliseconds since 1970. */
export type RanOn = readonly [worker: string, began: number, ended: number];

/** How long the name of a worker may be. */
const MAX_NAME = 300;

/** See {@linkcode Outcome}. */
export const RECALLED = { recalled: true } as const;

/** What a module is called where nobody has said it: its file's name. */
export function aliasOf(url: string): string {
  const { pathname } = new URL(url);
  return pathname.slice(pathname.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
}

/** The name under which nodes have a function: that of its export. */
export function nameOf(definition: Definition): string {
  if (definition.how === "reference") return definition.path;
  return definition.how === "search" && definition.exports.length > 0 ? definition.exports[0].path : definition.name;
}

/** How a task is to be called, by its flags. */
export function howOf(flags: number): TaskData["how"] {
  if ((flags & TaskFlag.CHUNK) === 0) return "call";
  return (flags & TaskFlag.COLUMN) === 0 ? "chunk" : "column";
}

/**
 * Checks what a job carries. It may come from anybody who can write to the server.
 *
 * @throws {TypeError} It is no job, or one of another version.
 */
export function checkJobData(data: unknown): asserts data is JobData {
  const { v, tasks, keep } = (data ?? {}) as { [name: string]: unknown };
  if (v !== VERSION) {
    throw new TypeError(
      `Cannot run a job of version ${JSON.stringify(v)}, because this node knows version ${VERSION}. ` +
        "To fix it, use the same version of this library in programs and nodes",
    );
  }
  const isKept = keep === undefined || (Number.isSafeInteger(keep) && (keep as number) > 0);
  if (!isKept || !Array.isArray(tasks) || tasks.length === 0 || !tasks.every(isTaskData)) {
    throw new TypeError(`Cannot read an invalid job: ${shortened(data)}`);
  }
}

function isTaskData(task: unknown): boolean {
  const { id, modules, name, how, args, label, timeout, grace, signals } = (task ?? {}) as { [name: string]: unknown };
  const areControls = (label === undefined || typeof label === "string") &&
    [timeout, grace].every((time) => time === undefined || typeof time === "number") &&
    (signals === undefined || (Array.isArray(signals) && signals.every(Number.isSafeInteger)));
  return areControls && typeof id === "string" && Array.isArray(modules) &&
    modules.every((module) => typeof module === "string") &&
    typeof name === "string" && (how === "call" || how === "chunk" || how === "column") && isArguments(args);
}

/** Whether a value may be arguments. What else than JSON it is, is seen by the process that reads it. */
function isArguments(args: unknown): boolean {
  if (typeof args !== "object") return false;
  const { json } = (args ?? {}) as { json?: unknown };
  return json === undefined || Array.isArray(json);
}

/**
 * Checks what became of a job. It may come from anybody who can write to the server.
 *
 * @throws {TypeError} It is not what a node says.
 */
export function checkJobResult(result: unknown, tasks: number): asserts result is JobResult {
  const { outcomes } = (result ?? {}) as Partial<JobResult>;
  if (Array.isArray(outcomes) && outcomes.length === tasks && outcomes.every(isOutcome)) return;
  throw new TypeError(`Cannot read an invalid outcome of ${tasks} tasks: ${shortened(result)}`);
}

/**
 * Checks what became of a task, as {@linkcode checkJobResult} does.
 *
 * @throws {TypeError} It is not what a node says.
 */
export function checkOutcome(outcome: unknown): asserts outcome is Outcome {
  if (!isOutcome(outcome)) throw new TypeError(`Cannot read an invalid outcome of a task: ${shortened(outcome)}`);
}

/** The field of a job's hash with the outcome of one of its tasks, while others of it go on. */
export function outcomeField(place: number): string {
  return `outcome:${place}`;
}

function isOutcome(outcome: unknown): boolean {
  if (typeof outcome !== "object" || outcome === null) return false;
  const { ok, attempt, ms, ran, timedOut, recalled, unknown } = outcome as { [name: string]: unknown };
  if ("recalled" in outcome) return recalled === true;
  if ("unknown" in outcome) return typeof unknown === "string";
  const hasEnded = typeof ok === "boolean" ? "value" in outcome : isWorkerName(timedOut);
  return hasEnded && Number.isSafeInteger(attempt) && (attempt as number) >= 1 && typeof ms === "number" && ms >= 0 &&
    (ran === undefined || isRanOn(ran));
}

function isRanOn(ran: unknown): boolean {
  if (!Array.isArray(ran)) return false;
  const [worker, began, ended] = ran;
  return isWorkerName(worker) && Number.isFinite(began) && Number.isFinite(ended) && began > 0 && ended >= began;
}

function isWorkerName(name: unknown): boolean {
  return typeof name === "string" && name.length <= MAX_NAME;
}

/** The id of the executor that a job is from: the ids of its jobs begin with that. */
export function executorOf(job: string): string {
  return job.slice(0, job.lastIndexOf("-"));
}

/** Whether a job is an executor's: other clients give theirs ids as they like, but none of this form. */
export function isOfExecutor(job: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}-\d+(\.\d+)?$/.test(job);
}
