/**
 * Every row of the benchmark: what is done, how it is judged, and against what. The works themselves are in
 * `drivers/works.mjs`. Over 400 lines, because each row is a table of its own.
 *
 * @module
 */

export type Group = "threads" | "processes" | "growth";

export interface Row {
  /** Its number, and a letter where a number has several parts. */
  id: string;
  group: Group;
  name: string;
  unit: "µs" | "ms" | "MiB" | "bytes" | "tasks" | "×";
  /** Whether more is better. */
  more?: true;
  /** What the median must not exceed, or not fall short of where more is better. */
  target: number;
  /** The target is for how many times the floor the median is. */
  ofFloor?: true;
  /**
   * What the first floor took on the machine for which the target was set. On one where it takes longer the target
   * grows as much.
   */
  floorThen?: number;
  work: string;
  params: Record<string, unknown>;
  /** The floors, the first of them the one to compare with. */
  floors: string[];
  /** `false`: no other library does that, or it is only about this one. */
  peers?: false;
  /**
   * How Python takes part: `"shown"` where it does something else, so that nobody is compared with it: its threads
   * share memory and the interpreter, and it blocks where others await; `false` where it would not even do the same.
   */
  python: "compared" | "shown" | false;
  /** The contestants have programs of their own for each round: because of what they leave behind in memory. */
  fresh?: true;
  /** There is no round before the first that counts: it would leave memory behind, for workers to take. */
  unwarmed?: true;
  /** How many seconds a round may take before its contestant has failed. */
  limit?: number;
}

const KIBIBYTE = 2 ** 10;
const MEBIBYTE = 2 ** 20;

/** Several round trips a row; blocking where the contestant can, unless it says otherwise. */
function oneByOne(task: "noop" | "echo" | "move", payload: string, size: number, count: number, wait?: string) {
  return { work: "oneByOne", params: { task, payload, size, count, ...(wait && { wait }) } };
}

/** One task after the other, awaited, with pauses before each: by then all threads and processes sleep. */
const AFTER_PAUSES = { work: "afterPauses", params: { count: 50, pauseMs: 20, wait: "await" } };

/** Same tasks, sized so that they take about as long in Python: some ten milliseconds. */
function speedup(task: "sha256" | "rc4") {
  const [size, pythonSize] = task === "sha256" ? [MEBIBYTE, 2 ** 14] : [4 * MEBIBYTE, 2 ** 17];
  return { work: "speedup", params: { task, size, pythonSize, count: 12 } };
}

/** Unit `×`: how many times as long a task takes with an option as a no-op without one, the best of short bursts. */
function option(
  id: string,
  name: string,
  how: string,
  target: number,
  kind = "threads",
): Omit<Row, "group" | "python"> {
  const [count, rounds] = kind === "threads" ? [2_000, 150] : [1_000, 60];
  return { id, name, unit: "×", target, work: "option", params: { kind, how, count, rounds }, floors: [] };
}

/** Unit `µs`: what an operation on an object of `sync` takes. */
function sync(id: string, name: string, how: string, count: number, target: number): Omit<Row, "group"> {
  const floors = ["postMessage"];
  return { id, name, unit: "µs", target, work: "sync", params: { how, count }, floors, peers: false, python: "shown" };
}

