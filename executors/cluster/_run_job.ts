/**
 * What a process of a node runs for each task.
 *
 * @module
 */

import { type ChunkOutcome, decodeArguments, decodeItems, encodeValue, type Items } from "../_values/codec.ts";
import { encodeOutcome } from "../_values/outcome.ts";
import { leaveRun, progress } from "../_runner/runner.ts";
import { type CurrentJob, runAs, withRemote } from "./job.ts";
import { fromJobValue, type JobValue, toJobValue } from "./_job_value.ts";
import type { TaskData } from "./_jobs.ts";

/** What a process of a node is told of a task. */
export interface Call {
  /** The URL of the function's module on this node. */
  readonly module: string;
  readonly name: string;
  readonly how: TaskData["how"];
  readonly args: JobValue;
  readonly job: CurrentJob;
}

/** What a task has returned, and how long it took, in milliseconds. */
export type Returned = [value: JobValue, ms: number];

type Namespace = { [name: string]: unknown };

/** How the modules of tasks are imported, by their URLs: see `_functions.ts`. */
export type Imports = { readonly [url: string]: () => Promise<Namespace> };

/** What was imported: to import it again would take some ten microseconds. */
const modules = new Map<string, Namespace>();

async function load(url: string, imports: Imports): Promise<Namespace> {
  const known = modules.get(url);
  if (known !== undefined) return known;
  const namespace = await imports[url]();
  leaveRun();
  modules.set(url, namespace);
  return namespace;
}

/** Imports a module of tasks; does nothing where it is none. */
export async function tryModule(url: string, imports: Imports): Promise<void> {
  if (Object.hasOwn(imports, url)) await load(url, imports);
}

/** Calls a function of a job. */
export async function runTask({ module, name, how, args, job }: Call, imports: Imports): Promise<Returned> {
  const fn = (await load(module, imports))[name] as (...args: unknown[]) => unknown;
  const encoded = fromJobValue(args);
  const start = performance.now();
  if (how === "call") {
    const value = await runAs(job, progress, async () => {
      try {
        return await fn(...listOf(decodeArguments(encoded)));
      } catch (error) {
        throw withRemote(error, job);
      }
    });
    const ms = performance.now() - start;
    return [toJobValue(encodeValue(value, { root: "result", sameProcess: false })), ms];
  }
  const { length, get } = decodeItems(encoded);
  const calls: Items = { length, get: how === "column" ? (i) => [get(i)] : (i) => listOf(get(i)) };
  const outcome = await runAs(job, progress, () => runAll(fn, calls, job));
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

/** The results up to the first call that fails, and its error. */
async function runAll(
  fn: (...args: unknown[]) => unknown,
  calls: Items,
  job: CurrentJob,
): Promise<ChunkOutcome> {
  const results: unknown[] = [];
  for (let i = 0; i < calls.length; i++) {
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
