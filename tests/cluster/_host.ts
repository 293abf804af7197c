/** Nodes that share one process: most tests look at what a node does, not at how its program starts and ends. */
import { assert } from "@std/assert";
import type { Permissions } from "../../executors/cluster/_node_pool.ts";
import type { HostAnswer, HostCommand } from "../fixtures/programs/cluster_host.ts";
import { temporaryPath, within } from "../_helpers.ts";

const HOST = import.meta.resolve("../fixtures/programs/cluster_host.ts");

/** As the options of the command that starts a node. */
export interface HostedNodeOptions {
  readonly redis: string;
  readonly queue: string;
  readonly modules: { readonly [name: string]: string };
  readonly workers: number;
  readonly permissions?: Permissions;
  readonly lock?: number;
}

/** The process. It reads nothing while no node starts or ends: what a test begins is to end in it. */
export class Host implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;
  /** The last line that it has printed, as far as that has come. */
  #line = "";
  readonly #errors = temporaryPath("stderr");
  readonly #waiting = new Map<string, PromiseWithResolvers<HostAnswer>>();
  #isReading = false;
  #count = 0;

  constructor() {
    const args = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", HOST];
    this.#process = new Deno.Command("sh", {
      args: ["-c", 'file=$1; shift; exec "$@" 2> "$file"', "sh", this.#errors, ...args],
      stdin: "piped",
      stdout: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#output = this.#process.stdout.getReader();
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** What its nodes have written to stderr so far. */
  get stderr(): string {
    return Deno.readTextFileSync(this.#errors);
  }

  /** Reads answers while somebody waits for one. */
  async #hear(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#waiting.size > 0) {
      const { value } = await this.#output.read();
      const lines = (this.#line + new TextDecoder().decode(value)).split("\n");
      this.#line = lines.pop()!;
      const answers: HostAnswer[] = value === undefined
        ? Array.from(this.#waiting.keys(), (name) => ({ name, problem: `The host has ended: ${this.stderr}` }))
        : lines.map((line) => JSON.parse(line));
      for (const answer of answers) {
        this.#waiting.get(answer.name)!.resolve(answer);
        this.#waiting.delete(answer.name);
      }
    }
    this.#isReading = false;
  }

  async #tell(command: HostCommand): Promise<void> {
    const answered = Promise.withResolvers<HostAnswer>();
    this.#waiting.set(command.name, answered);
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
    void this.#hear();
    const { problem } = await within(answered.promise, `the host and ${command.name}`, 20_000);
    assert(problem === undefined, problem);
  }

  /** Starts a node and waits until it takes jobs. */
  async start(
    { redis, queue, permissions = "inherit", lock = 10_000, ...more }: HostedNodeOptions,
  ): Promise<HostedNode> {
    const name = `hosted-${++this.#count}`;
    await this.#tell({ name, start: { address: { redis, queue, prefix: "bull" }, permissions, lock, ...more } });
    return new HostedNode(this, name, () => this.#tell({ name }));
  }

  /** Ends its nodes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#process.status;
    await this.#output.cancel();
  }

  /** Ends it when a test has failed. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this[Symbol.asyncDispose]();
  }
}

/** A node of it. */
export class HostedNode implements AsyncDisposable {
  readonly #host: Host;
  readonly name: string;
  readonly #end: () => Promise<void>;
  #ended: Promise<void> | undefined;

  constructor(host: Host, name: string, end: () => Promise<void>) {
    this.#host = host;
    this.name = name;
    this.#end = end;
  }

  /** What it has written to stderr so far. */
  get stderr(): string {
    const lines = this.#host.stderr.split("\n").filter((line) => line.startsWith(`${this.name}: `));
    return lines.map((line) => `${line}\n`).join("");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#ended ??= this.#end());
  }
}