const THREADS: Omit<Row, "group">[] = [
  {
    id: "1",
    name: "round trip, blocking",
    unit: "µs",
    target: 5,
    floorThen: 0.1,
    ...oneByOne("noop", "nothing", 0, 5_000, "block"),
    floors: ["spin", "postMessage"],
    peers: false,
    python: "compared",
  },
  {
    id: "2",
    name: "round trip, awaited",
    unit: "µs",
    target: 20,
    floorThen: 50,
    ...oneByOne("noop", "nothing", 0, 3_000, "await"),
    floors: ["postMessage"],
    python: false,
  },
  {
    id: "3",
    name: "pipelined no-op",
    unit: "µs",
    target: 1.5,
    floorThen: 3,
    work: "burst",
    params: { count: 20_000 },
    floors: ["postMessage"],
    python: "compared",
  },
  {
    id: "4",
    name: "map over 100,000 small numbers, an item",
    unit: "µs",
    target: 0.2,
    floorThen: 0.1,
    work: "map",
    params: { count: 100_000 },
    floors: ["postMessage"],
    python: "compared",
  },
  {
    id: "5",
    name: "echo of 1 KiB of text",
    unit: "µs",
    target: 8,
    floorThen: 50,
    ...oneByOne("echo", "text", KIBIBYTE, 3_000),
    floors: ["postMessage"],
    python: "compared",
  },
  {
    id: "6",
    name: "echo of 1 MiB of bytes, copied",
    unit: "µs",
    target: 500,
    floorThen: 736,
    ...oneByOne("echo", "bytes", MEBIBYTE, 500),
    floors: ["postMessage"],
    python: false,
  },
  {
    id: "7",
    name: "1 MiB of bytes, moved both ways",
    unit: "µs",
    target: 45,
    floorThen: 33,
    ...oneByOne("move", "bytes", MEBIBYTE, 500),
    floors: ["postMessage"],
    python: false,
  },
  {
    id: "8a",
    name: "echo of a buffer of 64 MiB, copied",
    unit: "µs",
    target: 60_000,
    ...oneByOne("echo", "buffer", 64 * MEBIBYTE, 4),
    floors: ["postMessage"],
    python: false,
    fresh: true,
  },
  {
    id: "8b",
    name: "buffer of 64 MiB, moved both ways",
    unit: "µs",
    target: 60,
    floorThen: 33,
    ...oneByOne("move", "buffer", 64 * MEBIBYTE, 500),
    floors: ["postMessage"],
    python: false,
    fresh: true,
  },
  {
    id: "9",
    name: "new pool of 2 to its first result",
    unit: "ms",
    target: 24,
    floorThen: 22,
    work: "cold",
    params: { results: 1 },
    floors: ["postMessage"],
    python: "shown",
  },
  {
    id: "10",
    name: "memory of an idle worker",
    unit: "MiB",
    target: 7.5,
    floorThen: 6.7,
    work: "memory",
    params: { workers: 8 },
    floors: ["postMessage"],
    python: false,
    fresh: true,
    unwarmed: true,
  },
  {
    id: "11a",
    name: "speed-up by 2 workers, SHA-256",
    unit: "×",
    more: true,
    target: 1.95,
    ...speedup("sha256"),
    floors: ["cores"],
    floorThen: 2,
    python: "compared",
  },
  {
    id: "11b",
    name: "speed-up by 2 workers, RC4",
    unit: "×",
    more: true,
    target: 1.95,
    ...speedup("rc4"),
    floors: ["cores"],
    floorThen: 2,
    python: "compared",
  },
  {
    id: "12",
    name: "of 1,000 tasks, run while main computes",
    unit: "tasks",
    more: true,
    target: 1_000,
    work: "aside",
    params: { count: 1_000, taskMs: 0.5, busyMs: 700 },
    floors: [],
    python: "compared",
  },
  {
    id: "24",
    name: "a task after a pause of 20 ms, awaited",
    unit: "µs",
    target: 100,
    ...AFTER_PAUSES,
    floors: ["postMessage"],
    python: "shown",
  },
  sync("40a", "a lock that nobody else wants", "free", 100_000, 0.5),
  sync("40b", "a lock that four threads want", "wanted", 100_000, 3),
  sync("40c", "an item through a queue", "queue", 50_000, 10),
];

const PROCESSES: Omit<Row, "group">[] = [
  {
    id: "13",
    name: "round trip, blocking",
    unit: "µs",
    target: 45,
    floorThen: 28,
    ...oneByOne("noop", "nothing", 0, 2_000, "block"),
    // A floor has no blocking call: it awaits.
    floors: ["child", "cat"],
    peers: false,
    python: "compared",
  },
  {
    id: "25",
    name: "round trip, awaited",
    unit: "µs",
    target: 45,
    floorThen: 28,
    ...oneByOne("noop", "nothing", 0, 2_000, "await"),
    floors: ["child", "cat"],
    python: "shown",
  },
  {
    id: "26",
    name: "a task after a pause of 20 ms, awaited",
    unit: "µs",
    target: 230,
    ...AFTER_PAUSES,
    floors: ["child", "cat"],
    python: "shown",
  },
  {
    id: "14",
    name: "pipelined no-op",
    unit: "µs",
    target: 3,
    floorThen: 1.1,
    work: "burst",
    params: { count: 10_000 },
    floors: ["child"],
    python: "compared",
  },
  {
    id: "15",
    name: "map over 100,000 numbers, an item",
    unit: "µs",
    target: 0.25,
    work: "map",
    params: { count: 100_000 },
    floors: ["child"],
    python: "compared",
  },
  {
    id: "16",
    name: "echo of 1 MiB of text",
    unit: "µs",
    target: 700,
    ...oneByOne("echo", "text", MEBIBYTE, 200),
    floors: ["cat", "child"],
    python: "compared",
  },
  {
    id: "17",
    name: "echo of 64 MiB of bytes",
    unit: "µs",
    target: 1.5,
    ofFloor: true,
    ...oneByOne("echo", "bytes", 64 * MEBIBYTE, 4),
    floors: ["cat"],
    // As JSON, which some of them speak, that would be a gigabyte.
    peers: false,
    python: "shown",
    fresh: true,
  },
  {
    id: "18",
    name: "new pool of 2 to two results",
    unit: "ms",
    target: 36,
    floorThen: 32,
    work: "cold",
    params: { results: 2 },
    floors: ["child"],
    python: "compared",
  },
  {
    id: "19a",
    name: "speed-up by 2 workers, SHA-256",
    unit: "×",
    more: true,
    target: 1.95,
    ...speedup("sha256"),
    floors: ["cores"],
    floorThen: 2,
    python: "compared",
  },
  {
    id: "19b",
    name: "speed-up by 2 workers, RC4",
    unit: "×",
    more: true,
    target: 1.95,
    ...speedup("rc4"),
    floors: ["cores"],
    floorThen: 2,
    python: "compared",
  },
];

