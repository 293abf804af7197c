/**
 * How tasks, and what became of them, lie in the queue: JSON that a program in any language can read and write.
 *
 * @module
 */

import { EMPTY, Encoded, Encoding, wholeBuffer } from "../_values/encoded.ts";
import { TaskFlag } from "../_queue/protocol.ts";

/** Counted up when a node would not understand the change. */
export const VERSION = 1;

/** A value as it lies in a job. */
export type Payload =
  /** Nothing: no arguments, or `undefined`. */
  | null
  /** JSON; where it stands for arguments, a list of them. */
  | { readonly json: unknown }
  | { readonly text: string }
  | { readonly number: number }
  /** What JSON cannot say: encoded as for a process, with its buffers in Base64. */
  | { readonly kind: number; readonly text: string; readonly buffers: readonly string[] };

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
  readonly payload: Payload;
}

/**
 * What became of the tasks of a job, in their order: its return value; or its error's text, where it fails: it is going
 * to be tried again, or was added by no executor.
 */
export interface JobResult {
  readonly outcomes: readonly Outcome[];
}

/** What became of a task. */
export type Outcome =
  /** It has ended, with a result or an error. */
  | {
    readonly ok: boolean;
    readonly payload: Payload;
    /** The how manieth time it was that it was run. */
    readonly attempt: number;
    /** What it took, in milliseconds. */
    readonly ms: number;
  }
  /** It has not begun, and its executor wants it back. */
  | typeof RETURNED
  /** No node has such a function. */
  | { readonly unknown: string };

/** See {@linkcode Outcome}. */
export const RETURNED = { returned: true } as const;

/** What a module is called where nobody has said it: its file's name. */
export function aliasOf(url: string): string {
  const { pathname } = new URL(url);
  return pathname.slice(pathname.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
}

/** A payload as JSON. */
export function toPayload({ encoding: kind, text, number, buffers }: Encoded): Payload {
  switch (kind) {
    case Encoding.NONE:
      return null;
    case Encoding.JSON:
      return { json: JSON.parse(text) };
    case Encoding.TEXT:
      return { text };
    case Encoding.NUMBER:
      if (Number.isFinite(number) && !Object.is(number, -0)) return { number };
      return { kind, text: Object.is(number, -0) ? "-0" : String(number), buffers: [] };
    default:
      return { kind, text, buffers: buffers.map((buffer) => new Uint8Array(buffer).toBase64()) };
  }
}

/**
 * The payload that {@linkcode toPayload} made into JSON. It may come from anybody who can write to the server.
 *
 * @throws {TypeError} It is no payload.
 */
export function fromPayload(payload: unknown): Encoded {
  if (payload === null) return EMPTY;
  if (typeof payload === "object") {
    const { json, text, number, kind, buffers } = payload as { [name: string]: unknown };
    if (json !== undefined) return new Encoded(Encoding.JSON, JSON.stringify(json));
    if (typeof number === "number") return new Encoded(Encoding.NUMBER, "", number);
    if (typeof text === "string") {
      if (kind === undefined) return new Encoded(Encoding.TEXT, text);
      if (kind === Encoding.NUMBER) return new Encoded(Encoding.NUMBER, "", Number(text));
      const hasOneBuffer = kind === Encoding.BYTES || kind === Encoding.NUMBERS;
      if (
        (kind === Encoding.GRAPH || kind === Encoding.PARTS || hasOneBuffer) && Array.isArray(buffers) &&
        buffers.every((buffer) => typeof buffer === "string") && (!hasOneBuffer || buffers.length === 1)
      ) return new Encoded(kind, text, 0, buffers.map((buffer) => wholeBuffer(Uint8Array.fromBase64(buffer))));
    }
  }
  throw new TypeError(`Cannot read as a value of a job: ${shortened(payload)}`);
}

/** How a task is to be called, by its flags. */
export function howOf(flags: number): TaskData["how"] {
  if ((flags & TaskFlag.CHUNK) === 0) return "call";
  return (flags & TaskFlag.COLUMN) === 0 ? "chunk" : "column";
}

/**
 * Looks at what a job carries.
 *
 * @throws {TypeError} It is not what a job carries.
 */
export function checkJobData(data: unknown): asserts data is JobData {
  const { v, tasks, keep } = (data ?? {}) as { [name: string]: unknown };
  if (v !== VERSION) {
    throw new TypeError(`Cannot run a job of version ${JSON.stringify(v)}: this node knows version ${VERSION}`);
  }
  const isKept = keep === undefined || (Number.isSafeInteger(keep) && (keep as number) > 0);
  if (!isKept || !Array.isArray(tasks) || tasks.length === 0 || !tasks.every(isTaskData)) {
    throw new TypeError(`Cannot read as a job: ${shortened(data)}`);
  }
}

function isTaskData(task: unknown): boolean {
  const { id, modules, name, how, payload } = (task ?? {}) as { [name: string]: unknown };
  return typeof id === "string" && Array.isArray(modules) && modules.every((module) => typeof module === "string") &&
    typeof name === "string" && (how === "call" || how === "chunk" || how === "column") && isArguments(payload);
}

/** Whether this may be arguments: what else than JSON it is, the process sees that reads it. */
function isArguments(payload: unknown): boolean {
  if (typeof payload !== "object") return false;
  const { json } = (payload ?? {}) as { json?: unknown };
  return json === undefined || Array.isArray(json);
}

/**
 * Looks at what became of a job. It may come from anybody who can write to the server.
 *
 * @throws {TypeError} It is not what a node says.
 */
export function checkJobResult(value: unknown, tasks: number): asserts value is JobResult {
  const { outcomes } = (value ?? {}) as Partial<JobResult>;
  if (Array.isArray(outcomes) && outcomes.length === tasks && outcomes.every(isOutcome)) return;
  throw new TypeError(`Cannot read as the outcome of ${tasks} tasks: ${shortened(value)}`);
}

function isOutcome(outcome: unknown): boolean {
  if (typeof outcome !== "object" || outcome === null) return false;
  const { ok, attempt, ms, returned, unknown } = outcome as { [name: string]: unknown };
  if ("returned" in outcome) return returned === true;
  if ("unknown" in outcome) return typeof unknown === "string";
  return typeof ok === "boolean" && Number.isSafeInteger(attempt) && (attempt as number) >= 1 &&
    typeof ms === "number" && ms >= 0 && "payload" in outcome;
}

function shortened(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, 200);
}

