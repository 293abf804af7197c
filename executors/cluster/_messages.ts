/**
 * What executors and nodes say to each other besides jobs and results, over channels of the server. Nothing depends on
 * it: an executor that hears nothing asks the server.
 *
 * @module
 */

import { fromJobValue, type JobValue } from "./_job_value.ts";
import type { JobResult } from "./_jobs.ts";

/** What an executor says to all nodes of a queue. */
export type ControlMessage =
  /** Recalls a task of a job, by its place: the node that has it gives it back, or says that it has begun. */
  | { readonly what: "recall"; readonly job: string; readonly task: number }
  /** A task of a job is to end: by its signal, and after so many milliseconds with its process. */
  | { readonly what: "abort"; readonly job: string; readonly task: number; readonly grace?: number }
  /** A signal among the arguments of its tasks was aborted, with the text of the reason: see `_signals.ts`. */
  | { readonly what: "signal"; readonly executor: string; readonly signal: number; readonly reason: string };

/** What a node says to the executor of a job. */
export type NodeMessage =
  /** A task runs: of those that take a while, and when its executor wants to recall it. */
  | { readonly what: "begun"; readonly job: string; readonly task: number }
  /** A task has not begun, and comes back. */
  | { readonly what: "recalled"; readonly job: string; readonly task: number }
  /** A task that runs reports its progress. */
  | { readonly what: "progress"; readonly job: string; readonly task: number; readonly value: JobValue }
  /** Some tasks of a job have ended while others go on, and the server has their outcomes. */
  | { readonly what: "outcomes"; readonly job: string }
  /** A job has ended; with its result if that is not large. It may come before the server has the result. */
  | { readonly what: "ended"; readonly job: string; readonly result?: JobResult };

/** How many characters of a result a message may have: the server cuts off who is slow to read many megabytes. */
export const MAX_MESSAGE_LENGTH = 16_384;

/** Reads what a node, or whoever can write to the channel, says; `undefined` where it is nothing that a node says. */
export function readNodeMessage(text: string): NodeMessage | undefined {
  const message = parse(text);
  if (typeof message.job !== "string") return undefined;
  switch (message.what) {
    case "ended":
    case "outcomes":
      return message as unknown as NodeMessage;
    case "begun":
    case "recalled":
      return isPlace(message.task) ? message as unknown as NodeMessage : undefined;
    case "progress":
      return isPlace(message.task) && isJobValue(message.value) ? message as unknown as NodeMessage : undefined;
    default:
      return undefined;
  }
}

/**
 * Reads what an executor, or whoever can write to the channel, says; `undefined` where it is nothing that an executor
 * says.
 */
export function readControl(text: string): ControlMessage | undefined {
  const control = parse(text);
  return isControl(control) ? control as unknown as ControlMessage : undefined;
}

function isControl({ what, job, task, grace, executor, signal, reason }: { [name: string]: unknown }): boolean {
  switch (what) {
    case "recall":
      return typeof job === "string" && isPlace(task);
    case "abort":
      return typeof job === "string" && isPlace(task) && (grace === undefined || typeof grace === "number");
    case "signal":
      return typeof executor === "string" && isPlace(signal) && typeof reason === "string";
    default:
      return false;
  }
}

function parse(text: string): { readonly [name: string]: unknown } {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

function isPlace(task: unknown): boolean {
  return Number.isSafeInteger(task) && (task as number) >= 0;
}

function isJobValue(value: unknown): boolean {
  try {
    fromJobValue(value);
    return true;
  } catch {
    return false;
  }
}

/** The channel on which nodes listen. */
export function controlChannel(prefix: string, queue: string): string {
  return `${prefix}:${queue}:control`;
}

/** The channel on which an executor listens. */
export function executorChannel(prefix: string, queue: string, executor: string): string {
  return `${prefix}:${queue}:executor:${executor}`;
}

/** The channel on which nodes listen that have a function: not for what is said there, but to be counted. */
export function functionChannel(prefix: string, queue: string, module: string, name: string): string {
  return `${prefix}:${queue}:function:${module}.${name}`;
}
