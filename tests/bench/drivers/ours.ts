/**
 * This library as a contestant.
 *
 * @module
 */

import { type Future, ProcessPoolExecutor, ThreadPoolExecutor, transfer } from "@concurrent/futures";
import { growthWorks } from "./growth.ts";
import { optionWorks } from "./options.ts";
import { serve } from "./serve.mjs";
import { syncWorks } from "./sync.ts";
import * as tasks from "./tasks.mjs";
import type { Contestant, Pool } from "./works.mjs";

type Group = "threads" | "processes";
type Task = Exclude<keyof typeof tasks, "someBytes">;

export function moveEcho(value: ArrayBuffer | Uint8Array<ArrayBuffer>) {
  return transfer(value, [value instanceof Uint8Array ? value.buffer : value]);
}

function open(group: Group, workers: number): Pool {
  const pool = group === "threads" ? new ThreadPoolExecutor(workers) : new ProcessPoolExecutor(workers);
  const run = (task: string, argument?: unknown): Future<unknown> => {
    if (task === "move") return pool.submit(moveEcho, moveEcho(argument as ArrayBuffer));
    if (argument === undefined) return pool.submit(tasks[task as "noop"]);
    return pool.submit(tasks[task as Task] as (value: unknown) => unknown, argument);
  };
  return {
    run,
    moves: group === "threads",
    block: (task, argument) => run(task, argument).result(),
    runAll(task, count) {
      const fn = tasks[task as "noop"];
      const futures: Future<unknown>[] = [];
      for (let i = 0; i < count; i++) futures.push(pool.submit(fn));
      return futures.map((future) => future.result());
    },
    map: (task, items) => [...pool.map(tasks[task as "echo"], items)],
    close: () => pool.shutdown(),
  };
}

if (import.meta.main) {
  await serve({ open, works: { ...growthWorks, ...optionWorks, ...syncWorks } } satisfies Contestant);
}
