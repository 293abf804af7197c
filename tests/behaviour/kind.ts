/** What the behaviour suite needs to know of a kind of executor. */
import type { BrokenExecutor, Executor, Future, PoolStats, PoolTrace } from "@concurrent/futures";
import { until } from "../_helpers.ts";

/** The options that every kind of executor has. */
export interface CommonOptions {
  maxWorkers?: number;
  // deno-lint-ignore no-explicit-any
  initializer?: (...args: any[]) => unknown;
  initargs?: unknown[];
  maxQueued?: number;
  idleTimeout?: number;
  submittedAt?: boolean;
}

/** What every executor with a pool has besides. */
export interface Watched {
  ready(): Promise<void>;
  stats(): PoolStats;
  /** Where it knows its workers. */
  trace?(): PoolTrace;
}

/** A kind of executor. */
export interface Kind {
  /** The name of the class, which starts the names of the tests. */
  name: string;
  make(options?: CommonOptions): Executor & Watched;
  /** What it throws when it is broken. */
  // deno-lint-ignore no-explicit-any
  broken: new (...args: any[]) => BrokenExecutor;
  /** The module that exports this as `kind`, for tests that start a program of their own. */
  module: string;
  /**
   * Whether its workers are those of other machines: then it takes only functions that modules export, hears of a task
   * that has begun a moment later, and a worker that breaks is not its own.
   */
  isRemote?: boolean;
  /** How many times the test of memory makes and shuts down a pool. */
  rounds: number;
}

/** Waits until it is seen that tasks have begun, where that takes a moment. */
export async function begun({ isRemote = false }: Kind, ...futures: Future<unknown>[]): Promise<void> {
  if (isRemote) await until(() => futures.every((future) => future.running()), "the tasks are running");
}
