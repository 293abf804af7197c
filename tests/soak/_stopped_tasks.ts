/** Tasks of the scenarios of stops. Importing this module does nothing. */
import { currentTask } from "@concurrent/futures";
import { hash } from "./_tasks.ts";

/** What a task that does not await anything does when it has said that it begins. */
export type Deed =
  | "returns"
  | "throws"
  | "computes"
  /** Needs more memory, which it does not give back. */
  | "fills"
  /** Loops until its own signal is aborted, and throws the reason. */
  | "heeds"
  /** Loops until its own signal is aborted, and returns all the same. */
  | "returns late"
  /** Loops until a signal among its arguments is aborted, and returns. */
  | "follows"
  /** Computes on, whatever its signal says. */
  | "computes on";

/** What a task does that awaits something. */
export type LaterDeed =
  | "awaits"
  | "throws later"
  /** Waits for the event of its own signal, and throws the reason. */
  | "hears"
  /** Awaits something that never comes. */
  | "awaits for ever";

/** What a task returns: proof that it is its own. */
export interface Proof {
  n: number;
  value: number;
}

/** How long a task may loop that waits for its end, in milliseconds: an error of the test else. */
const LONGEST_MS = 60_000;

const kept: Uint8Array[] = [];
const FILLED_BYTES = 12 << 20;

/** Says in a ledger that it begins, and does something. */
export function act(ledger: string, n: number, deed: Deed, ms: number, signal?: AbortSignal): Proof {
  begin(ledger, n);
  const proof = { n, value: hash(n) };
  const loopUntil = (isOver: () => boolean) => {
    const end = performance.now() + LONGEST_MS;
    while (!isOver()) if (performance.now() > end) throw new Error(`Task ${n} was never stopped`);
  };
  switch (deed) {
    case "returns":
      return proof;
    case "throws":
      throw thrownBy(n);
    case "computes":
    case "computes on": {
      const end = performance.now() + ms;
      while (performance.now() < end);
      return proof;
    }
    case "fills":
      kept.push(new Uint8Array(FILLED_BYTES).fill(1));
      return proof;
    case "heeds": {
      const own = currentTask()!.signal;
      loopUntil(() => own.aborted);
      throw own.reason;
    }
    case "returns late": {
      const own = currentTask()!.signal;
      loopUntil(() => own.aborted);
      return proof;
    }
    case "follows":
      loopUntil(() => signal!.aborted);
      return proof;
  }
}

/** As {@linkcode act}, for a map. */
export function actOnItem(ledger: string, n: number, deed: Deed, ms: number): Proof {
  return act(ledger, n, deed, ms);
}

/** Says in a ledger that it begins, and awaits something. */
export async function actLater(ledger: string, n: number, deed: LaterDeed, ms: number): Promise<Proof> {
  begin(ledger, n);
  switch (deed) {
    case "awaits":
      await new Promise((resolve) => setTimeout(resolve, ms));
      break;
    case "throws later":
      await new Promise((resolve) => setTimeout(resolve, ms));
      throw thrownBy(n);
    case "hears": {
      const { signal } = currentTask()!;
      if (signal.aborted) throw signal.reason;
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      break;
    }
    case "awaits for ever":
      await new Promise(() => {});
  }
  return { n, value: hash(n) };
}

/** What a task throws that does so by itself. */
export function thrownBy(n: number): Error {
  return new RangeError(`Thrown by task ${n}`);
}

function begin(ledger: string, n: number): void {
  Deno.writeTextFileSync(ledger, `${n} ${Deno.pid}\n`, { append: true });
}
