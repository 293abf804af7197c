/**
 * What the thread that reads a child's input answers by itself, because the main thread could not while it computes:
 * it recalls tasks that have not begun, and says whether all of the input has arrived. While there is no such thread,
 * the main thread answers the same as it reads.
 *
 * @module
 */

import { Atomics, JSON, Math } from "../../../futures/builtins.ts";
import { lock, OUTBOX, type Outbox, takeResults, unlock } from "./_outbox.ts";
import type { Header } from "../messages.ts";
import { MAX_PACKET_BYTES, READER } from "../packets.ts";
import { NOTED, noteSignal } from "./_signals.ts";
import { recallTasks, stopTask } from "./_turns.ts";

/** Looks at bytes of the input, in order; `false` when somebody else has read a part of it. */
export type Look = (bytes: Uint8Array) => boolean;

/** What the next one who looks has to know of the bytes before. */
export interface Seen {
  /** What packets begin with. */
  readonly token: string;
  /** How many bytes have been read. */
  readonly read: number;
}

/** Who looks at the input. */
export interface Looker {
  readonly look: Look;
  /** What it has seen; `undefined` in the midst of a message. */
  seen(): Seen | undefined;
  /** Tells the broker that somebody else has read a part of the input. */
  sayLost(): void;
}

/** How the reading thread makes its {@linkcode Looker}: by the text of a function, and what that is called with. */
export interface Looking {
  readonly text: string;
  readonly memory: readonly SharedArrayBuffer[];
  /** For the main thread, while it reads by itself. */
  readonly looker: Looker;
}

/** What it takes to answer, here and in the reading thread. */
export function answersFor(outbox: Outbox, turns: Int32Array, noted: SharedArrayBuffer): Looking {
  const tools = [lock, unlock, takeResults, recallTasks, stopTask, noteSignal] as const;
  // In this thread those that a task cannot replace.
  const builtins = { Atomics, JSON, Math, write: Deno.stdout.writeSync.bind(Deno.stdout) };
  const constants = [JSON.stringify(OUTBOX), JSON.stringify(NOTED), READER, MAX_PACKET_BYTES];
  const memory = [outbox.buffer, turns.buffer as SharedArrayBuffer, noted] as const;
  return {
    text: `(${makeAnswers})({ Atomics, JSON, Math, write: (bytes) => Deno.stdout.writeSync(bytes) }, ${[
      ...constants,
      ...tools,
    ]})`,
    memory,
    looker: makeAnswers(builtins, OUTBOX, NOTED, READER, MAX_PACKET_BYTES, ...tools)({ token: "", read: 0 }, ...memory),
  };
}

/** Its text is sent to the reading thread, so it uses nothing from around it. */
function makeAnswers(
  { Atomics, JSON, Math, write: writeSync }: {
    Atomics: Pick<typeof globalThis.Atomics, "wait">;
    JSON: Pick<typeof globalThis.JSON, "parse">;
    Math: Pick<typeof globalThis.Math, "min">;
    write(bytes: Uint8Array): number;
  },
  LAYOUT: typeof OUTBOX,
  NOTED_LAYOUT: typeof NOTED,
  READER: number,
  MAX_PACKET: number,
  lockOutbox: typeof lock,
  unlockOutbox: typeof unlock,
  takeAllResults: typeof takeResults,
  recallUpTo: typeof recallTasks,
  stop: typeof stopTask,
  note: typeof noteSignal,
): (seen: Seen, outbox: SharedArrayBuffer, turns: SharedArrayBuffer, noted: SharedArrayBuffer) => Looker {
  return (seen, outbox, turnsMemory, noted) => {
    const encoder = new TextEncoder();
    const decoder = new TextDecoder();
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const turns = new Int32Array(turnsMemory);
    const words = new Int32Array(outbox, 0, LAYOUT.WORDS);
    let { token } = seen;
    /** The beginning of a header, and how many bytes of sections are still to come. */
    let line = "";
    let skipped = 0;
    /** How many bytes have been read, and how many before the header. */
    let { read } = seen;
    let readBefore = 0;

    return {
      // Where the bytes make no sense, others are missing.
      look: (bytes) => {
        try {
          look(bytes);
          return true;
        } catch (error) {
          if (error instanceof Deno.errors.BrokenPipe) throw error;
          sayLost();
          return false;
        }
      },
      sayLost,
      seen: () => line === "" && skipped === 0 ? { token, read } : undefined,
    };

    function look(bytes: Uint8Array): void {
      for (let at = 0; at < bytes.length;) {
        if (skipped > 0) {
          const count = Math.min(skipped, bytes.length - at);
          skipped -= count;
          at += count;
          continue;
        }
        if (line === "") {
          readBefore = read + at;
          if (bytes[at] !== 0x1e) throw new SyntaxError("The bytes begin with no header");
        }
        const end = bytes.indexOf(10, at);
        line += decoder.decode(bytes.slice(at, end === -1 ? bytes.length : end), { stream: end === -1 });
        if (end === -1) break;
        at = end + 1;
        for (const length of JSON.parse(line.slice(line.lastIndexOf("[")).slice(0, -1))) skipped += length;
        // Most are tasks, which nothing is to be done about.
        if (!line.startsWith('\x1e["tasks",')) hear(JSON.parse(line.slice(1)));
        line = "";
      }
      read += bytes.length;
    }

    function hear(header: Header): void {
      switch (header[0]) {
        case "start":
          token = header[1].token;
          break;
        case "recall":
          recall(header[1], header[2]);
          break;
        case "abort":
          stop(turns, header[1]);
          break;
        case "signal":
          note(noted, NOTED_LAYOUT, header[1], encoder.encode(header[2]));
          break;
        case "probe":
          answerProbe(header[1]);
      }
    }

    /** Fails where somebody else has read what was sent before. */
    function assertReached(sent: number): void {
      if (sent !== readBefore) throw new RangeError(`The pool sent ${sent} bytes, and the process read ${readBefore}`);
    }

    function sayLost(): void {
      say('"lost"');
    }

    function answerProbe(sent: number): void {
      assertReached(sent);
      say(`"reached",${sent}`);
    }

    function recall(last: number, sent: number): void {
      // A task that has never arrived has not begun, and its process cannot be used any more.
      assertReached(sent);
      // Held until all is said: only then may the main thread say that it is free.
      lockOutbox(words);
      const first = recallUpTo(turns, last);
      // The results that wait behind a task which is not quick.
      if (words[LAYOUT.COUNT] > 0) write(0, takeAllResults(words, LAYOUT));
      say(`"recalled",${first},${last}`);
      unlockOutbox(words);
    }

    function say(header: string): void {
      write(READER, encoder.encode(`\x1e[${header},[]]\n`));
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
            written += writeSync(packet.subarray(written));
          } catch (error) {
            if (!(error instanceof Deno.errors.WouldBlock)) throw error;
            // A program that shares the pipe has made it non-blocking, and it is full.
            Atomics.wait(pause, 0, 0, 1);
          }
        }
      }
    }
  };
}
