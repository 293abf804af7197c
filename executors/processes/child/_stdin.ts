/**
 * The standard input of a child, read by a thread of its own: so the child's event loop goes on while it waits for tasks, and its end,
 * which is that of the parent, is noticed also while a task computes.
 *
 * @module
 */

import { Atomics, Math, performance } from "../../../futures/builtins.ts";
import { OUTBOX, type Outbox } from "./_outbox.ts";
import { MAX_PACKET_BYTES } from "../messages.ts";

type Layout = typeof OUTBOX;

/** The words of the memory that both threads share. */
const HEAD = 0;
const TAIL = 1;
/** Whether the reading thread waits for room. */
const FULL = 2;
/** Whether the input has ended. */
const ENDED = 3;
/**
 * The number of the task that the main thread has begun last, or, as -1 - n, that tasks up to n are taken back. The main thread begins a task, and
 * the reading thread takes tasks back, by compare-and-exchange: one of them wins.
 */
export const BEGUN = 4;
const WORDS = 8;

/** Size of the memory for what was read and not yet taken: a power of two. */
const RING_BYTES = 1 << 18;

/** How much is read at once, at the most. */
const CHUNK_BYTES = 1 << 16;

/** How long the main thread looks for input before it sleeps: waking it up takes about as long. */
const SPIN_MS = 0.05;
/** After so many vain looks in a row, it looks only once in a while. */
const MAX_VAIN = 8;

/** How long a child may take to end when its input has ended. */
const END_MS = 1_000;

/** Begins a task; `false` when it was taken back. */
export function beginTask(words: Int32Array, id: number): boolean {
  for (;;) {
    const begun = Atomics.load(words, BEGUN);
    if (begun < 0 && id < -begun) return false;
    if (Atomics.compareExchange(words, BEGUN, begun, id) === begun) return true;
  }
}

/**
 * Takes back the tasks up to a number that have not begun. The text of this function is sent, too.
 *
 * @returns The first of them.
 */
export function takeTasksBack(words: Int32Array, last: number, BEGUN: number): number {
  for (;;) {
    const begun = Atomics.load(words, BEGUN);
    const first = begun < 0 ? -begun : begun + 1;
    // The main thread may have read more meanwhile, and begun what was sent later: that must be known the next time.
    if (first > last || Atomics.compareExchange(words, BEGUN, begun, -1 - last) === begun) return first;
  }
}

/**
 * What the reading thread runs. Its text is sent as a `data:` URL, which needs no permission; so it uses nothing from around it.
 *
 * It passes the input on, and answers messages which the main thread could not obey while it computes: to take tasks
 * back, and to say whether all of the input has arrived. When the input ends, or nobody reads its answers any more, it
 * leaves the main thread a while to end the process. One that computes does not: then this thread kills it.
 */
