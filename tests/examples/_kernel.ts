/**
 * Deno's kernel for Jupyter, driven without Jupyter: what a notebook says to it over ZeroMQ.
 *
 * A message is a list of frames. Those of ZeroMQ begin with a byte of flags and a length; of those that Jupyter sends,
 * the last four are JSON, and one is their signature. https://rfc.zeromq.org/spec/23 and
 * https://jupyter-client.readthedocs.io/en/stable/messaging.html tell both.
 *
 * @module
 */

import { fail } from "@std/assert";
import { createHmac } from "node:crypto";
import { sleep, temporaryPath, within } from "../_helpers.ts";

const MORE = 1;
const LONG = 2;
const COMMAND = 4;

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** A frame; of up to 255 bytes, as all are that this sends, but for the longest cells. */
function frame(flags: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  if (body.length < 256) return concat(new Uint8Array([flags, body.length]), body);
  const head = new DataView(new ArrayBuffer(9));
  head.setUint8(0, flags | LONG);
  head.setBigUint64(1, BigInt(body.length));
  return concat(new Uint8Array(head.buffer), body);
}

/** A connection by ZeroMQ, as one of its kinds of sockets. */
class Socket implements Disposable {
  readonly #connection: Deno.TcpConn;
  #read = new Uint8Array();

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async connect(port: number, kind: "DEALER" | "SUB"): Promise<Socket> {
    const socket = new Socket(await Deno.connect({ hostname: "127.0.0.1", port }));
    const greeting = new Uint8Array(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, ...encode("NULL")]);
    await socket.#write(greeting);
    await socket.#take(64);
    const property = (name: string, value: string) =>
      concat(new Uint8Array([name.length]), encode(name), new Uint8Array([0, 0, 0, value.length]), encode(value));
    const ready = concat(new Uint8Array([5]), encode("READY"), property("Socket-Type", kind), property("Identity", ""));
    await socket.#write(frame(COMMAND, ready));
    await socket.#takeFrame();
    if (kind === "SUB") await socket.send([new Uint8Array([1])]); // to everything
    return socket;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  /** The next bytes. */
  async #take(length: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(65_536);
    while (this.#read.length < length) {
      const count = await this.#connection.read(buffer) ?? fail("the kernel has closed the connection");
      this.#read = concat(this.#read, buffer.subarray(0, count));
    }
    const taken = this.#read.subarray(0, length);
    this.#read = this.#read.slice(length);
    return taken;
  }

  async #takeFrame(): Promise<{ flags: number; body: Uint8Array }> {
    const [flags] = await this.#take(1);
    const size = await this.#take(flags & LONG ? 8 : 1);
    const length = flags & LONG ? Number(new DataView(size.slice().buffer).getBigUint64(0)) : size[0];
    return { flags, body: await this.#take(length) };
  }

  async send(frames: readonly Uint8Array[]): Promise<void> {
    for (const [i, body] of frames.entries()) await this.#write(frame(i < frames.length - 1 ? MORE : 0, body));
  }

  async receive(): Promise<Uint8Array[]> {
    const frames: Uint8Array[] = [];
    while (true) {
      const { flags, body } = await this.#takeFrame();
      if (flags & COMMAND) continue;
      frames.push(body);
      if (!(flags & MORE)) return frames;
    }
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}

/** What Jupyter and a kernel say to each other. */
interface Message {
  header: { msg_type: string };
  parent: { msg_id?: string };
  // deno-lint-ignore no-explicit-any -- each type has fields of its own
  content: any;
}

const KEY = "key";
const DELIMITER = "<IDS|MSG>";

function read(frames: readonly Uint8Array[]): Message {
  const texts = frames.map(decode);
  const [header, parent, , content] = texts.slice(texts.indexOf(DELIMITER) + 2).map((text) => JSON.parse(text));
  return { header, parent, content };
}

/** What a cell has come to. */
export interface Cell {
  /** Its value, or its error, as the notebook shows it. */
  result: string;
  /** What it has printed. */
  printed: string;
}

/** A kernel that runs. */
export class Kernel implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  #shell!: Socket;
  #events!: Socket;
  /** By the messages that ask for them. */
  readonly #cells = new Map<string, Cell>();

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
  }

  /** Starts one in a folder, and waits until it answers. */
  static async start(cwd: string): Promise<Kernel> {
    const listeners = Array.from({ length: 5 }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
    const ports = listeners.map((listener) => listener.addr.port);
    for (const listener of listeners) listener.close();
    const path = `${temporaryPath("kernel")}.json`;
    const names = ["shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"];
    Deno.writeTextFileSync(
      path,
      JSON.stringify({
        ...{ ip: "127.0.0.1", transport: "tcp", signature_scheme: "hmac-sha256", key: KEY },
        ...Object.fromEntries(names.map((name, i) => [name, ports[i]])),
      }),
    );
    const process = new Deno.Command(Deno.execPath(), {
      args: ["jupyter", "--kernel", "--conn", path],
      cwd,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const kernel = new Kernel(process);
    try {
      await within(kernel.#connect(ports[0], ports[1]), "the kernel that starts");
    } catch (error) {
      await kernel[Symbol.asyncDispose]();
      throw error;
    }
    return kernel;
  }

  async #connect(shell: number, events: number): Promise<void> {
    const connect = async (port: number, kind: "DEALER" | "SUB") => {
      while (true) {
        try {
          return await Socket.connect(port, kind);
        } catch (error) {
          if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
          await sleep(20); // it does not listen yet
        }
      }
    };
    this.#events = await connect(events, "SUB");
    this.#shell = await connect(shell, "DEALER");
    // It says nothing to us before it knows that we listen.
    let hears = false;
    void this.#events.receive().then(() => hears = true);
    while (!hears) {
      await this.#send("kernel_info_request", {});
      await this.#shell.receive();
      await sleep(20);
    }
  }

  async #send(type: string, content: object): Promise<string> {
    const id = crypto.randomUUID();
    const header = { msg_id: id, session: "test", username: "test", date: new Date().toISOString(), version: "5.3" };
    const parts = [{ ...header, msg_type: type }, {}, {}, content].map((part) => encode(JSON.stringify(part)));
    const signature = createHmac("sha256", KEY).update(concat(...parts)).digest("hex");
    await this.#shell.send([encode(DELIMITER), encode(signature), ...parts]);
    return id;
  }

  /**
   * Runs a cell, within a bound. The kernel may say that it is done before it tells a value, so what waits for one must
   * say so; what comes without being waited for is added to the cell later.
   */
  run(code: string, shows: boolean): Promise<Cell> {
    return within(this.#run(code, shows), `the cell ${code}`);
  }

  async #run(code: string, shows: boolean): Promise<Cell> {
    const id = await this.#send("execute_request", { code, silent: false, store_history: true, allow_stdin: false });
    const cell: Cell = { result: "", printed: "" };
    this.#cells.set(id, cell);
    for (let isDone = false; !isDone || shows && cell.result + cell.printed === "";) {
      const { header: { msg_type }, parent: { msg_id = "" }, content } = read(await this.#events.receive());
      const shown = this.#cells.get(msg_id);
      if (shown === undefined) continue;
      if (msg_type === "stream") shown.printed += content.text;
      else if (msg_type === "execute_result") shown.result = content.data["text/plain"];
      else if (msg_type === "error") shown.result = `${content.ename}: ${content.evalue}`;
      else if (msg_type === "status" && content.execution_state === "idle" && shown === cell) isDone = true;
    }
    await this.#shell.receive();
    return cell;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shell?.[Symbol.dispose]();
    this.#events?.[Symbol.dispose]();
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }
}
