/**
 * How a row is measured: all its contestants in one run, round after round, each round in another order.
 *
 * @module
 */

import { type Contestant, contestantsOf, type Machine } from "./contestants.ts";
import { NoFigure, type Outcome, Program } from "./_program.ts";
import type { Row } from "./rows.ts";

/** What the rounds of one contestant gave. */
export interface Figure {
  name: string;
  family: Contestant["family"];
  median: number;
  min: number;
  max: number;
  values: number[];
  /** Of the round that was nearest to the median. */
  detail?: unknown;
}

/** Why a contestant has no figure. */
export interface Absence {
  name: string;
  family: Contestant["family"];
  reason: string;
  /** Whether it failed, and does not just lack the thing. */
  isFault: boolean;
}

export interface Measured {
  figures: Figure[];
  absences: Absence[];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Seconds for a contestant to start and be prepared. */
const START_LIMIT = 15;
const ROUND_LIMIT = 20;

/** Who takes so many times as long as the best one is measured in two rounds only. */
const HOPELESS = 10;

/** A contestant in a row: its program stays alive from round to round, unless the row wants new ones. */
class Entry {
  readonly outcomes: Outcome[] = [];
  absence: Absence | undefined;
  #program: Program | undefined;

  constructor(readonly contestant: Contestant, readonly row: Row) {}

  /** Starts its program and warms it up. */
  async prepare(): Promise<void> {
    const { group, work, params } = this.row;
    await this.#try(async () => {
      this.#program = new Program(this.contestant);
      const request = { work, group: group === "growth" ? "threads" : group, params: this.#params(params) };
      await this.#program.ask({ open: request }, START_LIMIT);
      // Functions run unoptimized at first.
      if (!this.row.unwarmed) await this.#program.ask({ run: true }, this.#limit);
    });
  }

  async round(): Promise<void> {
    await this.#try(async () => {
      this.outcomes.push(await this.#program!.ask({ run: true }, this.#limit) as Outcome);
    });
  }

  /** Its best round so far. */
  get best(): number {
    return Math.min(...this.outcomes.map(({ value }) => value));
  }

  async end(): Promise<void> {
    await this.#program?.end();
    this.#program = undefined;
  }

  figure(): Figure {
    const { name, family } = this.contestant;
    const values = this.outcomes.map(({ value }) => value);
    const middle = median(values);
    const nearest = this.outcomes.toSorted((a, b) => Math.abs(a.value - middle) - Math.abs(b.value - middle))[0];
    return {
      name,
      family,
      median: middle,
      min: Math.min(...values),
      max: Math.max(...values),
      values,
      detail: nearest.detail,
    };
  }

  get #limit(): number {
    return this.row.limit ?? ROUND_LIMIT;
  }

  #params(params: Row["params"]): Row["params"] {
    const { family, wait } = this.contestant;
    if (wait !== undefined) return { ...params, wait };
    // Python cannot await its futures, so it blocks.
    if (family === "python" && params.wait === "await") return { ...params, wait: undefined };
    // One item after the other is Python's default for map, which takes 60 µs in processes: that comparison would
    // flatter.
    if (family === "python" && this.row.id === "15") return { ...params, chunksize: 1_000 };
    if (family === "floor" && params.wait === "block") return { ...params, wait: undefined };
    return params;
  }

  /** Once it has failed it is out. */
  async #try(work: () => Promise<void>): Promise<void> {
    if (this.absence) return;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof NoFigure)) throw error;
      const { name, family } = this.contestant;
      this.absence = { name, family, reason: error.message, isFault: error.isFault };
      await this.end();
    }
  }
}

/** Measures a row. Programs of contestants that fail or hang are ended, and the others go on. */
export async function measure(row: Row, machine: Machine, rounds: number, withPeers: boolean): Promise<Measured> {
  const entries = contestantsOf(row, machine, withPeers).map((contestant) => new Entry(contestant, row));
  if (!row.fresh) { for (const entry of entries) await entry.prepare(); }
  for (let round = 0; round < rounds; round++) {
    // Nobody comes always first, or always after the same neighbour.
    const turn = round % 2 ? -1 : 1;
    const order = entries.map((_, i) => entries[(turn * i + 3 * round + entries.length) % entries.length]);
    const best = Math.min(...entries.map((entry) => entry.best));
    for (const entry of order) {
      // What is so far behind is known well enough, and would take most of the time.
      if (!row.more && round >= 2 && entry.best > HOPELESS * best && entry.contestant.family !== "ours") continue;
      if (row.fresh) await entry.prepare();
      await entry.round();
      if (row.fresh) await entry.end();
    }
  }
  for (const entry of entries) await entry.end();
  return {
    figures: entries.filter(({ absence }) => !absence).map((entry) => entry.figure()),
    absences: entries.flatMap(({ absence }) => absence ?? []),
  };
}
