/**
 * The connections of a node to its server. What becomes of them it prints to stderr.
 *
 * @module
 */

import type { Redis } from "ioredis";
import { type Address, keyStart, shown } from "./_address.ts";
import { connect, isRefusal, noteOutcomes, refusalBy, subscribe } from "./_connection.ts";
import { Heartbeat } from "./_heartbeat.ts";
import { executorOf, type Outcome } from "./_jobs.ts";
import { controlChannel, executorChannel, type NodeMessage } from "./_messages.ts";

/** After how many milliseconds a node says that the server does not answer. */
const SAY_WAITING_MS = 1_000;

type Omitted<T, K extends string> = T extends unknown ? Omit<T, K> : never;

/** See above. */
export class Link {
  readonly #address: Address;
  readonly #name: string;
  /** For everything but listening. */
  readonly client: Redis;
  readonly #listener: Redis;
  readonly #heartbeat: Heartbeat;
  /** Why a connection is not there, as far as the last error tells. */
  #problem = "the server does not answer";
  readonly #errors = new WeakSet<Error>();
  /** Whether the node ends, so that the end of a connection is not worth a message. */
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
   * @param hear Is called with what executors say.
   * @param channels Channels on which the node listens only to be counted.
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
        if (isRefusal(error)) refused.reject(new Error(refusalBy(this.#address, error)));
      });
    }
    const waiting = setTimeout(() => this.#say(`Waiting for ${server}: ${this.#problem}`), SAY_WAITING_MS);
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
    await subscribe(this.#listener, controls, ...channels);
  }

  /**
   * Whether an error needs no message of its own, because what becomes of the connections is said anyway. The engine
   * has one more, whose socket may fail a moment before the others do.
   */
  covers(error: Error): boolean {
    return this.client.status !== "ready" || this.#errors.has(error) || "syscall" in error;
  }

  #watch(server: string): void {
    const byItself = "the server closed it";
    this.#problem = byItself;
    let isAway = false;
    this.client.on("close", () => {
      if (!isAway && !this.isClosing) this.#say(`Lost the connection to ${server}: ${this.#problem}`);
      isAway = true;
    });
    this.client.on("ready", () => {
      if (isAway) this.#say(`Connected to ${server} again`);
      isAway = false;
      this.#problem = byItself;
    });
  }

  #say(text: string): void {
    console.error(`${this.#name}: ${text}`);
  }

  /** Sends a message of a job to its executor; resolves when the server has it, or will never get it. */
  async send({ id }: { id?: string }, message: Omitted<NodeMessage, "job">): Promise<void> {
    const { prefix, queue } = this.#address;
    const channel = executorChannel(prefix, queue, executorOf(id!));
    await this.client.publish(channel, JSON.stringify({ ...message, job: id })).catch(() => {});
  }

  /**
   * Gives the server outcomes of tasks of a job that goes on, and tells its executor. Where the server refuses them,
   * they come with the result of the job.
   */
  async sendOutcomes(job: { id?: string }, outcomes: ReadonlyMap<number, Outcome>): Promise<void> {
    try {
      await noteOutcomes(this.client, keyStart(this.#address) + job.id, outcomes);
    } catch {
      return;
    }
    await this.send(job, { what: "outcomes" });
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
