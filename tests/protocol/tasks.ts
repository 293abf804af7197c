/** Tasks for the tests of the worker protocol. Importing this module does nothing. */
import { reportProgress as progress } from "../../executors/current_task.ts";

/** Lets its worker reply, and then holds it before it comes to rest, until the word is no longer 0. */
export function holdAfterReply(words: Int32Array): void {
  queueMicrotask(() => Atomics.wait(words, 0, 0, 10_000));
  // So long that the worker's turn is over: then it yields to its event loop before it looks for the next task.
  const end = performance.now() + 12;
  while (performance.now() < end);
}

/** Says how far it has come, and goes on when somebody has heard that. */
export function sayProgress(words: Int32Array): string {
  progress({ percent: 50 });
  const state = Atomics.wait(words, 0, 0, 10_000);
  progress("nearly there");
  return state;
}

/** Notes in `words[i]` as which it was run, counted from 1 in `words[0]`; the text only makes the arguments larger. */
export function stamp(words: Int32Array, i: number, _text: string): void {
  words[i] = Atomics.add(words, 0, 1) + 1;
}

/** Says so of each step but the last, which is its result; a step of nothing is a turn of the event loop. */
export async function walk(...steps: unknown[]): Promise<unknown> {
  const last = steps.pop();
  for (const step of steps) {
    if (step === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    else progress(step);
  }
  return last;
}

/** The same without a turn of the event loop. */
export function run(...steps: unknown[]): unknown {
  const last = steps.pop();
  for (const step of steps) progress(step);
  return last;
}

/** Returns, and then goes on to say so until `words[0]` is no longer 0. */
export function linger(words: Int32Array): void {
  const timer = setInterval(() => {
    progress("late");
    Atomics.add(words, 1, 1);
    Atomics.notify(words, 1);
    if (Atomics.load(words, 0) !== 0) clearInterval(timer);
  }, 1);
}

/** Holds its task, and not the thread, until `words[0]` is no longer 0. */
export async function lastUntil(words: Int32Array): Promise<void> {
  await Atomics.waitAsync(words, 0, 0, 10_000).value;
}

/** A value whose getter ends the task. */
export function sayWhatExits(): string {
  progress({
    get a() {
      return Deno.exit(3);
    },
  });
  return "unreachable";
}

/** Tells in `words[i]` which thread it is on, counted from 1, and holds it until `words[2]` is no longer 0. */
export function holdUntilTold(words: Int32Array, i: number): void {
  Atomics.store(words, i, 1 + Number(self.name.at(-1)));
  // In short waits, as a thread that computes would end: not before the task does.
  while (Atomics.wait(words, 2, 0, 10) === "timed-out");
}

/** The name of the thread. */
export function nameOfThread(): string {
  return self.name;
}

/** The name of the thread, when so many threads have come here. */
export function meet(words: Int32Array, i: number, count: number): string {
  Atomics.store(words, i, 1);
  const isHere = (_: unknown, j: number) => Atomics.load(words, j) === 1;
  while (!Array.from({ length: count }).every(isHere));
  return self.name;
}