/** Unit `×`: how much more the worst of several sizes costs, each task or byte, than the first. */
const GROWTH: Omit<Row, "group" | "python">[] = [
  {
    id: "20a",
    name: "a task, when 10³ to 10⁶ are queued",
    unit: "×",
    target: 1.3,
    work: "queue",
    params: { lengths: [1e3, 1e4, 1e5, 1e6], total: 1e5 },
    floors: [],
  },
  {
    id: "20b",
    name: "memory of a queued task",
    unit: "bytes",
    target: 600,
    work: "queuedMemory",
    params: { queued: 300_000 },
    floors: [],
    unwarmed: true,
  },
  {
    id: "21",
    name: "a no-op, with 1 to 64 workers",
    unit: "×",
    target: 3,
    work: "workers",
    params: { workers: [1, 2, 4, 8, 16, 32, 64], count: 20_000 },
    floors: [],
  },
  {
    id: "22a",
    name: "a future, waiting for 10² to 10⁵",
    unit: "×",
    target: 2,
    work: "waits",
    params: { how: "wait", counts: [1e2, 1e3, 1e4, 1e5] },
    floors: [],
  },
  {
    id: "22b",
    name: "a future, 10² to 10⁵ as completed",
    unit: "×",
    target: 2,
    work: "waits",
    params: { how: "asCompleted", counts: [1e2, 1e3, 1e4, 1e5] },
    floors: [],
  },
  {
    id: "23",
    name: "a byte, in 64 KiB to 256 MiB",
    unit: "×",
    target: 2,
    work: "payloads",
    params: { sizes: [10, 16, 20, 24, 28].map((n) => 2 ** n), bytes: 2 ** 26 },
    floors: ["postMessage"],
  },
  option("30a", "a no-op, with stats() after each 2,000", "stats", 1.1),
  option("30b", "a no-op, with a trace", "trace", 4),
  option("30c", "a no-op, with maxQueued", "maxQueued", 1.1),
  option("30d", "a no-op, measured for stats()", "measured", 1.05),
  option("30e", "a no-op, with a timeout", "timeout", 2),
  option("30f", "a task that looks at its signal", "signal", 5),
  option("30g", "a task that reports progress once", "progress", 4),
  option("31a", "a no-op in processes, with stats()", "stats", 1.2, "processes"),
  option("31b", "a no-op in processes, with a trace", "trace", 2, "processes"),
  option("31c", "a no-op in processes, with a timeout", "timeout", 40, "processes"),
  option("31d", "a task in processes that looks at its signal", "signal", 4, "processes"),
  option("31e", "a task in processes that reports progress once", "progress", 10, "processes"),
];

export const ROWS: Row[] = [
  ...THREADS.map((row): Row => ({ ...row, group: "threads" })),
  ...PROCESSES.map((row): Row => ({ ...row, group: "processes" })),
  ...GROWTH.map((row): Row => ({ ...row, group: "growth", peers: false, python: false, fresh: true, limit: 120 })),
];

/**
 * The rows that the words of a command line name: groups, numbers, or a group and a number in it. All of them without
 * words.
 */
export function chooseRows(words: string[]): Row[] {
  const groups = words.filter((word) => ["threads", "processes", "growth"].includes(word));
  const ids = words.filter((word) => !groups.includes(word));
  for (const id of ids) {
    if (!ROWS.some((row) => isCalled(row, id))) {
      throw new RangeError(`Unknown row: ${id}. The rows are ${ROWS.map((row) => row.id).join(", ")}`);
    }
  }
  const chosen = ROWS.filter((row) =>
    (groups.length === 0 || groups.includes(row.group)) && (ids.length === 0 || ids.some((id) => isCalled(row, id)))
  );
  if (chosen.length === 0) throw new RangeError(`None of these groups has such a row: ${words.join(" ")}`);
  return chosen;
}

/** `8` names `8a` and `8b`. */
function isCalled(row: Row, id: string): boolean {
  return row.id === id || row.id.replace(/[a-z]$/, "") === id;
}
