/**
 * What the thread of a broker begins with. It starts the first child, which takes longer than all else, and only then
 * loads the broker, which takes that child over. So this module loads nothing itself.
 *
 * @module
 */

import type { FirstLaunch } from "./_launch.ts";
import type { BrokerStart } from "./_process_broker.ts";
import type { ConsumerMessage } from "../_queue/protocol.ts";

/** What the owner says before the broker is there, in order. */
const early: ConsumerMessage[] = [];

let receive = (message: ConsumerMessage): void => {
  early.push(message);
};

let first: Deno.ChildProcess | undefined;

async function begin(start: BrokerStart): Promise<void> {
  const { beginBroker } = await import("./_process_broker.ts");
  receive = beginBroker(start, first);
  for (const message of early) receive(message);
}

/** Starts the first child. Where that fails, the broker tries again, and tells why. */
function startFirst({ command, options }: FirstLaunch): Deno.ChildProcess | undefined {
  try {
    return new Deno.Command(command, options).spawn();
  } catch {
    return undefined;
  }
}

self.addEventListener("message", (event) => {
  const { data } = event as MessageEvent<FirstLaunch | BrokerStart | ConsumerMessage>;
  // What goes wrong here is an error of this thread, which breaks the pool.
  if (!("type" in data)) void begin(data);
  else if (data.type === "first") first = startFirst(data);
  else receive(data);
});
