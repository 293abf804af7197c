/**
 * The messages between a broker and a child. INTERNALS.md beside this file tells the protocol.
 *
 * @module
 */

import { JSON } from "../../futures/builtins.ts";
import { RecordType, type TaskLimits } from "../_queue/protocol.ts";
import { allocate, allocateText, EncodedSections, Encoding, NO_BYTES } from "../_values/encoded.ts";
import { jsonOf } from "../_values/json.ts";

/** The version of the protocol. A change that the other side would not understand gets the next number. */
export const VERSION = 5;

/** The exit code of a child that cannot read what it is sent: somebody else has read a part of it. */
export const UNREADABLE_CODE = 74;

/** ASCII "record separator", which begins each JSON text of a sequence (RFC 7464) and is nowhere inside of one. */
const RS = 0x1e;
const LF = 0x0a;

/** A message: a header and the bytes that its lengths announce. */
export interface Message {
  readonly header: Header;
  readonly sections: Uint8Array[];
  /** How many bytes were read before it. */
  readonly from: number;
}

/** The JSON text of a message. The lengths are those of the sections that follow it. */
export type Header =
  // To the child.
  | ["start", settings: ChildSettings, lengths: number[]]
  | ["define", fn: number, definition: unknown, lengths: number[]]
  | ["bind", fn: number, places: number[], encoding: number, lengths: number[]]
  | ["unbind", fn: number, lengths: number[]]
  | ["initialize", fn: number, encoding: number, lengths: number[]]
  | ["tasks", firstId: number, sent: number, entries: Entries<TaskEntry>, lengths: number[]]
  | ["recall", lastId: number, sent: number, lengths: number[]]
  | ["abort", id: number, lengths: number[]]
  | ["signal", number: number, reason: string, lengths: number[]]
  | ["probe", sent: number, lengths: number[]]
  | ["attend", lengths: number[]]
  // From the child.
  | ["ready", version: number, lengths: number[]]
  | ["failed", encoding: number, lengths: number[]]
  | ["begun", id: number, lengths: number[]]
  | ["called", id: number, lengths: number[]]
  | ["attended", lengths: number[]]
  | ["progress", id: number, encoding: number, lengths: number[]]
  | ["full", lengths: number[]]
  | ["results", firstId: number, entries: Entries<ResultEntry>, lengths: number[]]
  | ["recalled", firstId: number, lastId: number, lengths: number[]]
  | ["free", lastId: number, lengths: number[]]
  | ["reached", sent: number, lengths: number[]]
  | ["lost", lengths: number[]];

/**
 * What a message says of each task, or result: how its payload is encoded, and how many of the message's sections that
 * takes. Of a task it also says how long it may run, where it has a timeout, and the numbers of the signals among its
 * arguments.
 */
export type TaskEntry = [
  fn: number,
  flags: number,
  encoding: number,
  sections: number,
  limits?: TaskLimits | null,
  signals?: number[],
];
export type ResultEntry = [
  type: number,
  steps: number,
  encoding: number,
  sections: number,
  /** When the task began, by the clock that all processes share, and how many milliseconds it took; if measured. */
  began?: number,
  ms?: number,
];

/** Entries, in order. A number stands for so many more that are as the entry before it. */
export type Entries<E> = (E | number)[];

