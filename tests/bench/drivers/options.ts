/**
 * The rows about what it costs to watch a pool, to bound it, and to use the options of tasks.
 *
 * @module
 */

import { type Future, ProcessPoolExecutor, ThreadPoolExecutor } from "@concurrent/futures";
import { Tally } from "../../../executors/_owner/_tally.ts";
import { heed, report } from "./option_tasks.ts";
import { noop } from "./tasks.mjs";

type Kind = "threads" | "processes";
type How = "stats" | "trace" | "maxQueued" | "measured" | "timeout" | "signal" | "progress";
type Pool = ThreadPoolExecutor | ProcessPoolExecutor;

interface Params {
  kind: Kind;
  how: How;
  /** How many tasks a burst has. */
  count: number;
  /** How many bursts there are of each kind. */
  rounds: number;
}

/** A timeout in milliseconds that no task reaches. */
const LONG = 60_000;

function open(kind: Kind, maxQueued?: number): Pool {
  const options = { maxWorkers: 2, maxQueued };
  return kind === "threads" ? new ThreadPoolExecutor(options) : new ProcessPoolExecutor(options);
}

/**
 * Makes pools measure tasks, or not, from burst to burst. The method is replaced once, so that both kinds of bursts run
 * the same code.
 */
function switchOfMeasuring(): (isOn: boolean) => void {
  const { isNextMeasured } = Tally.prototype;
  let isOn = true;
  Tally.prototype.isNextMeasured = function (items) {
    return isOn && isNextMeasured.call(this, items);
  };
  return (on) => isOn = on;
}

/** What submits a task in the way that is measured. */
function submitterOf(how: How, pool: Pool): () => Future<unknown> {
  switch (how) {
    case "timeout": {
      const view = pool.with({ timeout: LONG });
      return () => view.submit(noop);
    }
    case "signal": {
      const view = pool.with({ signal: new AbortController().signal });
      return () => view.submit(heed);
    }
    case "progress": {
      const hear = () => {};
      return () => {
        const future = pool.submit(report);
        future.addProgressCallback(hear);
        return future;
      };
    }
    default:
      return () => pool.submit(noop);
  }
}

/**
 * How many times as long a task takes in one way as a plain no-op: the best of short bursts that take turns. The detail
 * holds microseconds a task, and what a call of `stats()` takes.
 */
async function option({ kind, how, count, rounds }: Params) {
  await using plain = open(kind);
  await using other = open(kind, how === "maxQueued" ? count : undefined);
  const measureTasks = how === "measured" ? switchOfMeasuring() : () => {};
  const ways = [["plain", plain, submitterOf("stats", plain)], [how, other, submitterOf(how, other)]] as const;
  const best: Record<string, number> = { plain: Infinity, [how]: Infinity };
  let bestCall = Infinity;
  for (let i = 0; i < rounds; i++) {
    for (const [name, pool, submit] of i % 2 ? ways.toReversed() : ways) {
      using _trace = name === "trace" ? pool.trace() : undefined;
      measureTasks(name === "measured");
      const start = performance.now();
      const futures = Array.from({ length: count }, submit);
      if (name === "stats") {
        const asked = performance.now();
        pool.stats();
        bestCall = Math.min(bestCall, performance.now() - asked);
      }
      for (const future of futures) future.result();
      best[name] = Math.min(best[name], (performance.now() - start) * 1_000 / count);
      // What listens is called by the event loop.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  if (how === "stats") best["a call"] = bestCall * 1_000;
  return { value: best[how] / best.plain, detail: best };
}

// deno-lint-ignore no-explicit-any -- the parameters come from rows.ts, as JSON
export const optionWorks: Record<string, (params: any) => Promise<() => ReturnType<typeof option>>> = {
  option: (params) => Promise.resolve(() => option(params)),
};
