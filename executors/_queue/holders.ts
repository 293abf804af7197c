/**
 * Who can hold the objects of `sync`: the threads of a program, by numbers that all of them know.
 *
 * A holder is a thread from the first time it holds something to its end, or to the end of a task that was cut off:
 * then the thread goes on as another holder. So what a dead holder had is told by its number alone, and nobody has to
 * know which objects these are.
 *
 * @module
 */

import { Atomics } from "../../futures/builtins.ts";

/** What a holder is. Set once, from ALIVE, by whoever learns that it has ended. */
export const HolderState = {
  ALIVE: 0,
  /** Its thread has ended because nobody needed it any more. */
  ENDED: 1,
  /** Its thread was ended or given up while it may have run a task, or its task was cut off. */
  DEAD: 2,
} as const;

/** Numbers of holders are below this: from 1, as 0 stands for nobody. */
export const MAX_HOLDERS = 1 << 18;

/** The words of a holder's record: its state, how long its name is in bytes, and the name. */
const STATE = 0;
const LENGTH = 1;
const NAME_AT = 2;
const RECORD_WORDS = 32;
const NAME_BYTES = (RECORD_WORDS - NAME_AT) * 4;

/** The first record is nobody's: its words count the holders, and the objects that they can hold. */
const HOLDERS = 0;
const OBJECTS = 1;

/** The words of a thread's life: which holder it is, and the state in which it has ended. */
const HOLDER = 0;
const END = 1;

/** What a thread gets from the one that starts it. */
export interface Life {
  /** The records of all holders of the program. */
  readonly records: SharedArrayBuffer;
  /** Which holder the thread is by now: see above. */
  readonly thread: SharedArrayBuffer;
}

let records: Int32Array | undefined;
let thread: Int32Array | undefined;

/** The records. Their memory takes room only where it was written to. */
function recordsOfProgram(): Int32Array {
  return records ??= new Int32Array(new SharedArrayBuffer(MAX_HOLDERS * RECORD_WORDS * 4));
}

/** The life of a thread that is about to start. */
export function createLife(): Life {
  return { records: recordsOfProgram().buffer as SharedArrayBuffer, thread: new SharedArrayBuffer(8) };
}

/** Says which life is this thread's. */
export function live(life: Life): void {
  records = new Int32Array(life.records);
  thread = new Int32Array(life.thread);
}

/** What this thread holds by, for who runs tasks in it. */
export const holding = {
  /** Whether the name of the holder is that of what runs now; set to `false` when something else runs. */
  isNamed: false,
  /** What runs now, in messages. */
  name: (): string => "the main thread",
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The number of this thread as a holder. */
export function holder(): number {
  const words = thread ??= new Int32Array(2);
  if (words[HOLDER] === 0) become(words);
  if (!holding.isNamed) {
    const at = words[HOLDER] * RECORD_WORDS;
    const bytes = new Uint8Array(NAME_BYTES);
    const { written } = encoder.encodeInto(holding.name(), bytes);
    const memory = recordsOfProgram();
    new Uint8Array(memory.buffer, (at + NAME_AT) * 4, NAME_BYTES).set(bytes);
    Atomics.store(memory, at + LENGTH, written);
    holding.isNamed = true;
  }
  return words[HOLDER];
}

/** This thread becomes a new holder. */
function become(words: Int32Array): void {
  const memory = recordsOfProgram();
  // After so many the first ones come again; who was the same holder then has ended long ago.
  const number = Atomics.add(memory, HOLDERS, 1) % (MAX_HOLDERS - 1) + 1;
  Atomics.store(memory, number * RECORD_WORDS + STATE, HolderState.ALIVE);
  Atomics.store(words, HOLDER, number);
  // Whoever ends this thread stores that first, and then looks which holder it is.
  const end = Atomics.load(words, END);
  if (end !== HolderState.ALIVE) Atomics.store(memory, number * RECORD_WORDS + STATE, end);
}

/** What ran in this thread is over. If it was cut off, all that it holds is held by a dead holder from now on. */
export function leave(isCutOff: boolean): void {
  holding.isNamed = false;
  if (!isCutOff || thread === undefined || thread[HOLDER] === 0) return;
  setState(thread[HOLDER], HolderState.DEAD);
  Atomics.store(thread, HOLDER, 0);
}

/** A thread has ended, or was given up: called by the one that has started it. */
export function endLife({ thread }: Life, state: number): void {
  const words = new Int32Array(thread);
  Atomics.store(words, END, state);
  const number = Atomics.load(words, HOLDER);
  if (number !== 0) setState(number, state);
}

function setState(number: number, state: number): void {
  Atomics.compareExchange(recordsOfProgram(), number * RECORD_WORDS + STATE, HolderState.ALIVE, state);
}

/** The state of a holder. */
export function stateOf(number: number): number {
  return Atomics.load(recordsOfProgram(), number * RECORD_WORDS + STATE);
}

/** What a holder is called in messages. */
export function nameOf(number: number): string {
  const memory = recordsOfProgram();
  const at = number * RECORD_WORDS;
  // A copy: the decoder takes no shared memory.
  const bytes = new Uint8Array(memory.buffer, (at + NAME_AT) * 4, Atomics.load(memory, at + LENGTH)).slice();
  return decoder.decode(bytes);
}

/** A number for a new object, which no other object of the program has. */
export function nextObject(): number {
  return Atomics.add(recordsOfProgram(), OBJECTS, 1) + 1;
}
