/**
 * What a process of a node runs for each task.
 *
 * @module
 */

import { type ChunkOutcome, decodeArguments, decodeItems, encodeValue, type Items } from "../_values/codec.ts";
import { encodeOutcome } from "../_values/outcome.ts";
import { memoryOf } from "../_values/signals.ts";
import { runAs } from "../_runner/runner.ts";
import { type CurrentJob, currentTask } from "../current_task.ts";
import { fromJobValue, type JobValue, toJobValue } from "./_job_value.ts";
import type { TaskData } from "./_jobs.ts";
import { withRemote } from "./remote.ts";

/** What a process of a node is told of a task. */
export interface Call {
  readonly name: string;
  /** What the caller has named it. */
  readonly label: string | undefined;
  readonly how: TaskData["how"];
  readonly args: JobValue;
  /** The signals among the arguments. */
  readonly signals: readonly AbortSignal[];
  readonly job: CurrentJob;
}

/** What a task has returned, and how long it took, in milliseconds. */
export type Returned = [value: JobValue, ms: number];

/** The module of a task: it was loaded before, which does not count as a part of the task's time. */
type Namespace = { readonly [name: string]: unknown };

/** What runs the tasks of a module. Made here, so that it has no frame but this library's in stacks of errors. */
export function runnerOf(module: Namespace): (call: Call) => Promise<Returned> {
  return (call) => runTask(call, module);
}

/** Calls a function of a job. */
async function runTask(call: Call, module: Namespace): Promise<Returned> {
  const { name, label, how, args, signals, job } = call;
  const fn = module[name] as (...args: unknown[]) => unknown;
  runAs({ name: label ?? (fn.name || name), worker: job.node, attempt: job.attempt, job });
  const encoded = fromJobValue(args);
  // A signal that was made of the same memory looks at it when it is asked, as the one that has come does.
  if (signals.length > 0) encoded.shared = signals.map(memoryOf);
  const start = performance.now();
  if (how === "call") {
    let value: unknown;
    try {
      value = await fn(...listOf(decodeArguments(encoded)));
    } catch (error) {
      throw withRemote(error, job);
    }
    const ms = performance.now() - start;
    return [toJobValue(encodeValue(value, { root: "result", sameProcess: false })), ms];
  }
  const { length, get } = decodeItems(encoded);
  const calls: Items = { length, get: how === "column" ? (i) => [get(i)] : (i) => listOf(get(i)) };
  const outcome = await runAll(fn, calls, job);
  const ms = performance.now() - start;
  return [toJobValue(encodeOutcome(outcome, false)), ms];
}

/** A list of arguments. It may come from anybody who can write to the server, and a text could be spread, too. */
function listOf(values: unknown): unknown[] {
  if (Array.isArray(values)) return values;
  if (values instanceof Float64Array) return Array.from(values);
  throw new TypeError(
    `Cannot call a function with arguments that are not a list: ${Deno.inspect(values).slice(0, 200)}`,
  );
}

/** The results up to the first call that fails, or that is not to begin any more, and its error. */
async function runAll(
  fn: (...args: unknown[]) => unknown,
  calls: Items,
  job: CurrentJob,
): Promise<ChunkOutcome> {
  const { signal } = currentTask()!;
  const results: unknown[] = [];
  for (let i = 0; i < calls.length; i++) {
    if (signal.aborted) return [results, signal.reason];
    // Outside of `try`: if it is no list, the job is wrong, and no call has failed.
    const args = calls.get(i) as unknown[];
    try {
      results.push(await fn(...args));
    } catch (error) {
      return [results, withRemote(error, job)];
    }
  }
  return [results];
}
