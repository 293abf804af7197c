/** A real Redis server for a test: on a free port of this machine, in a folder of its own, gone after the test. */
import type { Redis } from "ioredis";
import { connect } from "../../executors/cluster/_connection.ts";
import { BOUND, sleep, temporaryPath } from "../_helpers.ts";

const SERVER = "redis-server";

/** Whether there is a server to test with. */
export const hasServer: boolean = (() => {
  try {
    return new Deno.Command(SERVER, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
})();

/** A port that nobody listens on just now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** A server, with its data on disk: it can be killed and started again. */
export class RedisServer implements AsyncDisposable {
  readonly port: number = freePort();
  readonly #folder = temporaryPath("redis");
  readonly #options: readonly string[];
  #process: Deno.ChildProcess | undefined;

  constructor(options: readonly string[] = []) {
    this.#options = options;
    Deno.mkdirSync(this.#folder, { recursive: true });
  }

  static async start(...options: string[]): Promise<RedisServer> {
    const server = new RedisServer(options);
    await server.start();
    return server;
  }

  get pid(): number {
    return this.#process!.pid;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** A connection of the test's own. */
  connect(): Redis & AsyncDisposable {
    const client = connect({ redis: this.url, queue: "", prefix: "" });
    client.connect().catch(() => {});
    return Object.assign(client, {
      [Symbol.asyncDispose]: async () => {
        // The server takes part in the end, and ioredis has a timer until then.
        const isOpen = ["connecting", "connect", "ready"].includes(client.status);
        const end = isOpen ? new Promise<void>((resolve) => client.once("end", resolve)) : undefined;
        client.disconnect();
        await end;
      },
    });
  }

  async start(): Promise<void> {
    this.#process = new Deno.Command(SERVER, {
      args: [
        ...["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.#folder],
        ...["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", ""],
        ...this.#options,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const end = performance.now() + BOUND;
    while (!await this.#answers()) {
      if (performance.now() > end) throw new Error(`redis-server does not answer on port ${this.port}`);
      await sleep(10);
    }
  }

  /** Whether it has read its data and takes commands. */
  async #answers(): Promise<boolean> {
    try {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
      await connection.write(new TextEncoder().encode("PING\r\n"));
      const buffer = new Uint8Array(16);
      const length = await connection.read(buffer);
      return length !== null && new TextDecoder().decode(buffer.subarray(0, length)).startsWith("+PONG");
    } catch {
      return false;
    }
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  /** Sends it a signal that does not end it. */
  signal(signal: Deno.Signal): void {
    this.#process!.kill(signal);
  }

  /** Sends it a signal, and waits until it has ended. */
  async end(signal: Deno.Signal): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined) return;
    process.kill(signal);
    await process.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGTERM");
    Deno.removeSync(this.#folder, { recursive: true });
  }
}
