/**
 * The broker's side of one child: its pipes, its messages, its end.
 *
 * @module
 */

import { EncodedSections, Encoding } from "../_values/encoded.ts";
import type { Output } from "./_output.ts";
import { encodeMessage, joined, type Message, MessageReader, UNREADABLE_CODE } from "./messages.ts";
import { MAIN, PacketReader, READER } from "./packets.ts";
import { Probes } from "./_probes.ts";
import { atMost } from "./_timers.ts";

/** How a child ended. */
export interface ChildExit {
  pid: number;
  exitCode: number;
  signal: Deno.Signal | null;
  /** The end of what it wrote to its standard error. */
  stderr: string;
  /** What was wrong with what it said, where it was killed for that. */
  fault?: string;
  /** Whether it was killed because a part of its input was read by somebody else. */
  isRobbed?: boolean;
  /** Whether it had said something that does not count, such as that it had begun a task. */
  isUnheard?: boolean;
}

/** What a broker wants to hear of a child. */
export interface Listener {
  onMessage(message: Message): void;
  /** Called once, after all messages. */
  onExit(exit: ChildExit): void;
}

/** What the thread says that reads a child's input, and no other thread does. */
const READER_SAYS: ReadonlySet<unknown> = new Set(["recalled", "reached", "lost"]);

/** How much of a child's standard error is kept, in bytes. */
const TAIL_BYTES = 2048;

/** How much is read of a pipe at once. */
const CHUNK_BYTES = 1 << 16;

/** How much is written to a pipe at once, at the most: so that it shows when something is read of a larger value. */
const MAX_WRITTEN_BYTES = 1 << 20;

/** How long after a child's end its pipes are read: another program may have inherited them, and never close them. */
const GRACE_MS = 100;

/**
 * How much may come out of a pipe after the end of the child that wrote to it: what the pipe held, and what had been
 * read of it. The rest was written by another program.
 */
const MAX_AFTER_END = 1 << 18;

/** The maximum number of microtasks that a stream takes to give what was read to its reader. */
const STREAM_HOPS = 16;

/** A child and what goes in and comes out. */
export class ChildProcess {
  /** What its packets begin with: nothing that a task could guess. */
  readonly token: string = crypto.getRandomValues(new Uint8Array(16)).toHex();
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #listener: Listener;
  #tail = new Uint8Array(0);
  /** What is being passed on of its standard error. */
  #stderrWrite: Promise<void> | undefined;
  /** What was wrong with what it said, or with what it got. */
  #wrong: Pick<ChildExit, "fault" | "isRobbed" | "isUnheard"> | undefined;
  /** How many bytes were sent, how many writes are not done, and how many are. */
  #sent = 0;
  #writes = 0;
  #written = 0;
  #writtenAt = 0;
  readonly #probes = new Probes();
  /** Whether no thread attends to its input: its main thread reads, when it does nothing else. */
  isAlone: boolean;
  /** What it has answered while it was alone, and owes the answer to a probe. */
  #heldAlone: Message[] = [];
  /** How many recalls have no answer. */
  #recalls = 0;
  /** What the main thread of the child says while a probe or a recall has no answer. */
  #held: Uint8Array[] = [];
  readonly #readers = [MAIN, READER].map((stream) => new MessageReader((message) => this.#hear(message, stream)));
  /** From how many pipes something is being passed on that the child may have written. */
  #passing = 0;
  /** Whether the process has ended, and whether the listener has heard of that. */
  #hasEnded = false;
  #isOver = false;

