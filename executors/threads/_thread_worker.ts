/**
 * What a thread of a `ThreadPoolExecutor` runs.
 *
 * @module
 */

import { Promise } from "../../futures/builtins.ts";
import { importModule } from "../_functions/import.ts";
import { Consumer, type Task } from "../_queue/consumer.ts";
import { live } from "../_queue/holders.ts";
import { DECODED } from "../_queue/posted.ts";
import { fromPosted } from "../_queue/posted.ts";
import { type ConsumerMessage, type ConsumerStart, type Initializer, RecordType, Status } from "../_queue/protocol.ts";
import { endThread, runFor, type Runner, turn, TurnClock } from "../_runner/runner.ts";

/** The first message to the thread. */
export interface ThreadStart extends ConsumerStart {
  /** What to call before the first task. */
  initializer: Initializer | undefined;
}

const report = reportError.bind(globalThis);
let consumer: Consumer;
let runner: Runner;

// Not self.onmessage, which a task may set.
self.addEventListener("message", (event) => {
  const { data } = event as MessageEvent<ThreadStart | ConsumerMessage>;
  if (!("type" in data)) start(data, consumer = new Consumer(data, DECODED));
  else {
    consumer.receive(data);
    if (data.type === "unbind") runner.forget(data.fn);
  }
});

function start({ initializer, life }: ThreadStart, consumer: Consumer): void {
  live(life);
  runner = runFor<Task>({
    name: self.name,
    sameProcess: true,
    definition: (fn) => consumer.definition(fn),
    boundTo: (fn) => consumer.boundTo(fn),
    import: importModule,
    loadClasses: () => import("../sync/mod.ts"),
    reply(task, type, payload, steps, isFree) {
      consumer.reply(task, type, payload, steps, true, isFree ? Status.FINISHED : Status.AWAY);
    },
    progress: (task, payload) => consumer.progress(task, payload),
    limitsOf: ({ slot }) => consumer.limitsOf(slot),
    onCall: ({ slot }) => consumer.setBegun(slot),
    isStopping: ({ slot }) => consumer.isStopping(slot),
    endsStopped: true,
    abandonWorker(error) {
      try {
        consumer.report(RecordType.BROKEN);
      } finally {
        // What went wrong; an owner that does not block hears of it even if that failed.
        report(error);
      }
    },
  });
  consumer.onStop = (slot, grace) => runner.onStop((task) => (task as Task).slot === slot, grace);
  // Else a failure would count as an unhandled error of some task, and the thread would answer nothing any more.
  serve(runner, consumer, initializer).catch((error) => runner.abandonWorker(error));
}

async function serve(runner: Runner, consumer: Consumer, initializer: Initializer | undefined): Promise<void> {
  if (initializer !== undefined) {
    const failure = await runner.initialize(initializer.fn, fromPosted(initializer.payload));
    if (failure !== undefined) {
      consumer.report(RecordType.INITIALIZER_FAILED, failure);
      endThread();
      return;
    }
  }
  // Not before: nobody waits for a thread whose initializer runs while another one is idle.
  await consumer.begin();
  const run = (task: Task) => consumer.start(task) ? runner.runTask(task) : undefined;
  const clock = new TurnClock();
  clock.begin();
  for (;;) {
    const taken = consumer.take();
    if (taken === undefined) {
      runner.prepareForUnhandledErrors();
      const resting = consumer.waitForWork();
      if (resting === undefined) continue;
      await resting;
      clock.begin();
      continue;
    }
    // Run from here in any case: behind a task that has finished comes the next look at the queue, and no microtask.
    const busy = run(taken instanceof Promise ? await taken : taken);
    if (busy !== undefined) await busy;
    if (clock.isOver) {
      await consumer.yieldToEventLoop(turn);
      clock.begin();
    }
  }
}
