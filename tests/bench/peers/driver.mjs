/**
 * The peers from npm as contestants, under Node or Deno: `node driver.mjs <name>`. Each with its default options, but
 * for the number of its workers.
 *
 * @module
 */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { serve } from "../drivers/serve.mjs";
import { Cannot } from "../drivers/works.mjs";

const urlOf = (name) => new URL(`./workers/${name}.mjs`, import.meta.url);
const pathOf = (name) => fileURLToPath(urlOf(name));
const buffersOf = (value) => [value.buffer ?? value];

/**
 * @type {Record<string, (group: "threads" | "processes", workers: number) =>
 * Promise<import("../drivers/works.mjs").Pool>>}
 */
const PEERS = {
  async piscina(group, workers) {
    if (group === "processes") throw new Cannot("has no processes");
    const { Piscina } = await import("piscina");
    const pool = new Piscina({ filename: urlOf("piscina").href, minThreads: workers, maxThreads: workers });
    return {
      moves: true,
      run: (name, value) => pool.run(name === "move" ? Piscina.move(value) : value, { name }),
      close: () => pool.destroy(),
    };
  },

  async tinypool(group, workers) {
    const { Tinypool } = await import("tinypool");
    const pool = new Tinypool({
      filename: urlOf("tinypool").href,
      runtime: group === "threads" ? "worker_threads" : "child_process",
      minThreads: workers,
      maxThreads: workers,
    });
    return {
      moves: group === "threads",
      run: (name, value) => pool.run(name === "move" ? Tinypool.move(value) : value, { name }),
      close: () => pool.destroy(),
    };
  },

  async workerpool(group, workers) {
    const { default: workerpool } = await import("workerpool");
    const pool = workerpool.pool(pathOf("workerpool"), {
      workerType: group === "threads" ? "thread" : "process",
      minWorkers: workers,
      maxWorkers: workers,
    });
    return {
      moves: group === "threads",
      run: (name, value) => pool.exec(name, [value], name === "move" ? { transfer: buffersOf(value) } : undefined),
      close: () => pool.terminate(true),
    };
  },

  async poolifier(group, workers) {
    const { FixedClusterPool, FixedThreadPool } = await import("poolifier");
    const pool = group === "threads"
      ? new FixedThreadPool(workers, pathOf("poolifier_thread"))
      : new FixedClusterPool(workers, fileURLToPath(new URL("./workers/poolifier_cluster.cjs", import.meta.url)));
    return {
      run: (name, value) => pool.execute(value, name),
      map: (name, items) => pool.mapExecute(items, name),
      close: () => pool.destroy(),
    };
  },

  async "poolifier-web-worker"(group, workers) {
    if (group === "processes") throw new Cannot("has no processes");
    const { FixedThreadPool } = await import("poolifier-web-worker");
    const pool = new FixedThreadPool(workers, urlOf("poolifier_web"));
    return {
      run: (name, value) => pool.execute(value, name),
      map: (name, items) => pool.mapExecute(items, name),
      close: () => pool.destroy(),
    };
  },

  async threads(group, workers) {
    if (group === "processes") throw new Cannot("has no processes");
    const { Pool, spawn, Transfer, Worker } = await import("threads");
    // It takes paths relative to the working directory, which is this folder, only.
    const pool = Pool(() => spawn(new Worker("./workers/threads.mjs")), workers);
    return {
      moves: true,
      run: (name, value) =>
        pool.queue((worker) => worker[name](name === "move" ? Transfer(value, buffersOf(value)) : value)),
      close: () => pool.terminate(true),
    };
  },

  async "jest-worker"(group, workers) {
    const { Worker } = await import("jest-worker");
    const pool = new Worker(pathOf("jest"), {
      numWorkers: workers,
      enableWorkerThreads: group === "threads",
      exposedMethods: ["noop", "echo", "hold", "spin", "sha256", "rc4"],
    });
    return {
      run: (name, value) => pool[name](value),
      close: () => pool.end(),
    };
  },
};

await serve({ open: PEERS[process.argv[2]] });
