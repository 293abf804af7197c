/**
 * Tasks that contend for one object of `sync`, and what they must find: nothing lost, nothing twice. Each notes what it
 * sees in shared memory by atomic operations, which need no lock.
 */
import type { Barrier, Condition, Event, Lock, Queue, Semaphore } from "@concurrent/futures/sync";

/** What tasks note: each field is a word of its own. */
export type Notes = Int32Array;

/** How many threads contend. */
export const THREADS = 4;

/** What threads count without atomic operations, as the object protects it. */
const COUNT = 0;
/** How many are where only so many may be, and the most there were. */
const INSIDE = 1;
const MOST = 2;

/** Memory for notes. */
export function notes(words: number): Notes {
  return new Int32Array(new SharedArrayBuffer(words * 4));
}

/** What the notes of a lock, or of a semaphore, say at the end: how often it was taken, and by how many at once. */
export function seen(notes: Notes): { count: number; most: number } {
  return { count: notes[COUNT], most: notes[MOST] };
}

function enter(notes: Notes): void {
  const inside = Atomics.add(notes, INSIDE, 1) + 1;
  for (let most = notes[MOST]; inside > most; most = Atomics.load(notes, MOST)) {
    if (Atomics.compareExchange(notes, MOST, most, inside) === most) break;
  }
}

function leave(notes: Notes): void {
  Atomics.sub(notes, INSIDE, 1);
}

/** Counts in a lock. */
export function countLocked(lock: Lock, notes: Notes, times: number): void {
  for (let i = 0; i < times; i++) {
    lock.acquire();
    enter(notes);
    notes[COUNT] = notes[COUNT] + 1;
    leave(notes);
    lock.release();
  }
}

/** The same from the event loop. */
export async function countLockedAsync(lock: Lock, notes: Notes, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await lock.acquireAsync();
    enter(notes);
    notes[COUNT] = notes[COUNT] + 1;
    leave(notes);
    lock.release();
  }
}

/** Counts in a lock that is taken twice. */
export function countLockedTwice(lock: Lock, notes: Notes, times: number): void {
  for (let i = 0; i < times; i++) {
    using _outer = lock.hold();
    enter(notes);
    {
      using _inner = lock.hold();
      notes[COUNT] = notes[COUNT] + 1;
    }
    leave(notes);
  }
}

/** Counts with a permit. */
export function countPermitted(semaphore: Semaphore, notes: Notes, times: number): void {
  for (let i = 0; i < times; i++) {
    semaphore.acquire();
    enter(notes);
    Atomics.add(notes, COUNT, 1);
    leave(notes);
    semaphore.release();
  }
}

/** The place for one item that a condition protects: the item, or 0 for none. */
const PLACE = 0;

/** Puts the items `first`, `first + step`, … below `end` into the one place there is. */
export function produce(condition: Condition, place: Notes, first: number, step: number, end: number): void {
  for (let item = first; item < end; item += step) {
    using _ = condition.hold();
    condition.waitFor(() => place[PLACE] === 0);
    place[PLACE] = item;
    condition.notifyAll();
  }
}

/** Takes so many items out of the one place there is, and counts how often each one came. */
export function consume(condition: Condition, place: Notes, counts: Notes, times: number): void {
  for (let i = 0; i < times; i++) {
    using _ = condition.hold();
    condition.waitFor(() => place[PLACE] !== 0);
    Atomics.add(counts, place[PLACE], 1);
    place[PLACE] = 0;
    condition.notifyAll();
  }
}

/** Passes a barrier time and again, and adds up the places of each time; returns how often others were not there. */
export function pass(barrier: Barrier, arrived: Notes, places: Notes, me: number, times: number): number {
  let early = 0;
  for (let i = 0; i < times; i++) {
    Atomics.store(arrived, me, i + 1);
    Atomics.add(places, i, 1 << 4 * barrier.wait());
    for (let other = 0; other < arrived.length; other++) if (Atomics.load(arrived, other) <= i) early++;
  }
  return early;
}

/** Sets one event and waits for the other, time and again; returns how often it was not in step with its partner. */
export function rally(mine: Event, others: Event, notes: Notes, side: number, times: number): number {
  let faults = 0;
  for (let i = 0; i < times; i++) {
    if (side === 1) {
      others.wait();
      others.clear();
    }
    if (Atomics.add(notes, COUNT, 1) !== 2 * i + side) faults++;
    mine.set();
    if (side === 0) {
      others.wait();
      others.clear();
    }
  }
  return faults;
}

/** Puts the numbers `first`, `first + step`, … below `end` into a queue, as `item` makes items of them. */
export function putAll(queue: Queue, hasPriority: boolean, first: number, step: number, end: number): void {
  for (let n = first; n < end; n += step) queue.put(hasPriority ? [n % 10, n] : n);
}

/**
 * Takes numbers out of a queue until it is shut down, and counts how often each one came.
 *
 * @returns How often one came behind a later one of the same producer, of which one puts in odd numbers.
 */
export function getAll(queue: Queue, hasPriority: boolean, counts: Notes): number {
  let behind = 0;
  const last = [-1, -1];
  for (const item of queue) {
    const n = (hasPriority ? (item as number[])[1] : item) as number;
    Atomics.add(counts, n, 1);
    if (n < last[n % 2]) behind++;
    last[n % 2] = n;
    queue.taskDone();
  }
  return behind;
}

/** Takes a lock time and again, and holds it for most of the time, until somebody says that it is enough. */
export function hog(lock: Lock, isEnough: Event): number {
  let times = 0;
  while (!isEnough.isSet()) {
    using _ = lock.hold();
    times++;
    for (const end = performance.now() + 0.2; performance.now() < end;);
  }
  return times;
}