function readLoop(
  WORDS: number,
  RING_BYTES: number,
  CHUNK: number,
  END_MS: number,
  OUTBOX: Layout,
  MAX_PACKET: number,
  takeTasksBack: (words: Int32Array, last: number, BEGUN: number) => number,
): void {
  const [HEAD, TAIL, FULL, ENDED, BEGUN] = [0, 1, 2, 3, 4];
  const { stdin, stdout, kill, pid } = Deno;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  let words: Int32Array;
  let results: Int32Array;
  let token = "";
  /** The beginning of a header, and how many bytes of sections are still to come. */
  let line = "";
  let skipped = 0;
  /** How many bytes have been read, and how many before the header. */
  let read = 0;
  let readBefore = 0;
  /** Whether a part of the input was read by somebody else. */
  let isLost = false;

  /** Looks at bytes that were read. Where they make no sense, others are missing. */
  function look(bytes: Uint8Array): void {
    try {
      lookAt(bytes);
    } catch (error) {
      isLost = !(error instanceof Deno.errors.BrokenPipe);
      if (isLost) say('"lost"');
      throw error;
    }
  }

  function lookAt(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (skipped > 0) {
        const count = Math.min(skipped, bytes.length - at);
        skipped -= count;
        at += count;
        continue;
      }
      if (line === "") {
        readBefore = read + at;
        if (bytes[at] !== 0x1e) throw new SyntaxError("no header");
      }
      const end = bytes.indexOf(10, at);
      line += decoder.decode(bytes.slice(at, end === -1 ? bytes.length : end), { stream: end === -1 });
      if (end === -1) break;
      at = end + 1;
      for (const length of JSON.parse(line.slice(line.lastIndexOf("[")).slice(0, -1))) skipped += length;
      if (line.startsWith('\x1e["start",')) token = JSON.parse(line.slice(1))[1].token;
      else if (line.startsWith('\x1e["back",')) takeBack(JSON.parse(line.slice(1)));
      else if (line.startsWith('\x1e["probe",')) answer(JSON.parse(line.slice(1))[1]);
      line = "";
    }
    read += bytes.length;
  }

  /** Fails where somebody else has read what was sent before. */
  function assertReached(sent: number): void {
    if (sent !== readBefore) throw new RangeError(`${sent} bytes were sent and ${readBefore} read`);
  }

  /** Says whether all has arrived that was sent before. */
  function answer(sent: number): void {
    assertReached(sent);
    say(`"reached",${sent}`);
  }

  function say(header: string): void {
    write(1, encoder.encode(`\x1e[${header},[]]\n`));
  }

  function takeBack([, last, sent]: [name: string, last: number, sent: number]): void {
    // A task that has never arrived has not begun, and its process cannot be used any more.
    assertReached(sent);
    // Until all is said: then the main thread may say that it is free.
    while (Atomics.exchange(results, OUTBOX.LOCK, 2) !== 0) Atomics.wait(results, OUTBOX.LOCK, 2);
    const first = takeTasksBack(words, last, BEGUN);
    writeResults();
    say(`"returned",${first},${last}`);
    Atomics.store(results, OUTBOX.LOCK, 0);
    Atomics.notify(results, OUTBOX.LOCK, 1);
  }

  /** The results of the main thread that wait behind a task which is not quick. */
  function writeResults(): void {
    if (results[OUTBOX.COUNT] === 0) return;
    const bytes = new Uint8Array(results.buffer);
    const area = (word: number, at: number) => bytes.slice(at, at + results[word]);
    const textOf = (word: number, at: number) => decoder.decode(area(word, at)).slice(0, -1);
    const entries = textOf(OUTBOX.ENTRIES, OUTBOX.ENTRIES_AT);
    const lengths = textOf(OUTBOX.LENGTHS, OUTBOX.LENGTHS_AT);
    const header = encoder.encode(`\x1e["results",${results[OUTBOX.FIRST]},[${entries}],[${lengths}]]\n`);
    write(0, new Uint8Array([...header, ...area(OUTBOX.SECTIONS, OUTBOX.SECTIONS_AT)]));
    results.fill(0, OUTBOX.FIRST);
  }

  /** Writes bytes of a stream, in packets. */
  function write(stream: number, bytes: Uint8Array): void {
    const most = MAX_PACKET - token.length - 16;
    for (let at = 0; at < bytes.length; at += most) {
      const part = bytes.subarray(at, at + most);
      const line = encoder.encode(`\x1e["${token}",${stream},${part.length}]\n`);
      const packet = new Uint8Array([...line, ...part, 10]);
      for (let written = 0; written < packet.length;) {
        try {
          written += stdout.writeSync(packet.subarray(written));
        } catch (error) {
          if (!(error instanceof Deno.errors.WouldBlock)) throw error;
          // A program that shares the pipe has made it non-blocking, and it is full.
          Atomics.wait(words, WORDS - 1, 0, 1);
        }
      }
    }
  }

  /** Passes the input on until it ends. */
  async function pass(ring: Uint8Array): Promise<void> {
    let tail = 0;
    /** What was read and has found no room. */
    const waiting: Uint8Array[] = [];
    let isPutting = false;

    /** Where the next bytes go, in one piece: at the most so many. */
    function target(most: number, head = Atomics.load(words, HEAD)): Uint8Array {
      const at = tail & (RING_BYTES - 1);
      const free = RING_BYTES - ((tail - head) | 0);
      return ring.subarray(at, at + Math.min(most, free, RING_BYTES - at));
    }

    function publish(count: number): void {
      tail = (tail + count) | 0;
      Atomics.store(words, TAIL, tail);
      Atomics.notify(words, TAIL);
    }

    /** Puts what waits where there is room, as the main thread makes it. */
    async function put(): Promise<void> {
      isPutting = true;
      while (waiting.length > 0) {
        const head = Atomics.load(words, HEAD);
        const bytes = target(waiting[0].length, head);
        if (bytes.length === 0) {
          Atomics.store(words, FULL, 1);
          const wait = Atomics.waitAsync(words, HEAD, head);
          if (wait.async) await wait.value;
          Atomics.store(words, FULL, 0);
          continue;
        }
        bytes.set(waiting[0].subarray(0, bytes.length));
        publish(bytes.length);
        waiting[0] = waiting[0].subarray(bytes.length);
        if (waiting[0].length === 0) waiting.shift();
      }
      isPutting = false;
    }

    for (const chunk = new Uint8Array(CHUNK);;) {
      // Quicker than to await it, and takes no copy.
      for (let bytes; !isPutting && (bytes = target(CHUNK)).length > 0;) {
        const count = stdin.readSync(bytes);
        if (count === null) return;
        publish(count);
        look(bytes.subarray(0, count));
      }
      // The main thread computes and takes nothing: the input is read on all the same, because it may end, or hold
      // what is for this thread.
      const count = await stdin.read(chunk);
      if (count === null) return;
      waiting.push(chunk.slice(0, count));
      if (!isPutting) void put();
      look(chunk.subarray(0, count));
    }
  }

  self.addEventListener("message", async (event) => {
    const [memory, outbox] = (event as MessageEvent<SharedArrayBuffer[]>).data;
    results = new Int32Array(outbox, 0, 8);
    words = new Int32Array(memory, 0, WORDS);
    try {
      await pass(new Uint8Array(memory, WORDS * 4, RING_BYTES));
    } catch {
      // Nobody reads any more what this process writes; or its input has a hole, and it is about to be killed.
    }
    if (!isLost) {
      Atomics.store(words, ENDED, 1);
      Atomics.notify(words, ENDED);
    }
    Atomics.wait(words, WORDS - 1, 0, END_MS);
    kill(pid, "SIGKILL");
  });
}

