/**
 * Submits tasks and makes one future of theirs.
 *
 * @module
 */

import { deadlineAfter } from "../../futures/deadline.ts";
import { Future } from "../../futures/future.ts";
import { inspect } from "../../futures/inspect.ts";
import { abortAll } from "../../futures/signals.ts";
import { Invocation, type Rule } from "./_invocation.ts";
import { readOptions, withExecutor } from "./_options.ts";
import type { InvokeOptions } from "./task.ts";

// deno-lint-ignore no-explicit-any -- any parameters and any result
type AnyFunction = (...args: any[]) => any;

/**
 * Submits all tasks.
 *
 * @param makeRule Makes the rule for so many tasks. Where it returns a future, that is the outcome, and nothing is
 * submitted.
 * @throws {TypeError} The tasks or the options are of the wrong type; then nothing was submitted.
 * @throws What `submit` throws. Those that were submitted before are aborted then.
 */
export function invoke(
  call: string,
  tasks: Iterable<unknown>,
  options: InvokeOptions,
  makeRule: (count: number) => Rule | Future<unknown>,
): Future<unknown> {
  const { executor, timeout } = readOptions(call, options, ["executor", "timeout"]);
  const deadline = deadlineAfter(timeout);
  const calls = readTasks(call, tasks);
  const rule = makeRule(calls.length);
  if (rule instanceof Future) return rule;
  const futures: Future<unknown>[] = [];
  try {
    const [[first, ...its], ...others] = calls;
    const chosen = withExecutor(executor, (executor) => {
      futures.push(executor.submit(first, ...its));
      return executor;
    });
    for (const [fn, ...args] of others) futures.push(chosen.submit(fn, ...args));
  } catch (error) {
    abortAll(futures, error);
    throw error;
  }
  return new Invocation(futures, rule, timeout, deadline).future;
}

/** @throws {TypeError} They are no tasks. */
function readTasks(call: string, tasks: Iterable<unknown>): [AnyFunction, ...unknown[]][] {
  if (typeof tasks?.[Symbol.iterator] !== "function") {
    throw new TypeError(`The tasks of ${call}() must be iterable: ${inspect(tasks)}`);
  }
  return Array.from(tasks, (task, place) => {
    const [fn, ...args] = Array.isArray(task) ? task : [task];
    if (typeof fn !== "function") {
      throw new TypeError(
        `Each task of ${call}() must be a function, or an array of a function and its arguments: ` +
          `tasks[${place}] is ${inspect(task)}`,
      );
    }
    return [fn, ...args];
  });
}
