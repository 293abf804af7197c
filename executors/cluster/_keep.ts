/**
 * What the server keeps of jobs that have ended, and for how long. The engine removes old ones only when another one
 * ends, and all by the rule of that one; so here each has a time of its own, after which the server itself removes it.
 *
 * @module
 */

import type { Redis } from "ioredis";

/** How many jobs that have ended the server keeps of a queue; older ones go, so that it does not fill up. */
export const MAX_KEPT = 50_000;

/** A job with more bytes in its values than this goes as soon as its executor has its results. */
export const LARGE_BYTES = 4_096;

/**
 * How long the engine's stream of events may get: in events, and in bytes, roughly, where those are large. Nobody here
 * reads it, and it has a copy of each result.
 */
export const MAX_EVENTS = 1_000;
const MAX_EVENT_BYTES = 4_194_304;

/**
 * For how many milliseconds the broker tries to remove a job that is delivered: a node may say that a job has ended
 * before the server knows it.
 */
const RELEASE_MS = 5_000;

/** How many names of jobs are looked at in a turn. */
const TURN = 1_000;

/**
 * What {@linkcode releaseJobs} does. The names of the keys are those of BullMQ 3 to 6: the sorted sets `completed` and
 * `failed`, and a job's hash with its `logs`.
 */
const RELEASE = `
local released = {}
for i, id in ipairs(ARGV) do
  released[i] = 0
  if redis.call("ZREM", KEYS[1], id) == 1 or redis.call("ZREM", KEYS[2], id) == 1 then
    redis.call("DEL", KEYS[3] .. id, KEYS[3] .. id .. ":logs")
    released[i] = 1
  end
end
return released`;

/** Removes the names of jobs that the server has removed. */
const FORGET = `
local names = redis.call("ZRANGE", KEYS[1], ARGV[1], ARGV[2])
local gone = 0
for _, id in ipairs(names) do
  if redis.call("EXISTS", KEYS[2] .. id) == 0 then gone = gone + redis.call("ZREM", KEYS[1], id) end
end
return { #names, gone }`;

/**
 * Removes jobs that have ended, and only such.
 *
 * @param start What the keys of the queue begin with.
 * @returns Which of them were removed.
 */
export async function releaseJobs(client: Redis, start: string, ids: readonly string[]): Promise<boolean[]> {
  const keys = ["completed", "failed", ""].map((name) => start + name);
  return (await client.eval(RELEASE, keys.length, ...keys, ...ids) as number[]).map((released) => released === 1);
}

/** Lets the server remove a job that has ended when its time is over, whoever is still there then. */
export function expireJob(client: Redis, key: string, keep: number): void {
  client.pexpire(key, keep).catch(() => {});
}

/** Keeps a job for as long as it takes: one that had ended, and which somebody wants to be run again. */
export function persistJob(client: Redis, key: string): void {
  client.persist(key).catch(() => {});
}

/** Shortens the stream of events after one with a large value. */
export function boundEvents(client: Redis, start: string, bytes: number): void {
  client.xtrim(`${start}events`, "MAXLEN", Math.floor(MAX_EVENT_BYTES / bytes)).catch(() => {});
}

/** Removes jobs whose results were delivered. */
export class Releaser {
  readonly #client: Redis;
  readonly #start: string;
  /** Until when the removal of each is tried. */
  readonly #delivered = new Map<string, number>();
  #isReleasing = false;

  constructor(client: Redis, start: string) {
    this.#client = client;
    this.#start = start;
  }

  /** Removes jobs, and those that could not be removed the last time. */
  async release(ids: readonly string[]): Promise<void> {
    const end = performance.now() + RELEASE_MS;
    for (const id of ids) this.#delivered.set(id, end);
    if (this.#isReleasing || this.#delivered.size === 0) return;
    this.#isReleasing = true;
    let hasReleased: boolean;
    do {
      hasReleased = await this.#releaseSome();
    } while (hasReleased && this.#delivered.size > 0);
    this.#isReleasing = false;
  }

  async #releaseSome(): Promise<boolean> {
    const some = [...this.#delivered].slice(0, TURN);
    try {
      const areReleased = await releaseJobs(this.#client, this.#start, some.map(([id]) => id));
      const now = performance.now();
      for (const [i, [id, end]] of some.entries()) {
        // Last again, so that others have their turn.
        this.#delivered.delete(id);
        if (!areReleased[i] && now < end) this.#delivered.set(id, end);
      }
      return areReleased.includes(true);
    } catch {
      // The connection has broken, or the server does not allow it: their time ends them.
      return false;
    }
  }
}

/** Forgets the names of jobs that the server has removed, some in each turn. */
export class Forgetter {
  readonly #client: Redis;
  readonly #start: string;
  /** At which rank the next turn begins. */
  readonly #from = new Map([["completed", 0], ["failed", 0]]);

  constructor(client: Redis, start: string) {
    this.#client = client;
    this.#start = start;
  }

  async turn(): Promise<void> {
    for (const [set, from] of this.#from) {
      try {
        const args = [this.#start + set, this.#start, from, from + TURN - 1];
        const [seen, gone] = await this.#client.eval(FORGET, 2, ...args) as number[];
        this.#from.set(set, seen < TURN ? 0 : from + seen - gone);
      } catch {
        // The next turn will do it.
      }
    }
  }
}
