/** Tasks for the tests of the worker protocol. Importing this module does nothing. */
import { progress } from "../../executors/_runner/runner.ts";

/** Lets its worker reply, and then holds it before it comes to rest, until the word is no longer 0. */
export function holdAfterReply(words: Int32Array): void {
  queueMicrotask(() => Atomics.wait(words, 0, 0, 10_000));
  // So long that the worker's turn is over: then it yields to its event loop before it looks for the next task.
  const end = performance.now() + 12;
  while (performance.now() < end);
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
  steps.forEach(progress);
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

/** Holds its thread until `words[0]` is no longer 0. */
export function hold(words: Int32Array): void {
  Atomics.wait(words, 0, 0, 10_000);
}

/** Holds its task, and not the thread, as long. */
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
