/**
 * What the two halves of a pool say to each other: the states of tasks and workers, the records of shared memory, and
 * the messages beside them.
 *
 * @module
 */

import { Math, sharedNow } from "../../futures/builtins.ts";
import type { Life } from "./holders.ts";
import type { Definition } from "../_functions/definition.ts";

/** Tasks that can be in the queue or running at once; more wait in the owner's memory. */
export const SLOTS = 1 << 14;

/** In place of a slot's number: a record about the consumer itself, not about a task. */
export const NO_SLOT = -1;

/** Largest `Payload.room` of what travels in the queue or in a ring; larger payloads get memory of their own. */
export const MAX_INLINE_BYTES = 16 * 1024;

/** What a consumer needs to attach itself to a pool's memory. */
export interface PoolMemory {
  /** Control block, slots, statuses and queue. */
  buffer: SharedArrayBuffer;
  /** How many consumers there can be. */
  consumers: number;
}

/**
 * The words of a control block, that of a pool or that of a ring of results. What one side writes at each task, what
 * the other one writes, and what both rarely write are 64 bytes apart: who writes into a line of a processor's cache
 * takes it away from those who read it.
 */
export const Word = {
  /** Where the oldest record begins. Set by who takes records: the consumers of a queue, the owner of a ring. */
  HEAD: 0,
  /** Of a pool: how many tasks consumers have finished. */
  FINISHED: 1,
  /** Of a pool: how many consumers are looking for work without sleeping. */
  SPINNING: 2,
  /** Of a ring: whether its consumer has left, and takes no more tasks. */
  CLOSED: 3,
  /** Of a ring: how many of the posted results the owner has received. */
  RECEIVED: 4,

  /** Where the next record will begin. Set by who writes records. */
  TAIL: 16,
  /** Of a pool: whether the owner has tasks that wait for room or for an idle consumer. */
  WAITING: 17,
  /** Of a ring: how many results the consumer has posted as messages. */
  POSTED: 18,
  /** Of a pool whose tasks are BOUNDED: whether the owner wants to hear when one begins. */
  WATCHED: 19,

  /** Of a pool: how many consumers sleep. */
  PARKED: 32,
  /** Of a pool with a broker: how many processes there are, how many of them start, how many took another's place. */
  CHILDREN: 33,
  STARTING_CHILDREN: 34,
  RESTARTS: 35,
} as const;

/** Size of a control block in 4-byte words. */
export const CONTROL_WORDS = 48;

/** What happened to a task; in lifecycle order. */
export const TaskState = {
  /** Not in use. Owner only. */
  FREE: 0,
  /** In the queue. Set by the owner before it publishes, and by a broker again when it has recalled the task. */
  PENDING: 1,
  /**
   * With a process that has not begun it. Set by a broker, from PENDING, and back: it can be cancelled once it has been
   * recalled.
   */
  PREFETCHED: 2,
  /**
   * Being run. Set by the consumer that took it, from PENDING or PREFETCHED only. A thread says with it which one it
   * is: see {@linkcode runningBy}.
   */
  RUNNING: 3,
  /**
   * Has run, and its result is published next. Set by the consumer that ran it, from RUNNING or STOPPING; by a broker
   * also from PREFETCHED: of several results that come in one message, it has seen only the first task run.
   */
  DONE: 4,
  /** Will never run. Set by the owner, from PENDING only. */
  CANCELLED: 5,
  /** Will have no result, because its thread was given up. Set by the owner, from RUNNING or STOPPING only. */
  ABANDONED: 6,
  /**
   * Is to end: its future fails whatever comes of it. Set by the owner, from RUNNING or PREFETCHED. The serial number
   * stays in the word.
   */
  STOPPING: 7,
} as const;

/** The bits of a slot's word that are its `TaskState`; those above them are the serial number of the thread. */
export const STATE_MASK = 7;
const STATE_BITS = 3;

/** Serial numbers of threads begin again after this one. */
export const MAX_SERIAL = 0xfff_ffff;

/**
 * The word of a slot whose task is run by the thread of a serial number. No other thread has that, so one which was
 * given up changes no slot any more, whoever uses it next.
 */
export function runningBy(serial: number): number {
  return TaskState.RUNNING | (serial << STATE_BITS);
}

/** The word of a slot whose task is to end, where this was its word. */
export function stoppingFrom(word: number): number {
  return word | TaskState.STOPPING;
}

/** The serial number in a word of {@linkcode runningBy}. */
export function serialOf(word: number): number {
  return word >>> STATE_BITS;
}

/** What a consumer is doing. */
export const Status = {
  /** Not yet running its loop: its thread starts, and runs its initializer. Or no consumer has the index. */
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
  /**
   * Has left: another one may begin under its index. Set by the owner, from PARKED, or when it has given the thread up.
   */
  LEFT: 8,
} as const;

/** The words of a slot whose task has a timeout. */
export const Limit = {
  /** How long the task may run, in milliseconds. Set by the owner. */
  TIMEOUT: 0,
  /** How long it has to end by itself when it is stopped, in milliseconds. Set by the owner. */
  GRACE: 1,
  /** When its function was called, by {@linkcode clock}; 0 before. Set by the thread that runs it. */
  BEGUN: 2,
} as const;

/** How many words that are. */
export const LIMIT_WORDS = 3;

/** The longest time in such a word: about 25 days, which stands for any longer one. */
export const MAX_LIMIT_MS = 2 ** 31 - 1;

/** What the words of a slot say of its task. */
export interface TaskLimits {
  readonly timeout: number;
  readonly grace: number;
}

