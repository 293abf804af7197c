/**
 * How tasks, and what became of them, lie in the queue: JSON that a program in any language can read and write.
 *
 * @module
 */

import { Block, EMPTY, Kind, wholeBuffer } from "../_block.ts";
import { Flag } from "../_consumer.ts";

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

/** What a job carries. */
export interface JobData {
  readonly v: typeof VERSION;
  /** Names of the modules that may export the function, the likeliest first: each node has its own table of them. */
  readonly modules: readonly string[];
  /** The export's name. */
  readonly name: string;
  /** One call; or several, with a list of arguments or one argument for each. */
  readonly how: "call" | "chunk" | "column";
  readonly payload: Payload;
}

/** What became of a job, as its return value; or its error's text, where it is going to be tried again. */
export interface Outcome {
  readonly ok: boolean;
  readonly payload: Payload;
}

/** A block as JSON. */
export function toPayload({ kind, text, number, buffers }: Block): Payload {
  switch (kind) {
    case Kind.NONE:
      return null;
    case Kind.JSON:
      return { json: JSON.parse(text) };
    case Kind.TEXT:
      return { text };
    case Kind.NUMBER:
      if (Number.isFinite(number) && !Object.is(number, -0)) return { number };
      return { kind, text: Object.is(number, -0) ? "-0" : String(number), buffers: [] };
    default:
      return { kind, text, buffers: buffers.map((buffer) => new Uint8Array(buffer).toBase64()) };
  }
}

/**
 * The block that {@linkcode toPayload} made into JSON. It may come from anybody who can write to the server.
 *
 * @throws {TypeError} It is no payload.
 */
export function fromPayload(payload: unknown): Block {
  if (payload === null) return EMPTY;
  if (typeof payload === "object") {
    const { json, text, number, kind, buffers } = payload as { [name: string]: unknown };
    if (json !== undefined) return new Block(Kind.JSON, JSON.stringify(json));
    if (typeof number === "number") return new Block(Kind.NUMBER, "", number);
    if (typeof text === "string") {
      if (kind === undefined) return new Block(Kind.TEXT, text);
      if (kind === Kind.NUMBER) return new Block(Kind.NUMBER, "", Number(text));
      if (
        (kind === Kind.GRAPH || kind === Kind.BYTES || kind === Kind.NUMBERS) && Array.isArray(buffers) &&
        buffers.every((buffer) => typeof buffer === "string") && (kind === Kind.GRAPH || buffers.length === 1)
      ) return new Block(kind, text, 0, buffers.map((buffer) => wholeBuffer(Uint8Array.fromBase64(buffer))));
    }
  }
  throw new TypeError(`Cannot read as a value of a job: ${JSON.stringify(payload)?.slice(0, 200)}`);
}

/** How a task is to be called, by its flags. */
export function howOf(flags: number): JobData["how"] {
  if ((flags & Flag.CHUNK) === 0) return "call";
  return (flags & Flag.COLUMN) === 0 ? "chunk" : "column";
}

/**
 * Looks at what a job carries.
 *
 * @throws {TypeError} It is not what a job carries.
 */
export function checkJobData(data: unknown): asserts data is JobData {
  const { v, modules, name, how } = (data ?? {}) as { [name: string]: unknown };
  if (v !== VERSION) {
    throw new TypeError(`Cannot run a job of version ${JSON.stringify(v)}: this node knows version ${VERSION}`);
  }
  const isKnown = Array.isArray(modules) && modules.every((module) => typeof module === "string") &&
    typeof name === "string" && (how === "call" || how === "chunk" || how === "column");
  if (!isKnown) throw new TypeError(`Cannot read as a job: ${JSON.stringify(data)?.slice(0, 200)}`);
}

/** Whether a job's return value, or the text of its error, is an {@linkcode Outcome}. */
export function isOutcome(value: unknown): value is Outcome {
  return typeof value === "object" && value !== null && typeof (value as Outcome).ok === "boolean" &&
    "payload" in value;
}

/** What is published on the control channel of a queue. */
export interface Control {
  /** Ends the process that runs this job. */
  readonly abort: string;
}

/** The channel on which nodes listen. */
export function controlChannel(prefix: string, queue: string): string {
  return `${prefix}:${queue}:control`;
}
