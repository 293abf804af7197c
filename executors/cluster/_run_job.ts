/**
 * What a process of a node runs for each job.
 *
 * @module
 */

import { decodeArguments, decodeColumn, encodeValue } from "../_codec.ts";
import { runAs } from "./job.ts";
import { fromPayload, type JobData, type Payload, toPayload } from "./_jobs.ts";

/** What a node says to its process of a job. */
export interface Call {
  /** The URL of the function's module on this node, and the function's name there. */
  readonly module: string;
  readonly name: string;
  readonly how: JobData["how"];
  readonly payload: Payload;
  readonly job: { readonly id: string; readonly queue: string; readonly node: string; readonly attempt: number };
}

/** Calls a function of a job. */
export async function runJob({ module, name, how, payload, job }: Call): Promise<Payload> {
  const fn = (await import(module))[name];
  const block = fromPayload(payload);
  const outcome = await runAs(job, async () => {
    if (how === "call") return await fn(...decodeArguments(block));
    const calls = how === "column" ? Array.from(decodeColumn(block), (item) => [item]) : decodeArguments(block);
    return await runAll(fn, calls as unknown[][]);
  });
  return toPayload(encodeValue(outcome, { root: "result", sameProcess: false }));
}

/** The results up to the first call that fails, and its error. */
async function runAll(fn: (...args: unknown[]) => unknown, calls: unknown[][]): Promise<[unknown[], ...unknown[]]> {
  const results: unknown[] = [];
  for (const args of calls) {
    try {
      results.push(await fn(...args));
    } catch (error) {
      return [results, error];
    }
  }
  return [results];
}
