/** A network that can be cut: a proxy in front of a server, which can stall, deafen or drop its connections. */
export class Proxy implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: number;
  readonly #open = new Set<Deno.TcpConn>();
  /** Those that lead nowhere. */
  readonly #deaf = new Set<Deno.TcpConn>();
  readonly #running: Promise<void>;
  #resume: PromiseWithResolvers<void> | undefined;

  constructor(target: number) {
    this.#target = target;
    this.#running = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #accept(): Promise<void> {
    const pipes: Promise<void>[] = [];
    for await (const incoming of this.#listener) {
      pipes.push((async () => {
        await this.#resume?.promise;
        let outgoing: Deno.TcpConn;
        try {
          outgoing = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
        } catch {
          incoming.close();
          return;
        }
        this.#open.add(incoming).add(outgoing);
        await Promise.all([this.#pipe(incoming, outgoing), this.#pipe(outgoing, incoming)]);
      })());
    }
    await Promise.all(pipes);
  }

  async #pipe(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      while (true) {
        const length = await from.read(buffer);
        if (length === null) break;
        await this.#resume?.promise;
        if (this.#deaf.has(from)) continue;
        for (let i = 0; i < length;) i += await to.write(buffer.subarray(i, length));
      }
    } catch {
      // One side has gone.
    }
    // What leads nowhere does not tell the other side that this one has gone either.
    for (const connection of this.#deaf.has(from) ? [from] : [from, to]) {
      if (!this.#open.delete(connection)) continue;
      try {
        connection.close();
      } catch {
        // It has gone already.
      }
    }
  }

  /** Passes nothing on any more, without a word to either side. */
  stall(): void {
    this.#resume ??= Promise.withResolvers();
  }

  /** Passes on what was held back, and all else. */
  resume(): void {
    this.#resume?.resolve();
    this.#resume = undefined;
  }

  /** Drops what is sent over the connections that there are, without a word to either side; new ones work. */
  deafen(): void {
    for (const connection of this.#open) this.#deaf.add(connection);
  }

  /** Breaks all connections. */
  drop(): void {
    for (const connection of this.#open) {
      this.#open.delete(connection);
      connection.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resume();
    this.#listener.close();
    this.drop();
    await this.#running;
  }
}
