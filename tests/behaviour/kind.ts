/** What the behaviour suite needs to know of a kind of executor. */
import type { BrokenExecutor, Executor } from "@concurrent/futures";

/** The options that every kind of executor has. */
export interface CommonOptions {
  maxWorkers?: number;
  // deno-lint-ignore no-explicit-any
  initializer?: (...args: any[]) => unknown;
  initargs?: unknown[];
}

/** A kind of executor. */
export interface Kind {
  /** The name of the class, which starts the names of the tests. */
  name: string;
  make(options?: CommonOptions): Executor;
  /** What it throws when it is broken. */
  // deno-lint-ignore no-explicit-any
  broken: new (...args: any[]) => BrokenExecutor;
  /** The module that exports this as `kind`, for tests that start a program of their own. */
  module: string;
  /** How many times the test of memory makes and shuts down a pool. */
  rounds: number;
}