  /** @param mayBeAlone Whether it may read its input by its main thread at first. */
  constructor(
    process: Deno.ChildProcess,
    outputs: { stdout: Output; stderr: Output },
    listener: Listener,
    mayBeAlone: (pid: number) => boolean = () => false,
  ) {
    this.#listener = listener;
    this.#process = process;
    this.#stdin = this.#process.stdin.getWriter();
    // The end of the process tells what cannot be written any more.
    this.#stdin.closed.catch(() => {});
    const pumps = [this.#pumpStdout(outputs.stdout), this.#pumpStderr(outputs.stderr)];
    for (const pump of pumps) pump.catch((error) => this.#fault(error));
    void this.#awaitEnd(Promise.allSettled(pumps));
    this.isAlone = mayBeAlone(this.#process.pid);
  }

  /** Kills a child that has said what cannot be read, or from whose input somebody else has read. */
  #fault(error: unknown): void {
    this.#wrong = { ...this.#wrong, ...(error instanceof RobbedError ? { isRobbed: true } : { fault: String(error) }) };
    this.kill("SIGKILL");
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** How many bytes were sent to it. */
  get sent(): number {
    return this.#sent;
  }

  /** Whether something that the child has printed is being passed on. */
  get isPassingOn(): boolean {
    return this.#passing > 0;
  }

  /** Whether what its main thread says waits for the answer to a probe: it may have answered more than is known. */
  get isHeld(): boolean {
    return !this.isAlone && this.#probes.isAnswerDue;
  }

  /** When all that was sent had been written; infinite as long as it has not. */
  get writtenAt(): number {
    return this.#writes === 0 ? this.#writtenAt : Infinity;
  }

  /** How many parts of what was sent have gone into the pipe, while not all of it has; `undefined` when all has. */
  get written(): number | undefined {
    return this.#writes === 0 ? undefined : this.#written;
  }

  /** Sends a message. What is not read stays with the pipe: the end of the process is noticed all the same. */
  send(header: readonly unknown[], ...payloads: EncodedSections[]): void {
    this.write(encodeMessage(header, ...payloads));
  }

  /** Sends messages that are encoded already. */
  write(parts: readonly Uint8Array[]): void {
    this.#probes.onMessage();
    this.#write(parts);
  }

  #write(parts: readonly Uint8Array[]): void {
    const done = () => {
      if (--this.#writes === 0) this.#writtenAt = performance.now();
      this.#written++;
    };
    for (const bytes of joined(parts)) {
      this.#sent += bytes.byteLength;
      for (let at = 0; at < bytes.byteLength; at += MAX_WRITTEN_BYTES) {
        this.#writes++;
        this.#stdin.write(bytes.subarray(at, at + MAX_WRITTEN_BYTES)).then(done, done);
      }
    }
  }

  /** Has the child say which tasks up to a number it has not begun, if all has arrived that was sent before. */
  recall(last: number): void {
    this.#recalls++;
    this.send(["recall", last, this.#sent]);
  }

  /**
   * Has the child say, now and then, whether all has arrived that was sent to it: a task, or a program that it starts,
   * may read the standard input. Called while an answer of the child is due. A probe that gets no answer may have been
   * read by somebody else, or taken for the bytes that were: so later ones carry more and more bytes, which make up
   * for them.
   *
   * @param isReading Whether it reads its input. A child that computes alone does not: then it is enough to see that
   * somebody has read more than a pipe holds.
   */
  probe(isReading = true): void {
    // What waits in the pipe has reached nobody.
    if (this.#writes > 0) {
      if (this.#probes.isFlooding) this.#orFault(() => this.#takeHeldAlone());
      return;
    }
    // Its answer waits behind what it has printed.
    if (!isReading && this.isPassingOn) return;
    const probe = this.#probes.next(isReading);
    if (probe === "robbed") this.#fault(new RobbedError());
    if (typeof probe !== "number") return;
    const sent = this.#sent;
    const padding = probe === 0 ? [] : [new EncodedSections(Encoding.JSON, [new Uint8Array(probe)])];
    this.#write(encodeMessage(["probe", sent], ...padding));
    this.#probes.onSent(sent, probe);
  }

  #hear(message: Message, stream: number): void {
    const { header } = message;
    // A task can make its own thread say anything, and the reading thread nothing.
    if (READER_SAYS.has(header[0]) !== (stream === READER)) throw unexpected(header);
    if (header[0] === "results" && this.isAlone && this.#probes.isAnswerDue) {
      this.#heldAlone.push(message);
      return;
    }
    if (header[0] === "lost") throw new RobbedError();
    if (header[0] === "reached") {
      if (!this.#probes.isAnsweredBy(header[1])) return;
    } else if (header[0] === "recalled") this.#recalls = Math.max(0, this.#recalls - 1);
    // What its main thread has said before an answer comes before that.
    if (!this.#isHeld) this.#takeHeld();
    if (header[0] !== "reached") this.#listener.onMessage(message);
  }

  /** Whether it is not clear yet that nobody else has read what was sent. */
  get #isHeld(): boolean {
    return this.#probes.isAnswerDue || this.#recalls > 0;
  }

  /**
   * Takes in what the child says. What its main thread says waits until it is clear that nobody else has read what was
   * sent to it.
   */
  #take(bytes: Uint8Array, stream: number): void {
    if (this.#isOver) return;
    if (stream === MAIN && this.#isHeld && !this.isAlone) this.#held.push(bytes.slice());
    else this.#readers[stream].push(bytes);
  }

  #takeHeld(): void {
    this.#takeHeldAlone();
    if (this.#held.length === 0) return;
    for (const bytes of this.#held.splice(0)) this.#readers[MAIN].push(bytes);
  }

  /** Takes in what it has answered while it was alone: also where nobody reads its input, as that is still full. */
  #takeHeldAlone(): void {
    if (this.#heldAlone.length === 0) return;
    for (const message of this.#heldAlone.splice(0)) this.#listener.onMessage(message);
  }

  /** Ends the input: the child ends when it has read that. */
  end(): void {
    void this.#stdin.close().catch(() => {});
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch {
      // It has just ended.
    }
  }

  async #pumpStdout(output: Output): Promise<void> {
    /** What was printed, and the messages after it: they wait until that has been written. */
    let inOrder: { bytes: Uint8Array; stream: number | undefined }[] = [];
    const packets = new PacketReader(
      this.token,
      (bytes, stream) => {
        if (inOrder.length === 0) this.#take(bytes, stream);
        else inOrder.push({ bytes: bytes.slice(), stream });
      },
      (bytes) => inOrder.push({ bytes: bytes.slice(), stream: undefined }),
    );
    const writeInOrder = async () => {
      for (const { bytes, stream } of inOrder) {
        if (stream === undefined) await output.write(bytes);
        else this.#take(bytes, stream);
      }
      inOrder = [];
    };
    await this.#pump(this.#process.stdout, async (bytes) => {
      await this.#settleStderr();
      packets.push(bytes);
      if (inOrder.length > 0) await writeInOrder();
    });
    packets.end();
    await writeInOrder();
  }

  /**
   * Waits until what a task wrote to stderr has been passed on, before its result is. That was in its pipe before the
   * result was in the other one, so it has been read in the same turn of the event loop, or sooner; but its reader may
   * come later.
   */
  async #settleStderr(): Promise<void> {
    for (let i = 0; i < STREAM_HOPS && this.#stderrWrite === undefined; i++) await undefined;
    while (this.#stderrWrite !== undefined) await this.#stderrWrite;
  }

  async #pumpStderr(output: Output): Promise<void> {
    await this.#pump(this.#process.stderr, async (bytes) => {
      const all = new Uint8Array(this.#tail.byteLength + bytes.byteLength);
      all.set(this.#tail);
      all.set(bytes, this.#tail.byteLength);
      this.#tail = all.slice(-TAIL_BYTES);
      this.#stderrWrite = output.write(bytes.slice());
      await this.#stderrWrite;
      this.#stderrWrite = undefined;
    });
  }

  async #awaitEnd(pumps: Promise<unknown>): Promise<void> {
    const { code, signal } = await this.#process.status;
    this.#hasEnded = true;
    // A program that shares the other end of its input does not wait for more.
    void this.#stdin.abort().catch(() => {});
    let areRead = false;
    void pumps.then(() => areRead = true);
    do {
      await atMost(GRACE_MS, pumps);
      // As long as somebody reads slowly what was printed, there may be more.
    } while (!areRead && this.#passing > 0);
    // Its reading thread had no time to say so.
    if (code === UNREADABLE_CODE && this.#isHeld) this.#wrong = { ...this.#wrong, isRobbed: true };
    this.#takeLast();
    this.#isOver = true;
    this.#listener.onExit({
      pid: this.#process.pid,
      exitCode: code,
      signal,
      stderr: new TextDecoder().decode(this.#tail),
      ...this.#wrong,
    });
  }

  #orFault(take: () => void): void {
    try {
      take();
    } catch (error) {
      this.#fault(error);
    }
  }

  /** There is no answer any more: what the child has said counts, unless something was wrong. */
  #takeLast(): void {
    const isUnheard = this.#held.length > 0 || this.#heldAlone.length > 0;
    if (this.#wrong === undefined) this.#orFault(() => this.#takeHeld());
    if (this.#wrong !== undefined && isUnheard) this.#wrong = { ...this.#wrong, isUnheard };
  }

  /** Reads a pipe to its end. The bytes lie in memory that is used again. */
  async #pump(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    take: (bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const reader = stream.getReader({ mode: "byob" });
    let buffer = new ArrayBuffer(CHUNK_BYTES);
    for (let afterEnd = 0;;) {
      const { value, done } = await reader.read(new Uint8Array(buffer));
      if (done) return;
      if (this.#hasEnded) afterEnd += value.byteLength;
      // The end of the child does not wait for what others print.
      const isItsOwn = afterEnd <= MAX_AFTER_END;
      if (isItsOwn) this.#passing++;
      try {
        await take(value);
      } finally {
        if (isItsOwn) this.#passing--;
      }
      buffer = value.buffer;
    }
  }
}

/** What kills a child that says what it cannot say now: a task has changed it. */
export function unexpected(header: readonly unknown[]): Error {
  return new Error(`Unexpected message: ${JSON.stringify(header)}`);
}

/** Somebody else has read what was sent to a child. */
class RobbedError extends Error {}
