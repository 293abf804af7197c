/**
 * The floors as contestants: `deno run -P=test drivers/floors.ts <name>`.
 *
 * @module
 */

import { EchoWorker, Pipe, SpinWorker, startChild, TaskWorker } from "../_floors.ts";
import { serve } from "./serve.mjs";
import { syncFloors } from "./sync.ts";
import type { Contestant, Pool } from "./works.mjs";

/** How many numbers one message of a batch holds. */
const BATCH = 1_000;

function postMessage(workers: number): Pool {
  const echoes = Array.from({ length: workers }, () => new EchoWorker());
  const share = <T>(values: T[]) => echoes.map((_, i) => values.filter((_, j) => j % workers === i));
  const sendAll = async (values: unknown[]): Promise<unknown[]> => {
    const shares = share(values);
    const answers = await Promise.all(shares.map((part, i) => part.length ? echoes[i].sendAll(part) : []));
    return values.map((_, j) => answers[j % workers][Math.floor(j / workers)]);
  };
  return {
    moves: true,
    async run(task, value) {
      if (task !== "move") return await echoes[0].send(value);
      const buffer = value instanceof Uint8Array ? value.buffer as ArrayBuffer : value as ArrayBuffer;
      const { moved } = await echoes[0].send({ moved: value }, [buffer]) as { moved: unknown };
      return moved;
    },
    runAll: (_, count) => sendAll(Array(count).fill(undefined)),
    async map(_, items) {
      const batches = Array.from(
        { length: Math.ceil(items.length / BATCH) },
        (_, i) => items.slice(i * BATCH, (i + 1) * BATCH),
      );
      return (await sendAll(batches)).flat();
    },
    startAll: () => Promise.all(echoes.map((echo) => echo.send(0))),
    close: () => echoes.forEach((echo) => echo.close()),
  };
}

function spin(): Pool {
  const worker = new SpinWorker();
  return {
    run: () => Promise.resolve(worker.ask()),
    block: () => worker.ask(),
    startAll: async () => {
      await worker.begin();
      worker.end();
    },
    begin: () => worker.begin(),
    end: () => worker.end(),
    close: () => worker.close(),
  };
}

/** Each worker has its share of the tasks from the start. */
function cores(workers: number): Pool {
  const all = Array.from({ length: workers }, () => new TaskWorker());
  let next = 0;
  return {
    run: (task, value) => all[next++ % workers].run(task, value),
    close: () => all.forEach((worker) => worker.close()),
  };
}

/** Through `cat` nothing is encoded before the clock starts or decoded after it stops but texts. */
function cat(): Pool {
  const pipe = new Pipe("cat");
  const small = new Uint8Array(64);
  const encoder = new TextEncoder();
  return {
    async run(_, value) {
      if (value === undefined || typeof value === "number") return await pipe.send(small);
      if (typeof value !== "string") {
        const back = new Uint8Array((value as Uint8Array).length);
        let at = 0;
        await pipe.send(value as Uint8Array<ArrayBuffer>, (chunk) => {
          back.set(chunk, at);
          at += chunk.length;
        });
        return back;
      }
      const decoder = new TextDecoder();
      let text = "";
      await pipe.send(encoder.encode(value), (chunk) => text += decoder.decode(chunk, { stream: true }));
      return text;
    },
    startAll: () => pipe.send(small),
    close: () => pipe.close(),
  };
}

function child(workers: number): Pool {
  const pipes = Array.from({ length: workers }, startChild);
  const encoder = new TextEncoder();
  /** Sends lines in one write to one child. */
  const exchange = async (pipe: Pipe, values: unknown[]): Promise<unknown[]> => {
    const lines = values.map((value, i) => `${JSON.stringify([i, value])}\n`).join("");
    const decoder = new TextDecoder();
    let text = "";
    await pipe.send(encoder.encode(lines), (chunk) => text += decoder.decode(chunk, { stream: true }));
    return text.split("\n").slice(0, -1).map((line) => JSON.parse(line)[1]);
  };
  return {
    run: async (_, value) => (await exchange(pipes[0], [value]))[0],
    async runAll(_, count) {
      const parts = await Promise.all(
        pipes.map((pipe, i) => exchange(pipe, Array(Math.floor((count + i) / workers)).fill(null))),
      );
      return parts.flat();
    },
    async map(_, items) {
      const half = Math.ceil(items.length / workers);
      const parts = pipes.map((pipe, i) => {
        const mine = items.slice(i * half, (i + 1) * half);
        const batches = Array.from(
          { length: Math.ceil(mine.length / BATCH) },
          (_, j) => mine.slice(j * BATCH, (j + 1) * BATCH),
        );
        return exchange(pipe, batches);
      });
      return (await Promise.all(parts)).flat(2) as number[];
    },
    startAll: () => Promise.all(pipes.map((pipe) => exchange(pipe, [0]))),
    close: async () => {
      for (const pipe of pipes) await pipe.close();
    },
  };
}

const FLOORS: Record<string, (workers: number) => Pool> = { postMessage, spin, cat, child, cores };

if (import.meta.main) {
  const open = FLOORS[Deno.args[0]];
  await serve({ open: (_, workers) => open(workers), works: syncFloors } satisfies Contestant);
}
