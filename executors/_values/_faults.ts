/**
 * What of a thrown error cannot cross. The error matters more than its properties, so it arrives without these, and
 * names them.
 *
 * @module
 */

/** The step from an object to something that it holds: a key, or a place. */
export type Step = string | number;

/** For each error, its properties that cannot cross, and what the receiver is told of each. */
export type LeftOut = Map<unknown, Map<string, string>>;

/** Something that cannot cross, and the number of the object that holds it; -1 for the value itself. */
interface Fault {
  readonly parent: number;
  readonly step: Step;
  /** The path from there to what cannot cross. */
  readonly below: string;
  readonly reason: string;
}

/** What this module asks of the value, whose objects have numbers. */
interface Objects {
  /** The error that an object is, if it is one. */
  errorAt(index: number): unknown;
  stepText(parent: number, step: Step): string;
}

/** So many characters of a path are told. */
const MAX_PATH = 200;

/** Collects what cannot cross, to find out afterwards which properties of errors lead to it. */
export class Faults {
  readonly #faults: Fault[] = [];
  readonly #things: [index: number, reason: string][] = [];
  readonly #referrers = new Map<number, [parent: number, step: Step][]>();

  get isEmpty(): boolean {
    return this.#faults.length + this.#things.length === 0;
  }

  /** Takes note of an object that refers to another one. */
  refer(parent: number, step: Step, index: number): void {
    const referrers = this.#referrers.get(index);
    if (referrers === undefined) this.#referrers.set(index, [[parent, step]]);
    else referrers.push([parent, step]);
  }

  /** Takes note of something that cannot cross and is no object. */
  add(parent: number, step: Step, reason: string): void {
    this.#faults.push({ parent, step, below: "", reason });
  }

  /** Takes note of an object that cannot cross. */
  addThing(index: number, reason: string): void {
    this.#things.push([index, reason]);
  }

  /**
   * Goes back from what cannot cross to the properties of errors that lead to it.
   *
   * @returns Where something is to which no property of an error leads, and why it cannot cross.
   */
  leaveOut(leftOut: LeftOut, objects: Objects): { path: string; reason: string } | undefined {
    const faults = this.#faults;
    const seen = new Set<number>();
    const blame = (index: number, below: string, reason: string) => {
      if (seen.has(index)) return;
      seen.add(index);
      for (const [parent, step] of this.#referrers.get(index) ?? []) faults.push({ parent, step, below, reason });
    };
    for (const [index, reason] of this.#things) blame(index, "", reason);
    for (const { parent, step, below, reason } of faults) {
      if (parent === -1) return { path: `error${below}`, reason };
      const path = objects.stepText(parent, step) + below;
      const error = objects.errorAt(parent);
      if (error === undefined) blame(parent, path, reason);
      else {
        let properties = leftOut.get(error);
        if (properties === undefined) leftOut.set(error, properties = new Map());
        const whole = path.replace(/^\./, "");
        // The path of what is nested too deeply is of no use to anybody.
        const what = whole.length > MAX_PATH ? `${whole.slice(0, MAX_PATH)}…` : whole;
        properties.set(String(step), reason.startsWith("its getter throws") ? `${what}: ${reason}` : what);
      }
    }
  }
}
