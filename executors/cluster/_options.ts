/**
 * Checks of the options of a `ClusterExecutor`.
 *
 * @module
 */

import { checkBoolean, checkCount } from "../../futures/check.ts";
import { inspect, typeName } from "../../futures/inspect.ts";
import { type Address, isServer, shown } from "./_address.ts";
import type { JobSettings } from "./_cluster_broker.ts";
import type { Backoff, ClusterExecutorOptions } from "./cluster_executor.ts";

/** What the options come to. */
export interface CheckedOptions {
  readonly address: Address;
  readonly settings: JobSettings;
  /** The names of modules, by URL, where they are not those of the files. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly unreachableAfter: number;
  readonly maxQueued: number | undefined;
  readonly submittedAt: boolean;
}

/**
 * Checks the options, in their order, and fills in what is not given.
 *
 * @throws {TypeError} An option is of the wrong type.
 * @throws {RangeError} An option is a number, or a name, that it may not be.
 */
export function checkOptions(options: ClusterExecutorOptions): CheckedOptions {
  if (typeof options !== "object" || options === null) {
    // Not its value: a text may be a URL with a password.
    throw new TypeError(
      'The argument must be an object of options, as in { redis: "redis://host:6379" }: ' +
        `a value of type ${typeName(options)}`,
    );
  }
  const {
    redis = "redis://127.0.0.1:6379",
    tls,
    queue = "futures",
    prefix = "bull",
    modules = {},
    attempts = 1,
    backoff,
    priority,
    keepResults = 600_000,
    unreachableAfter = 60_000,
    maxQueued,
    submittedAt = false,
  } = options;
  checkName("queue", queue);
  checkName("prefix", prefix);
  checkNumber("attempts", attempts, 1);
  checkNumber("keepResults", keepResults, 1_000);
  checkNumber("unreachableAfter", unreachableAfter, 1);
  if (maxQueued !== undefined) checkCount("maxQueued", maxQueued);
  checkBoolean("submittedAt", submittedAt);
  if (priority !== undefined) checkNumber("priority", priority, 1, 2_097_151);
  if (typeof backoff === "object" && backoff !== null) checkBackoff(backoff);
  else if (backoff !== undefined) checkNumber("backoff", backoff, 0);
  const settings: JobSettings = { attempts, backoff, priority, keepResults };
  const aliases = new Map(Object.entries(modules).map(([name, url]) => [urlOf(url), name]));
  const address = { redis: checkServer(redis), tls, queue, prefix };
  return { address, settings, aliases, unreachableAfter, maxQueued, submittedAt };
}

function checkBackoff({ type, delay, jitter = 0 }: Backoff): void {
  if (type !== "fixed" && type !== "exponential") {
    throw new RangeError(`The option backoff.type must be "fixed" or "exponential": ${inspect(type)}`);
  }
  checkNumber("backoff.delay", delay, 0);
  if (typeof jitter !== "number" || !(jitter >= 0 && jitter <= 1)) {
    throw new RangeError(`The option backoff.jitter must be a number from 0 to 1: ${inspect(jitter)}`);
  }
}

function checkServer(redis: unknown): string {
  const isText = typeof redis === "string" || redis instanceof URL;
  if (isText && isServer(String(redis))) return String(redis);
  const given = isText ? inspect(shown(String(redis))) : `a value of type ${typeName(redis)}`;
  throw new TypeError(`The option redis must be a URL as redis://host:port or rediss://host:port: ${given}`);
}

/** Checks what becomes a part of keys, which the engine separates by colons. */
function checkName(option: string, name: unknown): void {
  if (typeof name === "string" && name !== "" && !name.includes(":")) return;
  throw new TypeError(`The option ${option} must be a string that is not empty and has no colon: ${inspect(name)}`);
}

function checkNumber(option: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): void {
  if (typeof value !== "number") throw new TypeError(`The option ${option} must be a number: ${inspect(value)}`);
  if (Number.isInteger(value) && value >= min && value <= max) return;
  const limits = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new RangeError(`The option ${option} must be an integer ${limits}: ${value}`);
}

/** The URL of a module as a program gives it: a URL, or a path from the working directory on. */
function urlOf(module: string | URL): string {
  if (module instanceof URL || URL.canParse(module)) return String(module);
  return new URL(module, `file://${Deno.cwd()}/`).href;
}