/** The input of this process. */
export class Stdin {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  #head = 0;
  #vain = 0;

  /**
   * Starts the thread.
   *
   * @param outbox What that thread writes when the main thread is not quick.
   * @param onEnd Called when the input has ended, also while a task awaits something; it must end the process.
   */
  constructor(outbox: Outbox, onEnd: () => void) {
    const memory = new SharedArrayBuffer(WORDS * 4 + RING_BYTES);
    this.#words = new Int32Array(memory, 0, WORDS);
    this.#bytes = new Uint8Array(memory, WORDS * 4, RING_BYTES);
    const layout = JSON.stringify(OUTBOX);
    const sizes = [WORDS, RING_BYTES, CHUNK_BYTES, END_MS];
    const text = `(${readLoop})(${sizes}, ${layout}, ${MAX_PACKET_BYTES}, ${takeTasksBack})`;
    const reader = new Worker(`data:application/javascript,${encodeURIComponent(text)}`, {
      type: "module",
      name: "stdin",
    });
    reader.postMessage([memory, outbox.buffer]);
    const end = Atomics.waitAsync(this.#words, ENDED, 0);
    if (end.async) void end.value.then(onEnd);
    else onEnd();
  }

  /** Waits for input: a short while looking for it, then in the event loop. */
  async wait(): Promise<void> {
    const words = this.#words;
    if (this.#spin()) return;
    while (Atomics.load(words, TAIL) === this.#head) {
      const wait = Atomics.waitAsync(words, TAIL, this.#head);
      if (wait.async) await wait.value;
    }
  }

  /** Begins a task; `false` when it was taken back. */
  begin(id: number): boolean {
    return beginTask(this.#words, id);
  }

  #spin(): boolean {
    const words = this.#words;
    if (Atomics.load(words, TAIL) !== this.#head) return true;
    if (this.#vain >= MAX_VAIN && this.#vain++ % MAX_VAIN !== 0) return false;
    const until = performance.now() + SPIN_MS;
    do {
      for (let i = 0; i < 16; i++) {
        if (Atomics.load(words, TAIL) === this.#head) continue;
        this.#vain = 0;
        return true;
      }
    } while (performance.now() < until);
    this.#vain++;
    return false;
  }

  /** Gives what there is to `take`, which must copy it. */
  read(take: (bytes: Uint8Array) => void): void {
    const words = this.#words;
    const available = (Atomics.load(words, TAIL) - this.#head) | 0;
    const at = this.#head & (RING_BYTES - 1);
    const part = this.#bytes.subarray(at, Math.min(at + available, RING_BYTES));
    take(part);
    this.#head = (this.#head + part.byteLength) | 0;
    Atomics.store(words, HEAD, this.#head);
    if (Atomics.load(words, FULL) === 1) Atomics.notify(words, HEAD);
  }
}
