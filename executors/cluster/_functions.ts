/**
 * The functions that jobs may call on a node: which ones it has, how its processes come by them, and whether another
 * node has one that it has not.
 *
 * @module
 */

import type { Redis } from "ioredis";
import { entry } from "../_owner/entry.ts";
import { importModule } from "../_functions/import.ts";
import { taskRef } from "../task_ref.ts";
import type { Address } from "./_address.ts";
import type { TaskData } from "./_jobs.ts";
import { functionChannel } from "./_messages.ts";
import type { Call, Returned } from "./_run_job.ts";

/**
 * For how many milliseconds no node must have a function before its tasks fail: after the server was away, the nodes
 * connect again one after the other. What was seen longer ago than `FORGET_MS` does not count.
 */
const NOBODY_MS = 1_000;
const FORGET_MS = 10_000;

/** What processes call for a module, which they load before. */
export interface ModuleFunctions {
  /** Runs a task. */
  readonly runTask: (call: Call) => Promise<Returned>;
  /** Does nothing else. */
  readonly tryModule: () => void;
}

/** See above. */
export class Functions {
  readonly #address: Address;
  /** The URLs of the modules, by the name that jobs use. */
  readonly #modules: ReadonlyMap<string, string>;
  readonly #exports = new Map<string, ReadonlySet<string>>();
  /** Since when no node has a function, and when this node has looked last; by the function. */
  readonly #nobody = new Map<string, { readonly since: number; seen: number }>();
  /** What processes call, by the URL of a module. */
  readonly #forProcesses: ReadonlyMap<string, ModuleFunctions>;

  constructor(address: Address, modules: ReadonlyMap<string, string>) {
    this.#address = address;
    this.#modules = modules;
    this.#forProcesses = new Map([...modules.values()].map((url) => [url, functionsFor(url)]));
  }

  /** What processes call to run tasks of a module, by its URL. */
  forProcesses(url: string): ModuleFunctions {
    return this.#forProcesses.get(url)!;
  }

  /**
   * Loads the modules, so that their errors are known here.
   *
   * @throws {Error} One cannot be loaded, or exports no functions.
   */
  async load(): Promise<void> {
    for (const [alias, url] of this.#modules) this.#exports.set(alias, await functionsOf(alias, url));
  }

  /** Which functions each module has. */
  toJSON(): { [module: string]: string[] } {
    return Object.fromEntries([...this.#exports].map(([alias, names]) => [alias, [...names]]));
  }

  /** The channels by which other nodes see what this one has: they count who listens. */
  channels(): string[] {
    const { prefix, queue } = this.#address;
    return [...this.#exports].flatMap(([alias, names]) => {
      return Array.from(names, (name) => functionChannel(prefix, queue, alias, name));
    });
  }

  /** The URL of the module that has a task's function. */
  find({ modules, name }: TaskData): string | undefined {
    const alias = modules.find((alias) => this.#exports.get(alias)?.has(name));
    return alias === undefined ? undefined : this.#modules.get(alias);
  }

  /**
   * Whether a task that this node cannot run is to wait for one that can: there is one, or there may have been one a
   * moment ago.
   *
   * @param client A connection of the node's.
   */
  async mayBeElsewhere(client: Redis, { modules, name }: TaskData): Promise<boolean> {
    const { prefix, queue } = this.#address;
    const channels = modules.map((alias) => functionChannel(prefix, queue, alias, name));
    if (channels.length === 0) return false;
    const key = channels.join(" ");
    let counts: unknown[] = [];
    try {
      counts = await client.pubsub("NUMSUB", ...channels);
    } catch {
      // It may not ask.
    }
    if (counts.some((count) => typeof count === "number" && count > 0)) {
      this.#nobody.delete(key);
      return true;
    }
    const now = performance.now();
    for (const [key, { seen }] of this.#nobody) if (now - seen > FORGET_MS) this.#nobody.delete(key);
    const nobody = this.#nobody.get(key) ?? { since: now, seen: now };
    nobody.seen = now;
    this.#nobody.set(key, nobody);
    return now - nobody.since < NOBODY_MS;
  }

  /** Says of a task that no node has its function. */
  describeUnknown(node: string, { modules, name }: TaskData): string {
    const known = [...this.#exports].map(([alias, names]) => `${alias} (${[...names].join(", ")})`).join(", ");
    return `Node ${node} has no function ${name} in ${modules.join(" or ")}, and no other node has it. ` +
      `To fix it, export it from a module that a node loads with --module. This node has: ${known}`;
  }
}

const RUN_JOB = entry(import.meta.resolve("./_run_job.ts"), () => import("./_run_job.ts"));

/**
 * Makes a module for the processes, as a URL. The module of the tasks is written out in it: then that can be loaded
 * with all that it imports, whatever else a process may read. And it is there before a task begins, so the time of the
 * task does not count what it takes to load it.
 */
function functionsFor(url: string): ModuleFunctions {
  const text =
    `import * as tasks from ${JSON.stringify(url)};\nimport { runnerOf } from ${JSON.stringify(RUN_JOB)};\n` +
    "export const runTask = runnerOf(tasks);\nexport const tryModule = () => {};\n";
  const module = `data:application/javascript,${encodeURIComponent(text)}`;
  return { runTask: taskRef(module, "runTask"), tryModule: taskRef(module, "tryModule") };
}

/** The names under which a module exports functions. */
async function functionsOf(alias: string, url: string): Promise<Set<string>> {
  let namespace: { [name: string]: unknown };
  try {
    namespace = await importModule(url);
  } catch (error) {
    throw new Error(`Cannot load the module ${alias} from ${url}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  const names = Object.keys(namespace).filter((name) => typeof namespace[name] === "function");
  if (names.length === 0) throw new Error(`Cannot use the module ${alias}, because it exports no functions: ${url}`);
  return new Set(names);
}
