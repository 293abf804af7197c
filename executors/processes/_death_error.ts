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
    killedFor?: "abort" | "timeout" | "silence";
    /** How many in a row died while they were starting. */
    failedStarts: number;
    /** The slot of the task that it was running. */
    slot?: number;
  }
  | { problem: string };

const WHEN = {
  start: "while it was starting",
  idle: "while it was idle",
  task: "while it was running a task",
};

/**
 * An error for a future that the death of a process made fail.
 *
 * @param task The name of the task that the process was running.
 */
export function deathError(report: unknown, task?: string): BrokenProcessPool {
  const death = report as DeathReport;
  if ("problem" in death) return new BrokenProcessPool(death.problem);
  const { pid, exitCode, signal, stderr, fault, isRobbed, during, sent, killedFor, failedStarts } = death;
  const how = signal === null ? `terminated abruptly with exit code ${exitCode}` : `was killed by signal ${signal}`;
  const when = during === "task" && task !== undefined ? `while it was running task ${task}` : WHEN[during];
  const sentences = [`Process ${pid} ${how} ${when}`];
  if (isRobbed) {
    sentences.push(
      "Somebody else read a part of what the pool sent to it. " +
        "To fix it, read the standard input neither in a task nor in a program that a task starts",
    );
  } else if (fault !== undefined) {
    sentences.push(
      `The pool killed it, because it sent what no process of a pool sends (${fault}). ` +
        "Likely cause: a task changed built-in objects that its process needs",
    );
  } else if (killedFor === "silence") {
    sentences.push(
      "The pool killed it, because it did not give back the tasks that waited behind this one. " +
        "Likely causes: somebody stopped it, or the task changed built-in objects that its process needs",
    );
  } else if (killedFor === "abort" || killedFor === "timeout") {
    sentences.push("The pool killed it to stop another task, and it did not say in time which tasks had begun");
  } else if (sent === undefined) sentences.push(likelyCause(death));
  else {
    const way = sent === "SIGKILL" ? "killWorkers()" : "terminateWorkers()";
    sentences.push(
      `${way} sent ${sent}${sent === signal ? "" : ", and SIGKILL because the process did not end"}`,
    );
  }
  if (failedStarts > 1) {
    sentences.push(`The last ${failedStarts} processes died while they were starting, so the pool starts no more`);
  }
  if (stderr.trim() !== "") sentences.push(`The end of what it wrote to stderr:\n${stderr.trim()}`);
  return new BrokenProcessPool(sentences.join(". "), { pid, exitCode, signal });
}

function likelyCause({ signal, stderr, during }: Exclude<DeathReport, { problem: string }>): string {
  if (/out of memory|heap limit/i.test(stderr)) {
    return "It ran out of memory. To fix it, give each task less data, " +
      "or set DENO_V8_FLAGS=--max-old-space-size=<MiB> with the option env";
  }
  switch (signal) {
    case "SIGKILL":
      return "Likely causes: the system ran out of memory and killed it, or somebody killed it. " +
        "To fix it, give each task less data, or set a lower maxWorkers";
    case "SIGTERM":
    case "SIGINT":
    case "SIGHUP":
      return "Likely causes: somebody sent the signal, or the system is shutting down";
    case "SIGSEGV":
    case "SIGBUS":
    case "SIGILL":
    case "SIGFPE":
    case "SIGABRT":
    case "SIGTRAP":
      return "Likely causes: native code that the task uses (FFI, a Node addon) crashed, or Deno itself crashed";
  }
  if (during === "start") {
    return "Likely causes: it cannot load the modules of this library, Deno refuses one of its arguments, " +
      "or the option deno names another program";
  }
  return "Likely causes: code ended the process without Deno.exit() (FFI, a Node addon), " +
    "or a task changed built-in objects that its process needs";
}
