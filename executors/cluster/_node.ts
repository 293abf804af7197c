/**
 * A node of a cluster: takes jobs from the queue and runs them in processes.
 *
 * @module
 */

import { type Job, UnrecoverableError, Worker as JobWorker } from "bullmq";
import type { Redis } from "ioredis";
import { encodeValue } from "../_codec.ts";
import type { Permissions } from "../_permissions.ts";
import { aborted, ProcessPoolExecutor } from "../process_pool_executor.ts";
import { TaskAbortedError } from "./errors.ts";
import { type Address, connect, inspectServer, isRefusal, shown } from "./_connection.ts";
import { checkJobData, type Control, controlChannel, type JobData, type Outcome, toPayload } from "./_jobs.ts";
import { taskRef } from "../task_ref.ts";
import type { Call, runJob } from "./_run_job.ts";

/** What a node is told. */
export interface NodeOptions {
  readonly address: Address;
  /** The URLs of the modules whose exports may be called, by the name that jobs use. */
  readonly modules: ReadonlyMap<string, string>;
  readonly workers: number;
  /** What the processes may do. */
  readonly permissions: Permissions;
  readonly name: string;
}

/** What processes run for each job. */
const RUN_JOB = taskRef<typeof runJob>(import.meta.resolve("./_run_job.ts"), "runJob");

/** How long a lock is valid that is not renewed, and how often nodes look for such ones, in milliseconds: so long a job of a dead node waits. */
const LOCK_MS = 10_000;
const STALLED_MS = 5_000;

/** A task is quick when it takes no longer than this, in milliseconds: then a node takes more jobs than it has processes, so that none waits for the server. */
const QUICK_MS = 5;
const MOST_PER_WORKER = 8;

/** A node. */
export class ClusterNode {
  readonly #options: NodeOptions;
  readonly #pool: ProcessPoolExecutor;
  readonly #exports = new Map<string, ReadonlySet<string>>();
  readonly #client: Redis;
  readonly #listener: Redis;
  #worker: JobWorker | undefined;
  /** What a task takes, in milliseconds, on the average of the last ones. */
  #pace = Infinity;
  /** Ends the process that runs a job. */
  readonly #running = new Map<string, () => void>();

  constructor(options: NodeOptions) {
    this.#options = options;
    const { address, workers, permissions } = options;
    this.#pool = new ProcessPoolExecutor({ maxWorkers: workers, permissions, onWorkerCrash: "replace" });
    this.#client = connect(address);
    this.#listener = connect(address);
  }

  /**
   * Connects, and begins to take jobs.
   *
   * @returns Which functions each module has.
   * @throws {Error} A module cannot be loaded, or the server refuses.
   */
  async start(): Promise<{ [module: string]: string[] }> {
    const { address, modules, workers, name } = this.#options;
    for (const [alias, url] of modules) this.#exports.set(alias, await functionsOf(alias, url));
    await this.#connect();
    for (const warning of await inspectServer(this.#client)) console.error(`${shown(address.redis)}: ${warning}`);
    const worker = this.#worker = new JobWorker(address.queue, (job) => this.#run(job), {
      connection: this.#client,
      prefix: address.prefix,
      concurrency: workers,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_MS,
      maxStalledCount: 1,
      name,
    });
    worker.on("error", (error) => console.error(`${name}: ${error.message}`));
    await worker.waitUntilReady();
    return Object.fromEntries([...this.#exports].map(([alias, names]) => [alias, [...names]]));
  }

  async #connect(): Promise<void> {
    const { address } = this.#options;
    const { prefix, queue } = address;
    const refused = Promise.withResolvers<never>();
    for (const client of [this.#client, this.#listener]) {
      client.on("error", (error: Error) => {
        if (isRefusal(error)) refused.reject(new Error(`${shown(address.redis)} refuses: ${error.message}`));
      });
    }
    const ready = Promise.all([this.#client, this.#listener].map(async (client) => {
      await client.connect().catch(() => {});
      await client.ping();
    }));
    await Promise.race([ready, refused.promise]);
    this.#listener.on("message", (_channel: string, text: string) => this.#hear(text));
    await this.#listener.subscribe(controlChannel(prefix, queue));
  }

  #hear(text: string): void {
    let control: Partial<Control>;
    try {
      control = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof control?.abort === "string") this.#running.get(control.abort)?.();
  }

