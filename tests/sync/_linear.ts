/**
 * Whether a history of calls that overlap is linearizable: whether each call can be given one moment between its
 * beginning and its end, so that one thread that makes the calls in the order of these moments sees the same results.
 *
 * The search is that of Wing and Gong, with Lowe's memory of what has been tried.
 *
 * @see {@link https://doi.org/10.1145/78969.78972 | M. Herlihy, J. Wing: Linearizability (1990)}
 * @see {@link https://doi.org/10.1006/jpdc.1993.1015 | J. Wing, C. Gong: Testing and Verifying Concurrent Objects}
 * @see {@link https://doi.org/10.1002/cpe.3928 | G. Lowe: Testing for Linearizability (2017)}
 */

/** A call that was made: when it began and ended, as numbers that grow, what it was, and what came of it. */
export interface Call {
  readonly thread: number;
  readonly begin: number;
  readonly end: number;
  readonly what: string;
  readonly given?: unknown;
  readonly result: unknown;
}

/** A sequential object: its state, which is JSON, and what comes of a call. */
export interface Model<S> {
  readonly start: S;
  /** The state after a call; `undefined` where it cannot have had that result. */
  step(state: S, call: Call): S | undefined;
}

/** An order of the calls in which one thread sees their results; `undefined` where there is none. */
export function linearize<S>(calls: readonly Call[], model: Model<S>): Call[] | undefined {
  const order: Call[] = [];
  const tried = new Set<string>();
  const isDone = new Array<boolean>(calls.length).fill(false);
  const search = (state: S): boolean => {
    if (order.length === calls.length) return true;
    const key = isDone.map(Number).join("") + JSON.stringify(state);
    if (tried.has(key)) return false;
    tried.add(key);
    // What has ended before another one began comes before that.
    const firstEnd = Math.min(...calls.filter((_, i) => !isDone[i]).map(({ end }) => end));
    for (const [i, call] of calls.entries()) {
      if (isDone[i] || call.begin > firstEnd) continue;
      const next = model.step(state, call);
      if (next === undefined) continue;
      isDone[i] = true;
      order.push(call);
      if (search(next)) return true;
      isDone[i] = false;
      order.pop();
    }
    return false;
  };
  return search(model.start) ? order : undefined;
}

/** A history as lines to read: who called what from when to when. */
export function show(calls: readonly Call[]): string {
  return calls.toSorted((a, b) => a.begin - b.begin).map(({ thread, begin, end, what, given, result }) =>
    `${String(begin).padStart(4)}–${String(end).padEnd(4)} ${"  ".repeat(thread * 8)}` +
    `${what}(${given === undefined ? "" : JSON.stringify(given)}) → ${JSON.stringify(result)}`
  ).join("\n");
}

/** A lock: who takes it has it alone. */
export const lockModel: Model<boolean> = {
  start: false,
  step(isHeld, { what, result }) {
    if (what === "release") return isHeld ? false : undefined;
    return result === !isHeld ? true : undefined;
  },
};

/** A semaphore with so many permits. */
export function semaphoreModel(permits: number): Model<number> {
  return {
    start: permits,
    step(free, { what, result }) {
      if (what === "release") return free + 1;
      if (result === true) return free > 0 ? free - 1 : undefined;
      return free === 0 ? free : undefined;
    },
  };
}

/** The state of a queue: its items in the order of their coming, and whether it is shut down. */
export interface QueueState {
  readonly items: readonly unknown[];
  readonly isShut: boolean;
}

/** A queue with room for so many items, of which one comes next by its order. */
export function queueModel(maxsize: number, order: "Queue" | "LifoQueue" | "PriorityQueue"): Model<QueueState> {
  const next = (items: readonly unknown[]): number => {
    if (order === "Queue") return 0;
    if (order === "LifoQueue") return items.length - 1;
    const priorities = items.map((item) => (item as [number, unknown])[0]);
    return priorities.indexOf(Math.min(...priorities));
  };
  return {
    start: { items: [], isShut: false },
    step({ items, isShut }, { what, given, result }) {
      if (what === "shutdown") return { items, isShut: true };
      if (result === "shut") return isShut && (what === "put" || items.length === 0) ? { items, isShut } : undefined;
      if (what === "put") {
        const isFull = maxsize > 0 && items.length >= maxsize;
        if (isShut || (result === "full") !== isFull) return undefined;
        return isFull ? { items, isShut } : { items: [...items, given], isShut };
      }
      if (result === "empty") return items.length === 0 && !isShut ? { items, isShut } : undefined;
      const at = next(items);
      if (items.length === 0 || JSON.stringify(items[at]) !== JSON.stringify(result)) return undefined;
      return { items: items.toSpliced(at, 1), isShut };
    },
  };
}
