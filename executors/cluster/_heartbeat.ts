/**
 * Whether the server still answers. A broken connection can look like an idle one for as long as the system's own
 * timers run: a quarter of an hour and more. So each connection is asked for a sign of life. If it gives none, it is
 * closed and made again.
 *
 * @module
 */

import type { Redis } from "ioredis";

/** For how many milliseconds a connection may say nothing though it was asked: at the most, and at the least. */
const MAX_SILENT_MS = 5_000;
const MIN_SILENT_MS = 1_000;

/** How often a connection is looked at in that time. */
const LOOKS = 5;

/** How many bytes a slow network takes in a millisecond. */
const SLOW_BYTES_PER_MS = 1_000;

/** A connection that is listened to. */
interface Watched {
  readonly client: Redis;
  /** For how long it has answered nothing, in milliseconds, since it was usable last. */
  unanswered: number;
  /** For how long nothing has come over its socket. */
  quiet: number;
  /** Whether an answer is due. */
  isAsked: boolean;
}

/** Asks connections for signs of life. */
export class Heartbeat {
  readonly #all: readonly Watched[];
  readonly #patience: number;
  readonly #pause: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #lookedAt = performance.now();

  /**
   * @param clients The connections, before they connect.
   * @param patience How long a connection may say nothing, in milliseconds, where that is not too short or too long.
   */
  constructor(clients: readonly Redis[], patience: number) {
    this.#patience = Math.max(MIN_SILENT_MS, Math.min(MAX_SILENT_MS, patience));
    this.#pause = this.#patience / LOOKS;
    this.#all = clients.map((client) => listen({ client, unanswered: 0, quiet: 0, isAsked: false }));
    this.#timer = setInterval(() => this.#look(), this.#pause);
  }

  /** For how many milliseconds a connection has answered nothing; the longest time of all. */
  get silence(): number {
    return Math.max(...this.#all.map(({ unanswered }) => unanswered));
  }

  /** Whether a connection cannot be used just now. */
  get isAway(): boolean {
    return this.#all.some(({ client, unanswered }) => client.status !== "ready" || unanswered >= this.#patience);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    // A thread that stood still, or computed, has heard nothing because it has not listened.
    const elapsed = Math.min(now - this.#lookedAt, this.#pause * 2);
    this.#lookedAt = now;
    for (const watched of this.#all) {
      watched.unanswered += elapsed;
      watched.quiet += elapsed;
      const { client, quiet } = watched;
      if (client.status === "ready") ask(watched);
      else if (client.status !== "connect") continue;
      const { stream } = client;
      if (quiet < this.#patience + stream.writableLength / SLOW_BYTES_PER_MS) continue;
      watched.quiet = 0;
      // ioredis connects again, and sends again what was not answered. An orderly end would wait for the other side.
      stream.destroy(new Error(`The connection gave no sign of life for ${Math.round(quiet)} ms`));
    }
  }
}

function listen(watched: Watched): Watched {
  const { client } = watched;
  client.on("connect", () => {
    watched.quiet = 0;
    client.stream.on("data", () => {
      watched.quiet = 0;
      // A server that takes no more connections, or is still loading its data, says so, but is of no use.
      if (client.status === "ready") watched.unanswered = 0;
    });
  });
  client.on("ready", () => watched.unanswered = 0);
  return watched;
}

function ask(watched: Watched): void {
  if (watched.isAsked || watched.quiet === 0) return;
  watched.isAsked = true;
  watched.client.ping().catch(() => {}).finally(() => watched.isAsked = false);
}