  async #run(job: Job<JobData, Outcome>): Promise<Outcome> {
    const call = this.#callOf(job);
    const future = this.#pool.submit(RUN_JOB, call);
    let isAborted = false;
    this.#running.set(job.id!, () => {
      isAborted = true;
      if (!future.cancel()) this.#pool[aborted](future);
    });
    const start = performance.now();
    let outcome: Outcome;
    try {
      outcome = { ok: true, payload: await future };
    } catch (error) {
      if (isAborted) error = new TaskAbortedError(`Job ${job.id} was aborted`);
      outcome = {
        ok: false,
        payload: toPayload(encodeValue(this.#annotated(error, call), { root: "error", sameProcess: false })),
      };
    } finally {
      this.#running.delete(job.id!);
      this.#learn(performance.now() - start);
    }
    // The engine tries again what throws.
    if (!outcome.ok && !isAborted && job.attemptsMade + 1 < (job.opts.attempts ?? 1)) {
      throw new Error(JSON.stringify(outcome));
    }
    return outcome;
  }

  /** Which function a job means. */
  #callOf({ id, data, attemptsStarted }: Job<JobData>): Call {
    const { modules, address, name: node } = this.#options;
    try {
      checkJobData(data);
    } catch (error) {
      throw new UnrecoverableError(JSON.stringify({ what: "unknown", message: (error as Error).message, modules: [] }));
    }
    const alias = data.modules.find((module) => this.#exports.get(module)?.has(data.name));
    if (alias === undefined) {
      const known = [...this.#exports].map(([alias, names]) => `${alias} (${[...names].join(", ")})`).join(", ");
      const message = `Node ${node} has no function ${data.name} in ${
        data.modules.join(" or ")
      }: its modules are ${known}`;
      throw new UnrecoverableError(JSON.stringify({ what: "unknown", message, modules: data.modules }));
    }
    const { name, how, payload } = data;
    const job = { id: id!, queue: address.queue, node, attempt: attemptsStarted };
    return { module: modules.get(alias)!, name, how, payload, job };
  }

  /** Adds where it happened. */
  #annotated(error: unknown, { job: { id, attempt } }: Call): unknown {
    if (error instanceof Error && Object.isExtensible(error)) {
      const value = { node: this.#options.name, job: id, attempt };
      Object.defineProperty(error, "remote", { value, configurable: true, writable: true });
    }
    return error;
  }

  /** Quick tasks wait for the server more than for a process: then more of them are taken at once. */
  #learn(ms: number): void {
    this.#pace = this.#pace === Infinity ? ms : (this.#pace * 7 + ms) / 8;
    const { workers } = this.#options;
    const wanted = this.#pace <= QUICK_MS ? workers * MOST_PER_WORKER : workers;
    if (this.#worker!.concurrency !== wanted) this.#worker!.concurrency = wanted;
  }

  /** Takes no more jobs, lets those that run end, and closes the connections. */
  async close(): Promise<void> {
    await this.#worker?.close();
    await this.#pool.shutdown();
    this.#client.disconnect();
    this.#listener.disconnect();
  }
}

/** The names under which a module exports functions. */
async function functionsOf(alias: string, url: string): Promise<Set<string>> {
  let namespace: { [name: string]: unknown };
  try {
    namespace = await import(url);
  } catch (error) {
    throw new Error(`Cannot load the module ${alias} from ${url}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  const names = Object.keys(namespace).filter((name) => typeof namespace[name] === "function");
  if (names.length === 0) throw new Error(`Cannot use the module ${alias}, because it exports no functions: ${url}`);
  return new Set(names);
}