/** What a child has to know before anything else. */
export interface ChildSettings {
  version: number;
  /** What packets begin with: nothing that a task could guess. */
  token: string;
  /** What the child is called in messages. */
  name: string;
  /** Whether an initializer is to be run before the child is ready. */
  hasInitializer: boolean;
  /** Whether the child says which task it begins, before it does. */
  announces: boolean;
  /** Whether a thread attends to its input from the beginning, and not from the second task on. */
  isAttended: boolean;
  /** How many bytes of memory the child may hold after a task, before it says `full`; `undefined`: no limit. */
  maxMemory: number | undefined;
  /** The main module of the program. */
  mainModule: string | undefined;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of a message. */
export function encodeMessage(
  header: readonly unknown[],
  ...payloads: readonly EncodedSections[]
): readonly Uint8Array[] {
  const sections: Uint8Array[] = [];
  for (const payload of payloads) for (const section of payload.sections) sections.push(section);
  let lengths = "";
  // Not by methods of arrays: a task may have replaced those.
  for (let i = 0; i < sections.length; i++) lengths += `${i === 0 ? "" : ","}${sections[i].byteLength}`;
  const text = `\x1e${jsonOf(header).slice(0, -1)},[${lengths}]]\n`;
  return sections.length === 0 ? [encoder.encode(text)] : [encoder.encode(text), ...sections];
}

/** Up to this size it is cheaper to copy bytes together than to write them one after the other. */
const MAX_COPIED_BYTES = 32 * 1024;

/** The same bytes in fewer parts. */
export function joined(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const together: Uint8Array[] = [];
  for (let from = 0; from < parts.length;) {
    let length = parts[from].byteLength;
    let to = from + 1;
    while (to < parts.length && length + parts[to].byteLength <= MAX_COPIED_BYTES) length += parts[to++].byteLength;
    if (to === from + 1) together.push(parts[from]);
    else {
      const bytes = new Uint8Array(length);
      for (let at = 0; from < to; at += parts[from++].byteLength) bytes.set(parts[from], at);
      together.push(bytes);
    }
    from = to;
  }
  return together;
}

/** Whether something has a name and lengths. A child whose task has changed it may send anything. */
function isHeader(value: unknown): value is Header {
  if (!Array.isArray(value) || typeof value[0] !== "string") return false;
  const lengths: unknown = value.at(-1);
  return Array.isArray(lengths) && lengths.every((length) => Number.isSafeInteger(length) && length >= 0);
}

/**
 * The payload that a message carries.
 *
 * @throws {SyntaxError} It is none.
 */
export function payloadOf(encoding: number, { sections }: Pick<Message, "sections">): EncodedSections {
  if (!isPayload(encoding, sections)) {
    throw new SyntaxError(`Cannot read an invalid payload of encoding ${encoding}: ${sections.length} sections`);
  }
  return new EncodedSections(encoding, sections);
}

function isPayload(encoding: number, sections: readonly Uint8Array[]): boolean {
  const count = sections.length;
  switch (encoding) {
    case Encoding.NONE:
      return count === 0;
    case Encoding.NUMBER:
      return count === 1 && sections[0].byteLength === 8;
    case Encoding.JSON:
    case Encoding.TEXT:
      return count === 1;
    case Encoding.BYTES:
      return count === 2;
    case Encoding.NUMBERS:
      return count === 2 && sections[1].byteLength % 8 === 0;
    default:
      return (encoding === Encoding.GRAPH || encoding === Encoding.PARTS) && count > 0;
  }
}

/** The payloads that a message carries for its entries, one after the other. */
export class PayloadReader {
  readonly #sections: readonly Uint8Array[];
  #next = 0;

  constructor({ sections }: Pick<Message, "sections">) {
    this.#sections = sections;
  }