/** What executors say to all nodes of a queue: of a job, and of a task in it by its place. */
export interface Control {
  /** Ends the process that runs the task; or wants it back if it has not begun, and is told which of both it is. */
  readonly what: "abort" | "back";
  readonly job: string;
  readonly task: number;
}

/** What a node says to the executor of a job. Nothing hangs when it is lost: the executor looks at the server as well. */
export type Note =
  /** A task runs: of those that take a while, and when it is asked. */
  | { readonly what: "begun"; readonly job: string; readonly task: number }
  /** A task has not begun, and comes back. */
  | { readonly what: "returned"; readonly job: string; readonly task: number }
  /** What a task that runs says of how far it has come. */
  | { readonly what: "progress"; readonly job: string; readonly task: number; readonly payload: Payload }
  /** A job has ended; with its result if that is not large, and may come before the server has it. */
  | { readonly what: "ended"; readonly job: string; readonly result?: JobResult };

/** Reads what a node says, or who else can write to the channel; `undefined` where it is nothing that a node says. */
export function readNote(text: string): Note | undefined {
  const note = parse(text);
  if (typeof note.job !== "string") return undefined;
  switch (note.what) {
    case "ended":
      return note as unknown as Note;
    case "begun":
    case "returned":
      return isPlace(note.task) ? note as unknown as Note : undefined;
    case "progress":
      return isPlace(note.task) && isPayload(note.payload) ? note as unknown as Note : undefined;
    default:
      return undefined;
  }
}

/**
 * Reads what an executor says, or who else can write to the channel; `undefined` where it is nothing that an executor
 * says.
 */
export function readControl(text: string): Control | undefined {
  const control = parse(text);
  const isControl = (control.what === "abort" || control.what === "back") && typeof control.job === "string" &&
    isPlace(control.task);
  return isControl ? control as unknown as Control : undefined;
}

function parse(text: string): { readonly [name: string]: unknown } {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

function isPlace(task: unknown): boolean {
  return Number.isSafeInteger(task) && (task as number) >= 0;
}

function isPayload(payload: unknown): boolean {
  try {
    fromPayload(payload);
    return true;
  } catch {
    return false;
  }
}

/** How many characters of a result a note may have: the server cuts off who is slow to read many megabytes. */
export const MAX_NOTED = 16_384;

/** The channel on which nodes listen. */
export function controlChannel(prefix: string, queue: string): string {
  return `${prefix}:${queue}:control`;
}

/** The channel on which an executor listens. */
export function noteChannel(prefix: string, queue: string, executor: string): string {
  return `${prefix}:${queue}:notes:${executor}`;
}

/** The channel on which nodes listen that have a function: not for what is said there, but to be counted. */
export function functionChannel(prefix: string, queue: string, module: string, name: string): string {
  return `${prefix}:${queue}:function:${module}.${name}`;
}

/** The number of a job begins with that of its executor. */
export function executorOf(job: string): string {
  return job.slice(0, job.lastIndexOf("-"));
}

/** Whether a job is an executor's: other clients number theirs as they like, but not so. */
export function isOfExecutor(job: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}-\d+(\.\d+)?$/.test(job);
}
