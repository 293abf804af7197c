/**
 * Starts the broker of a `ClusterExecutor`.
 *
 * @module
 */

import { entry } from "../_owner/entry.ts";
import { requestReadOfOwnModules } from "../_owner/options.ts";

const BROKER = entry(import.meta.resolve("./_cluster_broker.ts"), () => import("./_cluster_broker.ts"));

/** Starts the broker, which needs some permissions of the program. */
export function startBroker(redis: string): Worker {
  requestReadOfOwnModules("connect to a cluster", BROKER);
  const { hostname, port } = new URL(redis);
  const host = `${hostname}:${port || 6379}`;
  if (Deno.permissions.requestSync({ name: "net", host }).state !== "granted") {
    throw new Deno.errors.NotCapable(
      `Cannot connect to a cluster without permission to reach ${host}. To fix it, run again with --allow-net=${host}`,
    );
  }
  // The engine's libraries look at the whole environment.
  if (Deno.permissions.requestSync({ name: "env" }).state !== "granted") {
    throw new Deno.errors.NotCapable(
      "Cannot connect to a cluster without permission to read the environment. To fix it, run again with --allow-env",
    );
  }
  return new Worker(BROKER, { type: "module", name: "ClusterExecutor" });
}
