/**
 * What must be true of each task of a storm, whatever has stopped it, and of its pool when that has ended.
 */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import {
  BrokenProcessPool,
  CancelledError,
  type Future,
  type PoolStats,
  type TaskOptions,
  TimeoutError,
} from "@concurrent/futures";
import type { Ledger } from "../_helpers.ts";
import { isAlive } from "../_start.ts";
import { type Deed, type LaterDeed, type Proof, thrownBy } from "./_stopped_tasks.ts";
import { hash } from "./_tasks.ts";

/** These end only when they are told to, if at all. */
export const ENDLESS: ReadonlySet<string> = new Set([
  "heeds",
  "returns late",
  "hears",
  "computes on",
  "awaits for ever",
]);
/** These throw something by themselves. */
const THROWING: ReadonlySet<string> = new Set(["throws", "throws later"]);

/** A task, and what was done to it. */
export interface Trial {
  n: number;
  deed: Deed | LaterDeed;
  options: TaskOptions;
  /** Where it is an item of a map, which has no future. */
  future?: Future<Proof>;
  outcome?: PromiseSettledResult<Proof>;
  /** What `abort()` has said that it is stopped by. */
  aborted?: { reason: unknown };
  isCancelled: boolean;
  /** How often its callbacks were called. */
  calls: number;
}

/** A controller whose signal counts who listens. */
export class CountedController extends AbortController {
  listeners = 0;

  constructor() {
    super();
    const { signal } = this;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      this.listeners++;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      this.listeners--;
      removeEventListener.apply(signal, args);
    };
  }
}

/** How a pool ends. */
export type Ending = "awaits all" | "shuts down at once" | "cancels" | "kills";

/** What came of one pool, which has ended. */
interface Ended {
  ending: Ending;
  trials: readonly Trial[];
  ledger: Ledger;
  controllers: readonly CountedController[];
  stats: PoolStats;
  /** Whether a task that computes on ends by itself: a thread that does may come to the end before it is stopped. */
  mayComputeToEnd: boolean;
}

/** Fails unless all is as it must be. */
export function checkEnded(ended: Ended): void {
  const { ledger, trials, controllers, stats } = ended;
  const begun = new Map<number, number>();
  const pids = new Set<number>();
  for (const line of ledger.lines()) {
    const [n, pid] = line.split(" ").map(Number);
    begun.set(n, (begun.get(n) ?? 0) + 1);
    pids.add(pid);
  }
  pids.delete(Deno.pid);
  const counts = { done: 0, failed: 0, cancelled: 0 };
  for (const trial of trials) counts[checkTrial(trial, begun.get(trial.n) ?? 0, ended)]++;
  const { done, failed, cancelled, running, queued, workers } = stats;
  assertEquals({ done, failed, cancelled, running, queued, workers }, {
    ...counts,
    ...{ running: 0, queued: 0, workers: 0 },
  });
  assertEquals([...pids].filter(isAlive), [], "processes that outlive their pool");
  const listening = controllers.filter(({ listeners }) => listeners !== 0);
  assertEquals(listening.map(({ listeners }) => listeners), [], "listeners that stay on signals");
}

/** Fails unless a task has ended once, in a way that it may; returns which one. */
function checkTrial(trial: Trial, begun: number, { ending, mayComputeToEnd }: Ended): "done" | "failed" | "cancelled" {
  const what = () => `${describe(trial)}, which has begun ${begun} times, in a pool that ${ending}`;
  assertEquals(trial.calls, 1, `callbacks of ${what()}`);
  assert(begun <= 1, what());
  const { future, aborted, options: { signal, timeout }, deed, n } = trial;
  if (future?.cancelled() || isCancelled(trial.outcome)) {
    const isByPool = ending === "cancels" || ending === "kills";
    assert(
      trial.isCancelled || aborted !== undefined || signal?.aborted || isByPool,
      `cancelled by nobody: ${what()}`,
    );
    assertEquals(begun, 0, `cancelled, and has run: ${what()}`);
    return "cancelled";
  }
  assert(!trial.isCancelled, `cancel() said that it is cancelled: ${what()}`);
  const outcome = trial.outcome ?? outcomeOf(future!);
  if (outcome.status === "fulfilled") {
    assertEquals(outcome.value, { n, value: hash(n) }, what());
    assertEquals(begun, 1, what());
    assert(aborted === undefined, `abort() said that it is stopped: ${what()}`);
    assert((mayComputeToEnd && deed === "computes on") || !ENDLESS.has(deed), `has returned: ${what()}`);
    return "done";
  }
  const { reason } = outcome;
  if (aborted !== undefined) assertStrictEquals(reason, aborted.reason, what());
  else if (signal?.aborted && reason === signal.reason) return "failed";
  else if (reason instanceof TimeoutError) {
    // Its function was called, but may not have come as far as the ledger.
    assert(timeout !== undefined, `has no timeout: ${what()}`);
  } else if (THROWING.has(deed) && reason?.message === thrownBy(n).message) {
    assertInstanceOf(reason, RangeError);
    assertEquals(begun, 1, what());
  } else assert(ending === "kills" && reason instanceof BrokenProcessPool, `fails by nobody: ${what()}`);
  return "failed";
}

function isCancelled(outcome: PromiseSettledResult<unknown> | undefined): boolean {
  return outcome?.status === "rejected" && outcome.reason instanceof CancelledError;
}

function outcomeOf(future: Future<Proof>): PromiseSettledResult<Proof> {
  const reason = future.exception(0);
  return reason === null ? { status: "fulfilled", value: future.result(0) } : { status: "rejected", reason };
}

/** A task, what was done to it, and what came of it. */
export function describe(
  { n, deed, options: { signal, ...rest }, future, outcome, aborted, isCancelled }: Trial,
): string {
  return `task ${n} ${Deno.inspect({ deed, ...rest, isAborted: signal?.aborted, aborted, isCancelled, outcome })} ` +
    `${future} ${future?.done() && !future.cancelled() ? Deno.inspect(future.exception(0)) : ""}`;
}
