/**
 * The worker that ends a test which hangs. A timer cannot: the main thread may be blocked. It is sent the shared memory
 * of each pool, so that it can tell their state then, and kills the process.
 */
import type { PoolMemory } from "../executors/_queue/protocol.ts";
import { ResultRing } from "../executors/_queue/ring.ts";
import { TaskQueue } from "../executors/_queue/task_queue.ts";
import { SEQUENCE, STATE } from "../futures/bell.ts";
import { collectGarbage } from "./_garbage.ts";

/** What the main thread says. */
export type WatchdogMessage =
  | { type: "guard"; name: string; ms: number }
  | { type: "release" }
  /** A worker of a pool was started. */
  | { type: "started"; worker: Started }
  | { type: "terminated"; id: number }
  /** Let go of the memory of pools that are gone, and answer: this thread has little garbage, and collects it late. */
  | { type: "collect" };

/** A worker of a pool. */
export interface Started {
  id: number;
  name: string;
  /** The same number for all workers of a pool. */
  pool: number;
  memory: PoolMemory;
  results: SharedArrayBuffer;
  bell: Int32Array;
}

const TASKS = "/proc/self/task";

/** How long `deno test` has to print the report, in milliseconds. */
const PRINT_MS = 1_000;

const workers = new Map<number, Started>();
let timer: ReturnType<typeof setTimeout> | undefined;

self.addEventListener("message", (event) => {
  const message = (event as MessageEvent<WatchdogMessage>).data;
  switch (message.type) {
    case "guard":
      clearTimeout(timer);
      timer = setTimeout(end, message.ms, message);
      break;
    case "release":
      clearTimeout(timer);
      break;
    case "started":
      workers.set(message.worker.id, message.worker);
      break;
    case "terminated":
      workers.delete(message.id);
      break;
    case "collect":
      collectGarbage();
      (self as unknown as Worker).postMessage("collected");
  }
});

function end({ name, ms }: { name: string; ms: number }): void {
  const report = [`\n${name}: the main thread has been blocked for ${ms} ms`];
  for (const part of [pools, threads, children]) {
    try {
      report.push(...part());
    } catch (error) {
      // Only Linux has /proc. Whatever it is, the rest is told, and the process ended.
      report.push(`${part.name} unknown: ${error}`);
    }
  }
  Deno.stderr.writeSync(new TextEncoder().encode(`${report.join("\n")}\n`));
  // `deno test` collects what tests write and prints it itself, which nothing tells of: it would be lost with the
  // process.
  setTimeout(() => Deno.kill(Deno.pid, "SIGKILL"), PRINT_MS);
}

/** The state of each pool that has workers. */
function pools(): string[] {
  const lines: string[] = [];
  for (const [pool, all] of Map.groupBy(workers.values(), ({ pool }) => pool)) {
    const [{ memory, bell }] = all;
    // How much the owner has reclaimed only the owner knows.
    const queue = new TaskQueue(memory).describe().replace(/ reclaimed=\d+/, "");
    lines.push(
      `pool ${pool}: ${queue} bell armed=${bell[STATE]} rung=${bell[SEQUENCE]}`,
      ...all.map(({ name, results }) => `  ${name}: ${new ResultRing(results).describe()}`),
    );
  }
  return lines.length === 0 ? ["no pool has workers"] : lines;
}

/** The threads of this process, where the system tells. */
function threads(): string[] {
  return [...Deno.readDirSync(TASKS)].map(({ name }) => `thread ${stateOf(`${TASKS}/${name}`)}`);
}

function children(): string[] {
  return [...Deno.readDirSync(TASKS)]
    .flatMap(({ name }) => Deno.readTextFileSync(`${TASKS}/${name}/children`).split(" "))
    .filter((pid) => pid !== "")
    .map((pid) => `child process ${stateOf(`/proc/${pid}`)}`);
}

/** Number, name and state: R for one that computes, S for one that sleeps. */
function stateOf(folder: string): string {
  try {
    return Deno.readTextFileSync(`${folder}/stat`).match(/^\d+ \(.*\) \S/)![0];
  } catch {
    return `${folder} has just ended`;
  }
}
