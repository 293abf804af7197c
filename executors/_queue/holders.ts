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

/** How many records there are. The first one is nobody's, so that 0 stands for nobody. */
export const MAX_HOLDERS = 1 << 18;

/**
 * The words of a record, which is that of a thread or of a holder: its state, whether it is in use, the record of the
 * thread that the holder is, or that has started the thread (0 for the main one), which holder a thread is by now, how
 * long its name is in bytes, and the name.
 */
const STATE = 0;
const IN_USE = 1;
const PARENT = 2;
const HOLDER = 3;
const LENGTH = 4;
const NAME_AT = 5;
const RECORD_WORDS = 32;
const NAME_BYTES = (RECORD_WORDS - NAME_AT) * 4;

/** The words of the first record count the records that were ever used, the objects that threads hold, and the ends. */
const RECORDS = 0;
const OBJECTS = 1;
const ENDS = 2;

/** What a thread gets from the one that starts it. */
export interface Life {
  /** The records of all threads and holders of the program. */
  readonly records: SharedArrayBuffer;
  /** The number of the thread's record. */
  readonly thread: number;
}

let records: Int32Array | undefined;
/** The record of this thread; 0 in the main one until it is asked for. */
let thread = 0;

/** The records. Their memory takes room only where it was written to. */
function recordsOfProgram(): Int32Array {
  return records ??= new Int32Array(new SharedArrayBuffer(MAX_HOLDERS * RECORD_WORDS * 4));
}

/** Begins a record. */
function begin(parent: number): number {
  const memory = recordsOfProgram();
  for (;;) {
    // After so many the first ones come again, but for those that live on.
    const number = Atomics.add(memory, RECORDS, 1) % (MAX_HOLDERS - 1) + 1;
    const at = number * RECORD_WORDS;
    if (Atomics.load(memory, at + IN_USE) === 1 && stateOf(number) === HolderState.ALIVE) continue;
    Atomics.store(memory, at + PARENT, parent);
    Atomics.store(memory, at + HOLDER, 0);
    Atomics.store(memory, at + STATE, HolderState.ALIVE);
    Atomics.store(memory, at + IN_USE, 1);
    return number;
  }
}

/** The life of a thread that this one is about to start. */
export function createLife(): Life {
  return { records: recordsOfProgram().buffer as SharedArrayBuffer, thread: begin(thread) };
}

/** Says which life is this thread's. */
export function live(life: Life): void {
  records = new Int32Array(life.records);
  thread = life.thread;
}

/** What this thread holds by, for who runs tasks in it. */
export const holding = {
  /** Whether the name of the holder is that of what runs now; set to `false` when something else runs. */
  isNamed: false,
  /** What runs now, in messages. */
  name: (): string => "the main thread",
  /** Why what runs now is to end, if it is. */
  reasonToStop: (): [reason: unknown] | undefined => undefined,
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The number of this thread as a holder. */
export function holder(): number {
  const memory = recordsOfProgram();
  if (thread === 0) thread = begin(0);
  const at = thread * RECORD_WORDS + HOLDER;
  if (memory[at] === 0) memory[at] = begin(thread);
  const number = memory[at];
  if (!holding.isNamed) {
    const at = number * RECORD_WORDS;
    const bytes = new Uint8Array(NAME_BYTES);
    const { written } = encoder.encodeInto(holding.name(), bytes);
    new Uint8Array(memory.buffer, (at + NAME_AT) * 4, NAME_BYTES).set(bytes);
    Atomics.store(memory, at + LENGTH, written);
    holding.isNamed = true;
  }
  return number;
}

/** What ran in this thread is over. If it was cut off, all that it holds is held by a dead holder from now on. */
export function leave(isCutOff: boolean): void {
  holding.isNamed = false;
  if (!isCutOff || thread === 0) return;
  const memory = recordsOfProgram();
  const at = thread * RECORD_WORDS + HOLDER;
  if (memory[at] !== 0) setState(memory[at], HolderState.DEAD);
  memory[at] = 0;
}

/**
 * A thread has ended, or was given up: called by the one that has started it. So have the threads that it has started,
 * and what they are as holders, and so on.
 */
export function endLife({ thread }: Life, state: number): void {
  setState(thread, state);
  // The thread's record says it for the holder, but may be another one's long before the holder's is.
  const number = recordsOfProgram()[thread * RECORD_WORDS + HOLDER];
  if (number !== 0) setState(number, state);
}

function setState(number: number, state: number): void {
  const memory = recordsOfProgram();
  Atomics.compareExchange(memory, number * RECORD_WORDS + STATE, HolderState.ALIVE, state);
  // Behind the state: who has read this count sees all ends that it counts.
  Atomics.add(memory, ENDS, 1);
}

/** How often a thread or a holder has ended: as long as it is the same, whoever was alive is. */
export function countEnds(): number {
  return Atomics.load(recordsOfProgram(), ENDS);
}

/** The state of a holder: its own, or that of its thread, or of one that has started that. */
export function stateOf(number: number): number {
  const memory = recordsOfProgram();
  for (let each = number; each !== 0; each = memory[each * RECORD_WORDS + PARENT]) {
    const state = Atomics.load(memory, each * RECORD_WORDS + STATE);
    if (state !== HolderState.ALIVE) return state;
  }
  return HolderState.ALIVE;
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
