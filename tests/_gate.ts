/** What tasks and tests tell each other in files: that a task has begun, may go on, or has run. */
import { addListener } from "./_census.ts";
import { until, untilSync } from "./_waiting.ts";

let directory: string | undefined;
let files = 0;

/** A path in a directory that is removed when the tests end. Nothing is there yet. */
export function temporaryPath(name = "file"): string {
  if (directory === undefined) {
    directory = Deno.makeTempDirSync({ prefix: "concurrent-futures-" });
    addListener("unload", () => {
      try {
        Deno.removeSync(directory!, { recursive: true });
      } catch { /* a child that was killed may still write there */ }
    });
  }
  return `${directory}/${++files}-${name}`;
}

/**
 * Holds tasks until it is opened, in every kind of worker: `pool.submit(passGate, gate.path)` says in a file that it
 * has arrived and goes on when another file exists. Opens by itself at the end of its block.
 */
export class Gate implements Disposable {
  /** What `passGate` takes. */
  readonly path: string = temporaryPath("gate");

  /** How many tasks have arrived at this gate. */
  arrivals(): number {
    return sizeOf(`${this.path}.arrived`);
  }

  /** Waits until `count` tasks have arrived. */
  arrived(count = 1): Promise<void> {
    return until(() => this.arrivals() >= count, `${count} tasks at the gate (${this.arrivals()} are there)`);
  }

  /** Blocks until `count` tasks have arrived. */
  arrivedSync(count = 1): void {
    untilSync(() => this.arrivals() >= count, `${count} tasks at the gate (${this.arrivals()} are there)`);
  }

  open(): void {
    Deno.writeTextFileSync(`${this.path}.open`, "");
  }

  [Symbol.dispose](): void {
    this.open();
  }
}

/** A file to which tasks add a line each, as their proof that they ran. */
export class Ledger {
  /** What the recording tasks take. */
  readonly path: string = temporaryPath("ledger");

  /** The lines so far. */
  lines(): string[] {
    try {
      return Deno.readTextFileSync(this.path).split("\n").slice(0, -1);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** The lines so far as numbers, sorted. */
  numbers(): number[] {
    return this.lines().map(Number).sort((a, b) => a - b);
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
