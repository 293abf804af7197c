/** Workers of a pool that a test plays on its own thread, so that it says what they do, and when. */
import type { TaskOptions } from "@concurrent/futures";
import type { Future } from "../../futures/future.ts";
import type { PoolKind } from "../../executors/_owner/kind.ts";
import { Pool } from "../../executors/_owner/pool.ts";
import { Consumer, type Task } from "../../executors/_queue/consumer.ts";
import { DECODED, PASSED_ON } from "../../executors/_queue/posted.ts";
import { type ConsumerMessage, type ConsumerStart, RecordType } from "../../executors/_queue/protocol.ts";
import { TaskQueue } from "../../executors/_queue/task_queue.ts";
import { numberPayload } from "./_kit.ts";

/** A worker whose thread is that of the test. */
export class PlayedWorker {
  consumer!: Consumer;
  /** The memory of its pool. */
  queue!: TaskQueue;
  /** What the owner has posted since the first message. */
  readonly messages: ConsumerMessage[] = [];
  isTerminated = false;
  readonly #form: typeof DECODED;
  readonly #listeners: ((event: ErrorEvent) => void)[] = [];
  #port: MessagePort | undefined;

  constructor(form: typeof DECODED) {
    this.#form = form;
  }

  postMessage(data: ConsumerStart | ConsumerMessage): void {
    if ("type" in data) {
      this.messages.push(data);
      this.consumer.receive(data);
    } else {
      this.#port = data.port;
      this.queue = new TaskQueue(data.memory);
      this.consumer = new Consumer(data, this.#form);
      void this.consumer.begin();
    }
  }

  addEventListener(_type: string, listener: (event: ErrorEvent) => void): void {
    this.#listeners.push(listener);
  }

  /** Its thread fails, as where its module cannot be loaded. */
  fail(): void {
    for (const listener of this.#listeners) listener(new ErrorEvent("error", { message: "played" }));
  }

  /** Whether it has got its first message, and not only a thread. */
  get hasStarted(): boolean {
    return this.#port !== undefined;
  }

  terminate(): void {
    this.isTerminated = true;
    this.#port?.close();
  }

  /** As that of Deno's workers which lets the program end. */
  [Symbol()](_isRef: boolean): void {}

  /** Takes the next task, and starts it. */
  start(as?: number): Task {
    const task = this.consumer.take() as Task;
    if (!this.consumer.start(task, as)) throw new Error("The task was cancelled");
    return task;
  }

  /** Says that a task has returned a number. */
  reply(task: Task, value: number): void {
    this.consumer.reply(task, RecordType.VALUE, numberPayload(value));
  }
}

/** A pool whose workers are played: threads, or a broker. */
export class PlayedPool implements Disposable {
  readonly workers: PlayedWorker[] = [];
  readonly pool: Pool;

  /** @param onStart Called while a worker is started. */
  constructor(stop: PoolKind["stop"], options: Partial<PoolKind> = {}, onStart: () => void = () => {}) {
    this.pool = new Pool({
      name: "PlayedPool",
      maxConsumers: 1,
      mapWorkers: 1,
      sameProcess: true,
      detail: "msPerItem",
      bindsArguments: true,
      settlesChunks: true,
      stop,
      workerName: (index) => `played_${index}`,
      startWorker: () => {
        const worker = new PlayedWorker(stop === "ask" ? PASSED_ON : DECODED);
        this.workers.push(worker);
        onStart();
        return worker as unknown as Worker;
      },
      brokenError: (message) => new Error(message) as never,
      errorOf: (report) => new Error(JSON.stringify(report)),
      ...options,
    });
  }

  /** The worker that was started last. */
  get worker(): PlayedWorker {
    return this.workers.at(-1)!;
  }

  submit(n: number, options?: TaskOptions): Future<unknown> {
    return this.pool.submit((n: number) => n, [n], false, options);
  }

  [Symbol.dispose](): void {
    this.pool.shutdown(true);
    for (const { consumer, isTerminated, hasStarted } of this.workers) {
      if (hasStarted && !isTerminated) consumer.report(RecordType.GONE);
    }
    this.pool.collect();
  }
}
