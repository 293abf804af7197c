/**
 * How busy the machine is: a floor that is no library's, before and after each row, and what it says about the row.
 *
 * @module
 */

import process from "node:process";
import { startModule } from "./_floors.ts";

/** What the same short piece of work took at one moment. */
export interface Floor {
  /** Milliseconds in which two threads compute at once. Other programs on the cores make it longer. */
  compute: number;
  /** Milliseconds in which two threads wake each other many times, with some computing in between. */
  relay: number;
  /** How many cores the two threads had while they computed, on average: CPU time divided by time. */
  cores: number;
}

/** The floors around a measurement. */
export interface Span {
  before: Floor;
  after: Floor;
}

/** What `results.json` says about the noise in a row. */
export interface Noise extends Span {
  /** How many times the quietest floor of the run the slower one of the two took. */
  ratio: number;
  /** Whether that is too much to trust the figures. */
  isNoisy: boolean;
  /** How often the row was measured. The attempt with the quietest floors counts. */
  attempts: number;
}

/** A floor that took more than so many times the quietest one of the run was disturbed. */
export const LIMIT = 1.5;

/** A noisy row is measured so many times in all. */
export const ATTEMPTS = 3;

/** Of each core that two threads want, a quiet machine gives them at least this part. */
const SHARE = 0.9;

/** The quietest floor of several: the least of each time. */
export function quietestOf(floors: readonly Floor[]): Pick<Floor, "compute" | "relay"> {
  return {
    compute: Math.min(...floors.map(({ compute }) => compute)),
    relay: Math.min(...floors.map(({ relay }) => relay)),
  };
}

/**
 * How many times the quietest floor the slower one of a span took. As the quietest one is never slower than either of
 * the two, a floor that moved by more than half between them gives more than {@linkcode LIMIT} as well.
 */
export function noiseOf({ before, after }: Span, quietest: Pick<Floor, "compute" | "relay">): number {
  const compute = Math.max(before.compute, after.compute) / quietest.compute;
  const relay = Math.max(before.relay, after.relay) / quietest.relay;
  return Math.max(compute, relay);
}

/** The floors of one run, and the rows measured between them. */
export class Watch {
  readonly floors: Floor[] = [];
  readonly #take: () => Floor;

  /** @param take Takes a floor of the machine now. */
  constructor(take: () => Floor) {
    this.#take = take;
  }

  /** Takes a floor. */
  take(): Floor {
    const floor = this.#take();
    this.floors.push(floor);
    return floor;
  }

  /**
   * Measures between two floors, again while these are noisy, and at most {@linkcode ATTEMPTS} times.
   *
   * @param work Measures once.
   * @returns What the attempt with the quietest floors gave.
   */
  async measure<T>(work: () => Promise<T>): Promise<{ value: T; noise: Noise }> {
    const tries: { value: T; span: Span }[] = [];
    do {
      const before = this.take();
      const value = await work();
      tries.push({ value, span: { before, after: this.take() } });
    } while (this.judge(tries.at(-1)!.span, 1).isNoisy && tries.length < ATTEMPTS);
    const quietest = quietestOf(this.floors);
    const { value, span } = tries.toSorted((a, b) => noiseOf(a.span, quietest) - noiseOf(b.span, quietest))[0];
    return { value, noise: this.judge(span, tries.length) };
  }

  /** Judges a span by all floors up to now: a later one may be the quietest. */
  judge({ before, after }: Span, attempts: number): Noise {
    const ratio = noiseOf({ before, after }, quietestOf(this.floors));
    return { before, after, ratio, isNoisy: ratio > LIMIT, attempts };
  }
}

/**
 * Whether the machine was quiet during a run: no row is noisy, and two computing threads had their cores in the median
 * floor. The second half finds a load that is always there: then even the quietest floor is slow.
 */
export function isQuiet(floors: readonly Floor[], noisy: number, cores: number): boolean {
  return noisy === 0 && middleOf(floors.map((floor) => floor.cores)) >= SHARE * Math.min(2, cores);
}

function middleOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** The head of a report: the floors of the run, and what they say. */
export function describeFloors(floors: readonly Floor[], noises: readonly Noise[], cores: number): string {
  const times = (key: "compute" | "relay") => {
    const values = floors.map((floor) => floor[key]);
    return [Math.min(...values), middleOf(values), Math.max(...values)].map((value) => value.toFixed(0)).join(" / ");
  };
  const noisy = noises.filter(({ isNoisy }) => isNoisy).length;
  const again = noises.filter(({ attempts }) => attempts > 1).length;
  const had = middleOf(floors.map((floor) => floor.cores)).toFixed(2);
  return [
    `${isQuiet(floors, noisy, cores) ? "Quiet" : "Busy"} machine: ${noisy} of ${noises.length} rows noisy, ` +
    `${again} measured again`,
    `Floors of the machine in ms, minimum / median / maximum of ${floors.length}: computing ${times("compute")}, ` +
    `waking ${times("relay")}`,
    `Two computing threads had ${had} of ${Math.min(2, cores)} cores (median)`,
  ].join("\n");
}

/** What the sign beside a figure means. */
export const NOISY_SIGN = "~";
export const NOISY_MEANING = `${NOISY_SIGN} noisy: the machine did other work, too; a floor before or after the row ` +
  `took over ${LIMIT} times the quietest of the run`;

const COMPUTE_STEPS = 30_000_000;
const RELAYS = 800;
const RELAY_STEPS = 20_000;

/** Words of shared memory: what is asked, what is answered, the steps to compute, where their results go. */
const [ASKED, ANSWERED, STEPS, OURS, THEIRS] = [0, 1, 2, 3, 4];

function compute(steps: number): number {
  let x = 1;
  for (let i = 0; i < steps; i++) x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
  return x;
}

/** Takes floors of this machine, each some 0.1 s on a quiet one. Its worker sleeps in between. */
export class MachineFloor {
  readonly #words = new Int32Array(new SharedArrayBuffer(20));
  readonly #worker = startModule(`${compute}
    onmessage = ({ data: words }) => {
      for (let seen = 0;;) {
        Atomics.wait(words, ${ASKED}, seen);
        seen = Atomics.load(words, ${ASKED});
        if (words[${STEPS}] === 0) return;
        words[${THEIRS}] = compute(words[${STEPS}]);
        Atomics.store(words, ${ANSWERED}, seen);
        Atomics.notify(words, ${ANSWERED});
      }
    }`);

  constructor() {
    this.#worker.postMessage(this.#words);
  }

  /** Resolves when the worker is there, and both threads run optimized code. */
  async start(): Promise<void> {
    this.#ask(1);
    while (Atomics.load(this.#words, ANSWERED) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    this.take();
  }

  /** Blocks this thread. */
  take(): Floor {
    const { user, system } = process.cpuUsage();
    const start = performance.now();
    this.#ask(COMPUTE_STEPS);
    this.#words[OURS] = compute(COMPUTE_STEPS);
    this.#wait();
    const middle = performance.now();
    const used = process.cpuUsage();
    for (let i = 0; i < RELAYS; i++) {
      this.#ask(RELAY_STEPS);
      this.#wait();
      this.#words[OURS] = compute(RELAY_STEPS);
    }
    const cores = (used.user + used.system - user - system) / 1_000 / (middle - start);
    return { compute: middle - start, relay: performance.now() - middle, cores };
  }

  #ask(steps: number): void {
    this.#words[STEPS] = steps;
    Atomics.add(this.#words, ASKED, 1);
    Atomics.notify(this.#words, ASKED);
  }

  #wait(): void {
    const asked = Atomics.load(this.#words, ASKED);
    for (let answered; (answered = Atomics.load(this.#words, ANSWERED)) !== asked;) {
      Atomics.wait(this.#words, ANSWERED, answered);
    }
  }

  [Symbol.dispose](): void {
    // A sleeping thread does not notice that it is terminated.
    this.#ask(0);
    this.#worker.terminate();
  }
}