  /** @throws {SyntaxError} It is no payload. */
  next(encoding: number, count: number): EncodedSections {
    if (encoding === Encoding.NONE && count === 0) return NO_BYTES;
    return payloadOf(encoding, { sections: this.#sections.slice(this.#next, this.#next += count) });
  }
}

/** Adds what a message says of a task. */
export function addEntry(entries: Entries<TaskEntry>, entry: TaskEntry): void {
  const end = entries.length - 1;
  const count = entries[end];
  const last = typeof count === "number" ? entries[end - 1] as TaskEntry : count;
  if (last === undefined || !areAlike(last, entry)) entries.push(entry);
  else if (typeof count === "number") entries[end] = count + 1;
  else entries.push(1);
}

/** Whether two tasks have neither a timeout nor signals, and the rest is the same. */
function areAlike(a: TaskEntry, b: TaskEntry): boolean {
  return a.length === 4 && b.length === 4 && a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

/**
 * Calls a function with each entry, also with those that a number stands for.
 *
 * @param most How many entries there may be, if there are numbers among them.
 * @throws {SyntaxError} A number stands for more, or for nothing.
 */
export function forEachEntry<E>(entries: Entries<E>, most: number, call: (entry: E) => void): void {
  let last: E | undefined;
  let count = 0;
  for (const entry of entries) {
    if (typeof entry !== "number") {
      call(last = entry);
      count++;
      continue;
    }
    count += entry;
    if (last === undefined || !(count <= most)) throw new SyntaxError(`Cannot read so many entries: ${count}`);
    for (let n = 0; n < entry; n++) call(last);
  }
}

/** What became of a task, as a message says it. */
export interface ResultPayload {
  /** `RecordType.VALUE`, `ERROR` or `TIMED_OUT`: all that a child can say of a task. */
  readonly type: number;
  readonly steps: number;
  readonly payload: EncodedSections;
  /** When the task began and ended, as the child says, where that is measured: it may be anything. */
  readonly began: unknown;
  readonly ms: unknown;
}

/** The type of a result: a child can only say that its task has returned, or thrown, or run for too long. */
function typeOf(type: unknown): number {
  if (type === RecordType.VALUE || type === RecordType.ERROR || type === RecordType.TIMED_OUT) return type;
  throw new SyntaxError(`Cannot read an invalid type of a result: ${JSON.stringify(type)}`);
}

/**
 * What a message says of several tasks.
 *
 * @param most How many these can be.
 * @throws {TypeError | SyntaxError} It says something else. Who reads what this returns need not check it again.
 */
export function payloadsOf(message: Pick<Message, "header" | "sections">, most: number): ResultPayload[] {
  const payloads = new PayloadReader(message);
  const results: ResultPayload[] = [];
  forEachEntry(message.header[2] as Entries<ResultEntry>, most, (entry) => {
    // Most are not measured, and read nothing behind the end of the entry.
    const isMeasured = entry.length > 4;
    results.push({
      type: typeOf(entry[0]),
      steps: entry[1] | 0,
      payload: payloads.next(entry[2], entry[3]),
      began: isMeasured ? entry[4] : undefined,
      ms: isMeasured ? entry[5] : undefined,
    });
  });
  return results;
}

/**
 * The most bytes that a header takes: room for the lengths of more than a million sections. More bytes without an end
 * are no message, and would fill the memory of the reader.
 */
export const MAX_HEADER_BYTES: number = 1 << 24;

/** Puts messages together from the pieces in which they arrive. */
export class MessageReader {
  readonly #onMessage: (message: Message) => void;
  /** The beginning of a header whose end has not come yet, and how many bytes that is. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #header: Header | undefined;
  #sections: Uint8Array[] = [];
  /** How many bytes of the last section are there. */
  #filled = 0;
  #lengths: number[] = [];
  /** How many bytes were read before those of this call, and before the header. */
  #read = 0;
  #from = 0;

  constructor(onMessage: (message: Message) => void) {
    this.#onMessage = onMessage;
  }

  /** Takes in bytes, and keeps copies of them. */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.byteLength) {
      at = this.#header === undefined ? this.#readHeader(bytes, at) : this.#fill(bytes, at);
      while (this.#header !== undefined && this.#isSectionFull()) this.#nextSection();
    }
    this.#read += bytes.byteLength;
  }

  #readHeader(bytes: Uint8Array, at: number): number {
    if (this.#pendingBytes === 0) this.#from = this.#read + at;
    const end = bytes.indexOf(LF, at);
    let line = bytes.slice(at, end === -1 ? bytes.byteLength : end);
    if (this.#pendingBytes + line.byteLength > MAX_HEADER_BYTES) {
      throw new SyntaxError(
        `Cannot read an invalid header of a message: more than ${MAX_HEADER_BYTES} bytes without an end`,
      );
    }
    if (end === -1) {
      this.#pending.push(line);
      this.#pendingBytes += line.byteLength;
      return bytes.byteLength;
    }
    if (this.#pendingBytes > 0) {
      line = concat(...this.#pending, line);
      this.#pending = [];
      this.#pendingBytes = 0;
    }
    if (line[0] !== RS) {
      throw new SyntaxError(`Cannot read an invalid message: ${JSON.stringify(decoder.decode(line))}`);
    }
    const header = JSON.parse(decoder.decode(line.subarray(1)));
    if (!isHeader(header)) {
      throw new SyntaxError(`Cannot read an invalid header of a message: ${JSON.stringify(header)}`);
    }
    this.#header = header;
    this.#lengths = header.at(-1) as number[];
    this.#sections = [];
    this.#filled = 0;
    // The first section of a payload is a text.
    if (this.#lengths.length > 0) this.#sections.push(allocateText(this.#lengths[0]));
    return end + 1;
  }

  #isSectionFull(): boolean {
    const count = this.#sections.length;
    return count === 0 || this.#filled === this.#lengths[count - 1];
  }

  #nextSection(): void {
    const count = this.#sections.length;
    this.#filled = 0;
    if (count < this.#lengths.length) {
      this.#sections.push(allocate(this.#lengths[count]));
      return;
    }
    const message = { header: this.#header!, sections: this.#sections, from: this.#from };
    this.#header = undefined;
    this.#onMessage(message);
  }

  #fill(bytes: Uint8Array, at: number): number {
    const section = this.#sections[this.#sections.length - 1];
    const part = bytes.subarray(at, at + section.byteLength - this.#filled);
    section.set(part, this.#filled);
    this.#filled += part.byteLength;
    return at + part.byteLength;
  }
}

/** The bytes of all parts, one after the other. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const { byteLength } of parts) length += byteLength;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}
