/** Tasks of the scenarios. Importing this module does nothing. */

/** A number that tells from which other one it was made, so that no result can be taken for another task's. */
export function hash(n: number): number {
  return Math.imul(n + 1, 0x9e3779b1) >>> 0;
}

/** Adds one line to a ledger when it begins and one when it ends, each with its number and its process's. */
export function work(ledger: string, n: number): { value: number; pid: number } {
  return workLonger(ledger, n, 0);
}

/**
 * As {@linkcode work}, and computes for so many milliseconds. A function of its own, so that the pool learns that the
 * other one is quick.
 */
export function workLonger(ledger: string, n: number, ms: number): { value: number; pid: number } {
  note(ledger, n, "begins");
  const end = performance.now() + ms;
  while (performance.now() < end);
  const value = hash(n);
  note(ledger, n, "ends");
  return { value, pid: Deno.pid };
}

/** Says that it begins, and kills its process. */
export function killOwnProcess(ledger: string, n: number): never {
  note(ledger, n, "begins");
  for (;;) Deno.kill(Deno.pid, "SIGKILL");
}

/** Says that it begins, says so once more in `held`, and blocks its process until somebody kills it. */
export function waitToBeKilled(ledger: string, n: number, held: string): never {
  note(ledger, n, "begins");
  Deno.writeTextFileSync(held, `${Deno.pid}\n`, { append: true });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
  throw new Error("Nobody has killed this process");
}

function note(ledger: string, n: number, what: "begins" | "ends"): void {
  Deno.writeTextFileSync(ledger, `${n} ${Deno.pid} ${what}\n`, { append: true });
}
