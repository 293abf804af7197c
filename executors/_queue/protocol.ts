/**
 * What the two halves of a pool say to each other: the states of tasks and workers, the records of shared memory, and
 * the messages beside them.
 *
 * @module
 */

import { Math } from "../../futures/builtins.ts";
import { Encoded, EncodedSections, Encoding, wholeBuffer } from "../_values/encoded.ts";
import type { Definition } from "../_functions/definition.ts";
import type { PoolMemory } from "./task_queue.ts";

/** What happened to a task; in lifecycle order. */
export const TaskState = {
  /** Not in use. Owner only. */
  FREE: 0,
  /** In the queue. Set by the owner before it publishes. */
  PENDING: 1,
  /** With a process that has not begun it. Set by a broker, from PENDING, and back: it can be cancelled once it has been returned. */
  PREFETCHED: 2,
  /** Being run. Set by the consumer that took it, from PENDING or PREFETCHED only. */
  RUNNING: 3,
  /** Has run, and its result is published next. Set by the consumer that ran it, from RUNNING only. */
  DONE: 4,
  /** Will never run. Set by the owner, from PENDING only. */
  CANCELLED: 5,
} as const;

/** What a consumer is doing. */
export const Status = {
  /** Not yet running its loop: its thread starts, and runs its initializer. */
  STARTING: 0,
  /** Runs a task, or takes one next with nothing of the user's in between. */
  ACTIVE: 1,
  /** Looks for work without sleeping. */
  SPINNING: 2,
  /** Sleeps in its event loop. */
  PARKED: 3,
  /** Was given one task directly, by message, by the owner. */
  ASSIGNED: 4,
  /** Has finished a task, and takes the next one when it has published the result, with nothing in between. */
  FINISHED: 5,
  /** Has no task, and code of the user's may run all the same, for ever even: nobody counts on it. */
  AWAY: 6,
  /** Was woken and has not answered: where a callback of a finished task computes, it will not for long. */
  WOKEN: 7,
} as const;

/** Bits of a task's record. */
export const TaskFlag = {
  /** The arguments are a list of argument lists; what comes of it is a `ChunkOutcome`. */
  CHUNK: 1,
  /** With CHUNK: the arguments are a list of lone arguments. */
  COLUMN: 2,
  /** The arguments are in shared memory of their own; the payload says which, how large and how encoded. */
  SHARED: 4,
  /** The owner wants to know how long it takes. */
  TIMED: 8,
} as const;

/** What a record of a worker's ring says. */
export const RecordType = {
  /** What a task has returned, or a chunk of them; {@linkcode ResultRecord.detail} tells how long it took. */
  VALUE: 0,
  /** What a task has thrown. */
  ERROR: 1,
  /** How the task was lost with what ran it, as a report of the broker's. */
  LOST: 2,
  /** The task was found cancelled, and its slot is free again. */
  CANCELLED: 3,
  /** What a task says of its progress while it runs. */
  PROGRESS: 4,
  /** An `abort` of the task has been obeyed as far as it could. */
  ABORT_ACKNOWLEDGED: 5,
  /** Of the worker itself: what its initializer has thrown. */
  INITIALIZER_FAILED: 6,
  /** Of the worker itself: it can run nothing any more; a broker's report says why. */
  BROKEN: 7,
  /** Of a broker: it has ended all that it had started. */
  GONE: 8,
} as const;

const STEPS_PER_MS = 8_000;
const MAX_STEPS = 0x7fff_ffff;

/** The {@linkcode ResultRecord.detail} that says how long an item took: in steps of an eighth of a microsecond. */
export function stepsOf(ms: number): number {
  return Math.min(MAX_STEPS, Math.ceil(ms * STEPS_PER_MS));
}

/** How many milliseconds an item took; 0 where a result does not tell. */
export function msOf(steps: number): number {
  return steps / STEPS_PER_MS;
}

/** The first message to a consumer. */
export interface ConsumerStart {
  memory: PoolMemory;
  /** Which consumer it is. */
  index: number;
  results: SharedArrayBuffer;
  /** For results that do not fit into shared memory. */
  port: MessagePort;
  bell: Int32Array;
  /** All functions so far; a function's number is its index. */
  definitions: Definition[];
  /** All shared memory that tasks refer to by now. */
  shared: Map<number, SharedArrayBuffer>;
}

/** What to call in a worker before its first task. */
export interface Initializer {
  fn: number;
  payload: PostedPayload;
}

/** A later message to a consumer. */
export type ConsumerMessage =
  | { type: "define"; fn: number; definition: Definition }
  | { type: "share"; id: number; memory: SharedArrayBuffer }
  | { type: "unshare"; id: number }
  | {
    type: "assign";
    slot: number;
    fn: number;
    flags: number;
    payload: PostedPayload;
  }
  /** To a broker: ends its processes, by a signal where one is given, and then itself. */
  | { type: "stop"; signal?: Deno.Signal; progress?: Int32Array }
  /** To a broker: sends all its processes a signal, and starts no more. */
  | { type: "kill"; signal: Deno.Signal }
  /** To a broker: takes back what was given and has not begun, since the task of this slot is to be cancelled. */
  | { type: "recall"; slot: number }
  /** To a broker: ends whatever runs the task of this slot, and says so. */
  | { type: "abort"; slot: number };

/** A block as a message carries it. */
export interface PostedPayload {
  encoding: number;
  text: string;
  /** Whether the text is the first of the buffers, as UTF-8. */
  isEncoded?: boolean;
  number: number;
  buffers: ArrayBuffer[];
  shared: SharedArrayBuffer[];
  clone?: { value: unknown; list: Transferable[] };
}

/** A result that was posted. */
export interface PostedResult {
  slot: number;
  type: number;
  detail: number;
  payload: PostedPayload;
}

/** A block in the form of a message, and what is to be transferred with it. */
export function toPosted(payload: Encoded | EncodedSections): { posted: PostedPayload; list: Transferable[] } {
  if (payload instanceof Encoded) return postedOf(payload);
  const buffers = payload.sections.map(wholeBuffer);
  const { encoding } = payload;
  if (encoding === Encoding.NUMBER) return postedOf(payload.decoded());
  return { posted: { encoding, text: "", isEncoded: true, number: 0, buffers, shared: [] }, list: buffers };
}

function postedOf(payload: Encoded): { posted: PostedPayload; list: Transferable[] } {
  const { encoding, text, number, buffers, shared, clone } = payload;
  return {
    posted: { encoding, text, number, buffers, shared, clone },
    list: [...buffers, ...(clone?.list ?? [])],
  };
}

/** The block of a message. */
export function fromPosted({ encoding, text, isEncoded, number, buffers, shared, clone }: PostedPayload): Encoded {
  if (isEncoded) return sectionsOf({ encoding, buffers }).decoded();
  return new Encoded(encoding, text, number, buffers, shared, clone);
}

export function sectionsOf({ encoding, buffers }: Pick<PostedPayload, "encoding" | "buffers">): EncodedSections {
  return new EncodedSections(encoding, buffers.map((buffer) => new Uint8Array(buffer)));
}
