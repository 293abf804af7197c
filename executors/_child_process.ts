/**
 * The broker's side of one child: its pipes, its messages, its end.
 *
 * @module
 */

import type { EncodedBlock } from "./_block.ts";
import type { Output } from "./_output.ts";
import { encodeMessage, joined, MAIN, type Message, MessageReader, PacketReader, READER } from "./_wire.ts";

/** How a child ended. */
export interface Death {
  pid: number;
  exitCode: number;
  signal: Deno.Signal | null;
  /** The end of what it wrote to its standard error. */
  stderr: string;
  /** What was wrong with what it said, where it was killed for that. */
  fault?: string;
}

/** What a broker wants to hear of a child. */
export interface Listener {
  message(message: Message): void;
  /** Called once, after all messages. */
  ended(death: Death): void;
}

/** How much of a child's standard error is kept, in bytes. */
const TAIL_BYTES = 2048;

/** How long after a child's end its pipes are read: another program may have inherited them, and never close them. */
const GRACE_MS = 100;

/** How many microtasks a stream takes, at the most, to give what was read to its reader. */
const STREAM_HOPS = 16;

/** A child and what goes in and comes out. */
export class ChildProcess {
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #listener: Listener;
  #tail = new Uint8Array(0);
  /** What is being passed on of its standard error. */
  #stderrWrite: Promise<void> | undefined;
  #fault: string | undefined;

  /** @throws It cannot be started. */
  constructor(
    command: string,
    options: Deno.CommandOptions,
    token: string,
    outputs: { stdout: Output; stderr: Output },
    listener: Listener,
  ) {
    this.#listener = listener;
    this.#process = new Deno.Command(command, { ...options, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
    this.#stdin = this.#process.stdin.getWriter();
    // What cannot be written any more is told by the end of the process.
    this.#stdin.closed.catch(() => {});
    const pumps = [this.#pumpStdout(token, outputs.stdout), this.#pumpStderr(outputs.stderr)];
    // A message that cannot be read is a fault of the child's.
    for (const pump of pumps) {
      pump.catch((error) => {
        this.#fault = String(error);
        this.kill("SIGKILL");
      });
    }
    void this.#awaitEnd(Promise.allSettled(pumps), Object.values(outputs));
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Sends a message. What is not read stays with the pipe: the end of the process is noticed all the same. */
  send(header: readonly unknown[], ...blocks: EncodedBlock[]): void {
    this.write(encodeMessage(header, ...blocks));
  }

  /** Sends messages that are encoded already. */
  write(parts: readonly Uint8Array[]): void {
    for (const bytes of joined(parts)) void this.#stdin.write(bytes).catch(() => {});
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

  async #pumpStdout(token: string, output: Output): Promise<void> {
    // Each thread of the child has a stream of its own: their packets come in any order.
    const readers = [MAIN, READER].map(() => new MessageReader((message) => this.#listener.message(message)));
    /** What was printed, and the messages after it: they wait until that has been written. */
    let inOrder: { bytes: Uint8Array; stream: number | undefined }[] = [];
    const packets = new PacketReader(
      token,
      (bytes, stream) => {
        if (inOrder.length === 0) readers[stream].push(bytes);
        else inOrder.push({ bytes: bytes.slice(), stream });
      },
      (bytes) => inOrder.push({ bytes: bytes.slice(), stream: undefined }),
    );
    const writeInOrder = async () => {
      for (const { bytes, stream } of inOrder) {
        if (stream === undefined) await output.write(bytes);
        else readers[stream].push(bytes);
      }
      inOrder = [];
    };
    await pump(this.#process.stdout, async (bytes) => {
      await this.#settleStderr();
      packets.push(bytes);
      if (inOrder.length > 0) await writeInOrder();
    });
    packets.end();
    await writeInOrder();
  }

  /**
   * Waits until what a task wrote to stderr has been passed on, before its result is: that was in its pipe sooner, so it has been read in the same
   * turn of the event loop as what stdout brought, or before; but its reader may come later.
   */
  async #settleStderr(): Promise<void> {
    for (let i = 0; i < STREAM_HOPS && this.#stderrWrite === undefined; i++) await undefined;
    while (this.#stderrWrite !== undefined) await this.#stderrWrite;
  }

  async #pumpStderr(output: Output): Promise<void> {
    await pump(this.#process.stderr, async (bytes) => {
      const all = new Uint8Array(this.#tail.byteLength + bytes.byteLength);
      all.set(this.#tail);
      all.set(bytes, this.#tail.byteLength);
      this.#tail = all.slice(-TAIL_BYTES);
      this.#stderrWrite = output.write(bytes.slice());
      await this.#stderrWrite;
      this.#stderrWrite = undefined;
    });
  }

  async #awaitEnd(pumps: Promise<unknown>, outputs: Output[]): Promise<void> {
    const { code, signal } = await this.#process.status;
    let areRead = false;
    void pumps.then(() => areRead = true);
    do {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await Promise.race([pumps, new Promise((resolve) => timer = setTimeout(resolve, GRACE_MS))]);
      clearTimeout(timer);
      // As long as somebody reads slowly what was printed, there may be more.
    } while (!areRead && outputs.some(({ pending }) => pending > 0));
    this.#listener.ended({
      pid: this.pid,
      exitCode: code,
      signal,
      stderr: new TextDecoder().decode(this.#tail),
      fault: this.#fault,
    });
  }
}

const CHUNK_BYTES = 1 << 16;

/** Reads a stream to its end. The bytes lie in memory that is used again. */
async function pump(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const reader = stream.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(CHUNK_BYTES);
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) return;
    const busy = take(value);
    if (busy !== undefined) await busy;
    buffer = value.buffer;
  }
}
