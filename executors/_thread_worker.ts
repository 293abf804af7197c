/**
 * What a thread of a `ThreadPoolExecutor` runs.
 *
 * @module
 */

import { endThread, giveUp, initialize, prepareForStrays, runFor, runTask, turn, TURN_MS } from "./_runner.ts";
import { EMPTY } from "./_block.ts";
import { importModule } from "./_import.ts";
import {
  Consumer,
  type ConsumerMessage,
  type ConsumerStart,
  DECODED,
  Flag,
  fromPosted,
  type Initializer,
  type Task,
} from "./_consumer.ts";

/** The first message to the thread. */
export interface ThreadStart extends ConsumerStart {
  /** What to call before the first task. */
  initializer: Initializer | undefined;
}

const report = reportError.bind(globalThis);
let consumer: Consumer;

// Not self.onmessage, which a task may set.
self.addEventListener("message", (event) => {
  const { data } = event as MessageEvent<ThreadStart | ConsumerMessage>;
  if ("type" in data) consumer.receive(data);
  else {
    consumer = new Consumer(data, DECODED);
    runFor({
      name: self.name,
      sameProcess: true,
      definition: (fn) => consumer.definition(fn),
      import: importModule,
      reply: (task, flags, block, isFree) => consumer.reply(task, flags, block, true, isFree),
      giveUp(error) {
        try {
          consumer.fail(EMPTY, Flag.ERROR | Flag.DIED);
        } finally {
          // What went wrong; an owner that does not block hears of it even if that failed.
          report(error);
        }
      },
    });
    // Else a failure would count as a stray error of some task, and the thread would answer nothing any more.
    serve(data).catch(giveUp);
  }
});

async function serve({ initializer }: ThreadStart): Promise<void> {
  await consumer.begin();
  if (initializer !== undefined) {
    const failure = await initialize(initializer.fn, fromPosted(initializer.block));
    if (failure !== undefined) {
      consumer.fail(failure);
      endThread();
      return;
    }
  }
  const run = (task: Task) => consumer.start(task) ? runTask(task) : undefined;
  let turnEnds = performance.now() + TURN_MS;
  let hasRun = false;
  for (;;) {
    const taken = consumer.take();
    if (taken === undefined) {
      if (hasRun) prepareForStrays();
      await consumer.rest();
      turnEnds = performance.now() + TURN_MS;
      continue;
    }
    hasRun = true;
    const busy = taken instanceof Promise ? taken.then(run) : run(taken);
    if (busy !== undefined) await busy;
    if (performance.now() > turnEnds) {
      await consumer.beAway(turn);
      turnEnds = performance.now() + TURN_MS;
    }
  }
}
