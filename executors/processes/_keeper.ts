/**
 * Kills the children of a program that has died without ending them. A child cannot see that while a task computes,
 * unless it has a thread for that, which takes as long to start as the process itself. So one small process of the
 * system's shell looks after all children of a pool: it reads their numbers from a pipe, and when that ends, it kills
 * those that are left.
 *
 * @module
 */

const SHELL = "/bin/sh";

/**
 * What the shell runs. It leaves its work to a process of its own and ends, so that this program has no other child
 * than those of its pools. That one ignores a Ctrl-C, as children do: what it ends is the program's decision. Each line
 * has the numbers of all children.
 */
const SCRIPT = `exec 3<&0
{
  trap '' HUP INT QUIT TERM
  while read -r line; do pids=$line; done
  [ -z "$pids" ] || kill -9 $pids
} <&3 3<&- &`;

const encoder = new TextEncoder();

/** See above. */
export class Keeper {
  readonly #pids = new Set<number>();
  #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #hasFailed = false;
  /** Resolves when the shell that was started last has left its work to a process that is no child of this program. */
  #left: Promise<unknown> = Promise.resolve();

  /** Whether this program may start a shell. */
  static isPossible(): boolean {
    // Nobody would reap that process where this one is the first of its container.
    if (Deno.build.os === "windows" || Deno.pid === 1) return false;
    return Deno.permissions.querySync({ name: "run", command: SHELL }).state === "granted";
  }

  /** Resolves when this program has no child that does this work: a moment after it was started. */
  get left(): Promise<unknown> {
    return this.#left;
  }

  /** Kills a child when this program dies; `false` where that is not sure. */
  keep(pid: number): boolean {
    this.#pids.add(pid);
    if (this.#hasFailed) return false;
    try {
      this.#writer ??= this.#start();
    } catch {
      this.#hasFailed = true;
      return false;
    }
    this.#tell();
    return true;
  }

  /** A child has ended. The shell ends with the last one. */
  forget(pid: number): void {
    if (!this.#pids.delete(pid) || this.#writer === undefined) return;
    this.#tell();
    if (this.#pids.size > 0) return;
    void this.#writer.close().catch(() => {});
    this.#writer = undefined;
  }

  #start(): WritableStreamDefaultWriter<Uint8Array> {
    const process = new Deno.Command(SHELL, {
      args: ["-c", SCRIPT],
      cwd: "/",
      clearEnv: true,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#left = process.status.catch(() => {});
    const writer = process.stdin.getWriter();
    // A shell that has died: the next children look after themselves.
    writer.closed.catch(() => {
      if (this.#writer !== writer) return;
      this.#writer = undefined;
      this.#hasFailed = true;
    });
    return writer;
  }

  #tell(): void {
    this.#writer!.write(encoder.encode(`${[...this.#pids].join(" ")}\n`)).catch(() => {});
  }
}
