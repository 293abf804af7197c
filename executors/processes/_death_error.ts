/**
 * What a broker reports of a process that died, and the error that futures fail with then.
 *
 * @module
 */

import { BrokenProcessPool } from "../../futures/errors.ts";
import type { ChildExit } from "./_child_process.ts";

/** How a child died, and what it was doing, or why it could not be started: a broker tells its owner, as JSON. */
export type DeathReport =
  | ChildExit & {
    during: "start" | "idle" | "task";
    /** The signal that the pool itself sent to end it. */
    sent?: Deno.Signal;
    /** Why the pool killed it: to end its task, or because it kept tasks that were recalled. */
    killedFor?: "abort" | "silence";
    /** How many in a row died while they were starting. */
    failedStarts: number;
  }
  | { problem: string };

const WHEN = {
  start: "while it was starting",
  idle: "while it was idle",
  task: "while it was running a task",
};

/** An error for a future that the death of a process made fail. */
export function deathError(report: unknown): BrokenProcessPool {
  const death = report as DeathReport;
  if ("problem" in death) return new BrokenProcessPool(`Process could not be started: ${death.problem}`);
  const { pid, exitCode, signal, stderr, fault, isRobbed, during, sent, killedFor, failedStarts } = death;
  const how = signal === null ? `terminated abruptly with exit code ${exitCode}` : `was killed by signal ${signal}`;
  const sentences = [`Process ${pid} ${how} ${WHEN[during]}`];
  if (isRobbed) {
    sentences.push(
      "A part of what was sent to it was read by somebody else: " +
        "neither a task nor a program that it starts may read the standard input",
    );
  } else if (fault !== undefined) {
    sentences.push(
      `The pool did that, because it said what no process says (${fault}): ` +
        "a task has changed what its process needs to answer",
    );
  } else if (killedFor === "silence") {
    sentences.push(
      "The pool did that, because it gave none of the tasks back that waited behind this one: " +
        "it was stopped, or the task has changed what its process needs to answer",
    );
  } else if (killedFor === "abort") sentences.push("Somebody has aborted the task");
  else if (sent === undefined) sentences.push(likelyCause(death));
  else {
    const way = sent === "SIGKILL" ? "killWorkers()" : "terminateWorkers()";
    sentences.push(
      `${way} has sent ${sent}${sent === signal ? "" : ", and SIGKILL when the process had not ended by that"}`,
    );
  }
  if (failedStarts > 1) {
    sentences.push(`The ${failedStarts} last ones died while they were starting, so no more are started`);
  }
  if (stderr.trim() !== "") sentences.push(`It wrote to stderr, at the end:\n${stderr.trim()}`);
  return new BrokenProcessPool(sentences.join(". "), { pid, exitCode, signal });
}

function likelyCause({ signal, stderr, during }: Exclude<DeathReport, { problem: string }>): string {
  if (/out of memory|heap limit/i.test(stderr)) {
    return "It ran out of memory: " +
      "process less at once, or set DENO_V8_FLAGS=--max-old-space-size=<MiB> by the option env";
  }
  switch (signal) {
    case "SIGKILL":
      return "Likely causes: the system was out of memory and ended it, or somebody did by kill -9";
    case "SIGTERM":
    case "SIGINT":
    case "SIGHUP":
      return "Somebody, or the system as it shuts down, asked it to end";
    case "SIGSEGV":
    case "SIGBUS":
    case "SIGILL":
    case "SIGFPE":
    case "SIGABRT":
    case "SIGTRAP":
      return "Likely causes: native code that the task uses (FFI, a Node addon) crashed, or Deno itself did";
  }
  if (during === "start") {
    return "Likely causes: Deno cannot load the modules of this library there, or refuses an option, " +
      "or the option deno names another program; see what it wrote";
  }
  return "Likely causes: code that ends the process past Deno.exit() (FFI, a Node addon), " +
    "or a task that changed what its process needs to answer";
}
