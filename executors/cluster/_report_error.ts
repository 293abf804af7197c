/**
 * The error of a future whose job was lost, or whose cluster is out of reach, by the report of the broker.
 *
 * @module
 */

import { TaskNotFoundError } from "../../futures/errors.ts";
import type { ClusterReport } from "./_in_flight.ts";
import { BrokenCluster, StalledJobError } from "./errors.ts";

/** Makes the error; a new one for each future. */
export function reportedError({ what, message, job, modules }: ClusterReport, queue: string): Error {
  switch (what) {
    case "unreachable":
      return new BrokenCluster(`Cannot reach the cluster: ${message}`);
    case "unknown":
      return new TaskNotFoundError(message, [...modules ?? []]);
    case "stalled":
      return new StalledJobError(
        `Nodes began job ${job} of the queue ${queue} several times, and each time the node died or lost its ` +
          `connection to the server (${message}). ` +
          "Likely causes: the task uses up the memory of its node, or the nodes were shut down",
      );
    case "refused":
      return new BrokenCluster(`The server refused job ${job} of the queue ${queue}: ${message}`);
    default:
      return new BrokenCluster(`Job ${job} of the queue ${queue} was lost: ${message}`);
  }
}