/** A time in milliseconds that all threads of a program count alike, modulo 2³². */
export function clock(): number {
  return Math.trunc(sharedNow()) | 0;
}

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
  /** The task has a timeout, which is in the words of its slot: see {@linkcode Limit}. */
  TIMEOUT: 16,
  /** The arguments are the parts of a payload (`Encoding.PARTS`): the task's name, and then what they are else. */
  NAMED: 32,
  /** Of a chunk: it may be stopped, which is looked at before each item. */
  SIGNAL: 64,
  /** With CHUNK: whatever becomes of an item, the others are run; what comes of it is a `SettledOutcome`. */
  SETTLED: 128,
  /** Of a pool in which only so many tasks may wait: the owner may want to hear when it begins, see `Word.WATCHED`. */
  BOUNDED: 512,
  /** The owner wants to know when it begins and ends: see `TaskTimes`. */
  MEASURED: 1024,
} as const;

/** Added to the type of a record: the task is measured, and its slot's times are there. */
export const HAS_TIMES = 256;

/** When a measured task ran, by the clock that all threads share, and the number of the worker that ran it. */
export interface TaskTimes {
  readonly began: number;
  readonly ended: number;
  readonly worker: number;
}

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
  /** The consumer has obeyed an `abort` of the task, as far as it could. */
  ABORT_ACKNOWLEDGED: 5,
  /** Of the worker itself: what its initializer has thrown. */
  INITIALIZER_FAILED: 6,
  /** Of the worker itself: it can run nothing any more; a broker's report says why. */
  BROKEN: 7,
  /** Of a broker: it has ended all that it had started. */
  GONE: 8,
  /** A task has run for longer than its timeout, whatever came of it. The payload is the name of the worker. */
  TIMED_OUT: 9,
  /** Of a broker whose workers are others' processes: the number of one of them, and its name, as JSON. */
  WORKER_NAME: 10,
} as const;

/** A task in the queue. */
export interface TaskRecord {
  slot: number;
  /** The task's function. */
  fn: number;
  /** How the payload is encoded. */
  encoding: number;
  /** Bits of `TaskFlag`. */
  flags: number;
  /** The payload's size in bytes. */
  byteLength: number;
  /** Where the payload begins, in bytes, in the memory that it was taken from. */
  offset: number;
}

/** A record in a worker's ring. */
export interface ResultRecord {
  /** The task's slot; `NO_SLOT` where it is of the worker itself. */
  slot: number;
  /** A `RecordType`. */
  type: number;
  /** What the kind of worker has measured: how long an item took, see `stepsOf()`, or how often the task was begun. */
  detail: number;
  /** How the payload is encoded. */
  encoding: number;
  /** The payload's size in bytes. */
  byteLength: number;
  /** Where the payload begins, in bytes, in the memory that it was taken from. */
  offset: number;
}

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

/** Arguments that are the same in all calls of a function under its number. */
export interface BoundArguments {
  /** Which of the arguments they are. */
  places: number[];
  /** They are encoded by `encodeConstants()`, and begin where the memory begins. */
  encoding: number;
  byteLength: number;
  memory: SharedArrayBuffer;
}

/** The first message to a consumer. */
export interface ConsumerStart {
  memory: PoolMemory;
  /** Which of the consumers it is that are there at once. */
  index: number;
  /** Which of all that were ever started, from 0 to {@linkcode MAX_SERIAL}. */
  serial: number;
  results: SharedArrayBuffer;
  /** For results that do not fit into shared memory. */
  port: MessagePort;
  bell: Int32Array;
  /** What the consumer is as the holder of locks. */
  life: Life;
  /** All functions so far; a function's number is its index. */
  definitions: Definition[];
  /** All shared memory that tasks refer to by now. */
  shared: Map<number, SharedArrayBuffer>;
  /** All arguments that are bound to functions by now. */
  bound: Map<number, BoundArguments>;
}

/** What to call in a worker before its first task. */
export interface Initializer {
  fn: number;
  payload: PostedPayload;
}

/** A later message to a consumer. */
export type ConsumerMessage =
  /** What a function is; before the first task that names it. */
  | { type: "define"; fn: number; definition: Definition }
  /** Arguments that all calls of a function have; before its definition. */
  | { type: "bind"; fn: number; bound: BoundArguments }
  /** No task calls that function any more. */
  | { type: "unbind"; fn: number }
  /** Memory that tasks refer to by a number; before the first of them. */
  | { type: "share"; id: number; memory: SharedArrayBuffer }
  /** No task refers to that memory any more. */
  | { type: "unshare"; id: number }
  /** The task that the consumer was made ASSIGNED for. */
  | { type: "assign"; slot: number; fn: number; flags: number; payload: PostedPayload }
  /** To a broker: ends its processes, by a signal where one is given, and then itself. */
  | { type: "stop"; signal?: Deno.Signal; progress?: Int32Array }
  /** To a broker: sends all its processes a signal, and starts no more. */
  | { type: "kill"; signal: Deno.Signal }
  /** To a broker: takes back what was given and has not begun, since the task of this slot is to be cancelled. */
  | { type: "recall"; slot: number }
  /**
   * The task of this slot is to end, after so many milliseconds at the latest, as far as that can be done. A broker
   * acknowledges it once; until then the slot must not be another task's, which would be meant then.
   */
  | { type: "abort"; slot: number; grace: number };

/** A payload as a message carries it. */
export interface PostedPayload {
  encoding: number;
  text: string;
  /** Whether the text is the first of the buffers, as UTF-8. */
  isEncoded?: boolean;
  /** The number, or how many bytes of the first buffer are the text. */
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
