/**
 * Connections to the server of a cluster: Redis, or Valkey.
 *
 * @module
 */

import { Redis, type RedisOptions } from "ioredis";
import { type Address, shown } from "./_address.ts";
import { type Outcome, outcomeField } from "./_jobs.ts";

/** The longest pause between two attempts to connect, in milliseconds. */
const MAX_PAUSE_MS = 1_000;

/** How long an attempt to connect may take, in milliseconds. */
const CONNECT_MS = 5_000;

/** How many jobs one command adds, asks for or takes back at the most: in between, others have their turn. */
export const MAX_BATCH = 500;

/** Opens a connection. Whenever it breaks it is made again, and sends what waits. */
export function connect({ redis, tls }: Address): Redis {
  const options: RedisOptions = {
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    // The engine's blocking commands must never fail for a connection that is being made again.
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(50 * 2 ** times, MAX_PAUSE_MS),
    // A server that has become read-only, as after a failover, is not the one to talk to any more.
    reconnectOnError: (error) => error.message.startsWith("READONLY") ? 2 : false,
    ...(tls === undefined ? {} : { tls: { ...tls } }),
  };
  const client = new Redis(redis, options);
  // Each failed attempt is an event. Whoever waits for the connection says what went wrong.
  client.on("error", () => {});
  return client;
}

/** Listens on channels, as soon as the connection is there. */
export async function subscribe(client: Redis, ...channels: string[]): Promise<void> {
  // Once there is a socket, ioredis 5 sends `subscribe` at once, and then asks the server whether it is ready. Who
  // listens may not ask that, so ioredis connects again, and forgets the channels. But `ping` waits for its turn.
  await client.ping();
  await client.subscribe(...channels);
}

/** Whether it is of no use to connect again: the password is wrong, or the user may not do this. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error &&
    /^(WRONGPASS|NOAUTH|NOPERM|ERR AUTH|ERR invalid password|ERR DB index)/.test(error.message);
}

/** What messages say of a server that refuses. */
export function refusalBy({ redis }: Address, { message }: Error): string {
  return `${shown(redis)} refuses the connection: ${message.replace(/\.$/, "")}. ` +
    "To fix it, correct the user, the password or the database in its URL, or the rights of the user";
}

/** The oldest server that the engine works with. */
const OLDEST = [6, 2];

/**
 * Looks at the server's version and at how it keeps data.
 *
 * @returns Warnings of what may lose jobs.
 * @throws {Error} The server is too old.
 */
export async function inspectServer(client: Redis, { redis }: Address): Promise<string[]> {
  const warnings: string[] = [];
  const server = shown(redis);
  const info = await client.info("server");
  const version = /redis_version:([\d.]+)/.exec(info)?.[1] ?? "";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (version !== "" && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))) {
    throw new Error(`${server} is too old, it must have version ${OLDEST.join(".")} or later: ${version}`);
  }
  let policy: string | undefined;
  let appendOnly: string | undefined;
  try {
    [, policy] = await client.config("GET", "maxmemory-policy") as string[];
    [, appendOnly] = await client.config("GET", "appendonly") as string[];
  } catch {
    warnings.push(
      `${server} does not tell how it keeps data, because CONFIG is not allowed. ` +
        "Check that maxmemory-policy is noeviction and appendonly is yes",
    );
    return warnings;
  }
  if (policy !== undefined && policy !== "noeviction") {
    warnings.push(
      `${server} drops jobs when its memory is full, because maxmemory-policy is ${policy}. ` +
        "To fix it, set it to noeviction",
    );
  }
  if (appendOnly === "no") {
    warnings.push(`${server} loses jobs when it ends, because appendonly is no. To fix it, set it to yes`);
  }
  return warnings;
}

/**
 * What {@linkcode takeJobs} does, all at once. The engine itself would remove one job at a time, also those that have
 * ended, and only an event would say which of these it was. The names of the keys are those of BullMQ 3 to 6: the lists
 * `wait` and `paused`, the sorted sets `prioritized` and `delayed`, and in a job's hash `atm` (how often it has ended),
 * `stc` (how often its node was lost) and `finishedOn` (when it ended for good).
 */
const TAKE = `
local states = {}
local evenBegun = table.remove(ARGV, 1) == "1"
for i, id in ipairs(ARGV) do
  local key = KEYS[5] .. id
  local ended, lost, finished = unpack(redis.call("HMGET", key, "atm", "stc", "finishedOn"))
  local isBegun = not finished and (tonumber(ended or 0) > 0 or tonumber(lost or 0) > 0)
  states[i] = isBegun and "begun" or "away"
  if (evenBegun or not isBegun) and (
    redis.call("LREM", KEYS[1], 1, id) == 1 or redis.call("ZREM", KEYS[2], id) == 1 or
    redis.call("ZREM", KEYS[3], id) == 1 or redis.call("LREM", KEYS[4], 1, id) == 1
  ) then
    redis.call("DEL", key)
    states[i] = "taken"
  end
end
return states`;

/**
 * What {@linkcode takeJobs} says of a job:
 *
 * - `"taken"`: it waited in the queue, and is taken out of it.
 * - `"begun"`: it was not taken, and goes on. A node has begun it before: it has failed, or the node was lost.
 * - `"away"`: it was not taken. A node has it for the first time, or it is over, or the server does not know it.
 */
export type TakenState = "taken" | "begun" | "away";

/**
 * Takes jobs out of the queue that wait there.
 *
 * @param start What the keys of the queue begin with.
 * @param ids The jobs; the last ones added are found soonest.
 * @param evenBegun Also those that a node has begun before, and that wait to be tried again.
 */
export async function takeJobs(
  client: Redis,
  start: string,
  ids: readonly string[],
  evenBegun = false,
): Promise<TakenState[]> {
  const keys = ["wait", "prioritized", "delayed", "paused", ""].map((name) => start + name);
  return await client.eval(TAKE, keys.length, ...keys, evenBegun ? "1" : "0", ...ids) as TakenState[];
}

/** What {@linkcode noteOutcomes} does. */
const NOTE = `if redis.call("EXISTS", KEYS[1]) == 1 then redis.call("HSET", KEYS[1], unpack(ARGV)) end`;

/**
 * Writes outcomes of tasks into the hash of their job, which goes on. If that is gone, nothing is written: nobody would
 * ever remove it.
 *
 * @param outcomes By their places in the job.
 */
export async function noteOutcomes(client: Redis, key: string, outcomes: ReadonlyMap<number, Outcome>): Promise<void> {
  const fields = [...outcomes].flatMap(([place, outcome]) => [outcomeField(place), JSON.stringify(outcome)]);
  await client.eval(NOTE, 1, key, ...fields);
}
