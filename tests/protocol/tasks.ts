/** Tasks for the tests of the worker protocol. Importing this module does nothing. */

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
