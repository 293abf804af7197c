/**
 * What of a thrown error cannot cross: an error is worth more than its properties, so they are left out and named.
 *
 * @module
 */

/** How something is reached from the object that holds it: by a key, or by its place. */
export type Step = string | number;

/** Properties of errors that cannot cross, and what is said of each. */
export type LeftOut = Map<unknown, Map<string, string>>;

/** Something that cannot cross, by what holds it. Of the value itself that is -1. */
interface Fault {
  readonly parent: number;
  readonly step: Step;
  /** The path from there. */
  readonly below: string;
  readonly reason: string;
}

/** What is asked of a value whose objects have numbers. */
interface Objects {
  /** The error that an object is, if it is one. */
  errorAt(index: number): unknown;
  stepText(parent: number, step: Step): string;
}

/** How much of a path is told, in characters. */
const MAX_PATH = 200;

/** Collects what cannot cross, to find out afterwards which properties of errors that concerns. */
export class Faults {
  readonly #faults: Fault[] = [];
  readonly #things: [index: number, reason: string][] = [];
  readonly #referrers = new Map<number, [parent: number, step: Step][]>();

  get isEmpty(): boolean {
    return this.#faults.length + this.#things.length === 0;
  }

  /** Takes note of who refers to an object. */
  refer(parent: number, step: Step, index: number): void {
    const referrers = this.#referrers.get(index);
    if (referrers === undefined) this.#referrers.set(index, [[parent, step]]);
    else referrers.push([parent, step]);
  }

  /** Takes note of something that is no object. */
  add(parent: number, step: Step, reason: string): void {
    this.#faults.push({ parent, step, below: "", reason });
  }

  /** Takes note of an object. */
  addThing(index: number, reason: string): void {
    this.#things.push([index, reason]);
  }

  /**
   * Goes from what cannot cross back to the properties of errors by which it is reached.
   *
   * @returns Where something is that no error holds, and what is wrong with it.
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
        // Where it is nested too deeply, the path is of no use to anybody.
        const what = whole.length > MAX_PATH ? `${whole.slice(0, MAX_PATH)}…` : whole;
        properties.set(String(step), reason.startsWith("its getter throws") ? `${what}: ${reason}` : what);
      }
    }
  }
}
