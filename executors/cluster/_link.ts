/**
 * The connections of a node to its server, and what it says of them to whom has started it.
 *
 * @module
 */

import type { Redis } from "ioredis";
import { type Address, shown } from "./_address.ts";
import { connect, isRefusal } from "./_connection.ts";
import { Heartbeat } from "./_heartbeat.ts";
import { controlChannel, executorOf, noteChannel } from "./_jobs.ts";

/** After how long a node says that the server does not answer, in milliseconds. */
const TELL_WAITING_MS = 1_000;

/** See above. */
export class Link {
  readonly #address: Address;
  readonly #name: string;
  /** For all but listening. */
  readonly client: Redis;
  readonly #listener: Redis;
  readonly #heartbeat: Heartbeat;
  /** What was heard last of why a connection is not there. */
  #problem = "it does not answer";
  readonly #errors = new WeakSet<Error>();
  /** Whether the end of a connection is nothing to speak of. */
  isClosing = false;

  constructor(address: Address, name: string, lock: number) {
    this.#address = address;
    this.#name = name;
    this.client = connect(address);
    this.#listener = connect(address);
    this.#heartbeat = new Heartbeat([this.client, this.#listener], lock / 2);
  }

  /**
   * Connects, and waits for the server as long as it takes.
   *
   * @param hear Is told what executors say.
   * @param channels On which to listen as well, only to be counted.
   * @throws {Error} The server refuses.
   */
  async open(hear: (text: string) => void, channels: readonly string[]): Promise<void> {
    const server = shown(this.#address.redis);
    const refused = Promise.withResolvers<never>();
    const clients = [this.client, this.#listener];
    for (const client of clients) {
      client.on("error", (error: Error) => {
        this.#problem = error.message;
        this.#errors.add(error);
        if (isRefusal(error)) refused.reject(new Error(`${server} refuses: ${error.message}`));
      });
    }
    const waiting = setTimeout(() => this.#say(`Waits for ${server}: ${this.#problem}`), TELL_WAITING_MS);
    const ready = Promise.all(clients.map(async (client) => {
      await client.connect().catch(() => {});
      await client.ping();
    }));
    try {
      await Promise.race([ready, refused.promise]);
    } finally {
      clearTimeout(waiting);
    }
    this.#watch(server);
    const { prefix, queue } = this.#address;
    const controls = controlChannel(prefix, queue);
    this.#listener.on("message", (channel: string, text: string) => channel === controls && hear(text));
    await this.#listener.subscribe(controls, ...channels);
  }

  /**
   * Whether an error needs no word of its own: what becomes of the connections is told once, and when they are there
   * again.
   */
  tells(error: Error): boolean {
    return this.client.status !== "ready" || this.#errors.has(error);
  }

  #watch(server: string): void {
    const byItself = "the server has closed it";
    this.#problem = byItself;
    let isAway = false;
    this.client.on("close", () => {
      if (!isAway && !this.isClosing) this.#say(`Has lost the connection to ${server}: ${this.#problem}`);
      isAway = true;
    });
    this.client.on("ready", () => {
      if (isAway) this.#say(`Has a connection to ${server} again`);
      isAway = false;
      this.#problem = byItself;
    });
  }

  #say(text: string): void {
    console.error(`${this.#name}: ${text}`);
  }

  /** Tells the executor of a job something. */
  tell(job: string, note: string): void {
    const { prefix, queue } = this.#address;
    this.client.publish(noteChannel(prefix, queue, executorOf(job)), note).catch(() => {});
  }

  /** How many nodes serve the queue, with this one; `undefined` where the server does not tell. */
  async countNodes(): Promise<number | undefined> {
    const { prefix, queue } = this.#address;
    try {
      return (await this.client.pubsub("NUMSUB", controlChannel(prefix, queue)))[1] as number;
    } catch {
      return undefined;
    }
  }

  close(): void {
    this.isClosing = true;
    this.#heartbeat.stop();
    this.client.disconnect();
    this.#listener.disconnect();
  }
}
