/** How the deaths of processes are told. */
import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { BrokenExecutor, BrokenProcessPool } from "@concurrent/futures";

/** How a process ends. */
export interface End {
  exitCode: number | RegExp;
  signal: string | null;
  /** What the message says besides. */
  says?: RegExp;
}

/** Checks the error of a process's death, which is told in fields and in words. */
export function assertDeath(error: unknown, { exitCode, signal, says }: End, pid?: number): void {
  assertInstanceOf(error, BrokenProcessPool, Deno.inspect(error));
  assertInstanceOf(error, BrokenExecutor);
  assertEquals([error.name, error.signal], ["BrokenProcessPool", signal], error.message);
  assertMatch(String(error.exitCode), exitCode instanceof RegExp ? exitCode : RegExp(`^${exitCode}$`), error.message);
  if (pid === undefined) assert(error.pid! > 1);
  else assertEquals(error.pid, pid, error.message);
  assertMatch(error.message, RegExp(`\\b${error.pid}\\b`));
  assertMatch(error.message, signal === null ? RegExp(`exit code ${error.exitCode}\\b`) : RegExp(`\\b${signal}\\b`));
  if (says !== undefined) assertMatch(error.message, says);
}

/** What a pool does when a process dies. */
export const MODES = ["break", "replace"] as const;

/**
 * Whether the nth row of a table is waited for blocking in a mode, or else awaited: each row is in both ways, one in
 * each mode.
 */
export function isBlocking(row: number, mode: typeof MODES[number]): boolean {
  return (row % 2 === 0) === (mode === "break");
}
