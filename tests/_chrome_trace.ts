/** The rules of the Trace Event Format, as far as a trace of a pool uses it, for the tests of traces. */
import { assert, assertEquals } from "@std/assert";
import type { TracedTask } from "@concurrent/futures";

/** A bar: a complete event, with its duration. */
export interface Bar {
  readonly name: string;
  readonly tid: number;
  /** In microseconds. */
  readonly ts: number;
  readonly dur: number;
  readonly args: TracedTask;
}

/** What a viewer reads of a trace. */
export interface ReadTrace {
  /** The name of the process. */
  readonly process: string;
  /** The names of the rows, in the order in which viewers show them. */
  readonly rows: readonly { readonly tid: number; readonly name: string }[];
  readonly bars: readonly Bar[];
}

const OUTCOMES = ["returned", "threw", "stopped", "cancelled"];

/** Reads the text of a trace as a viewer does, and fails where an event is not as the format wants it. */
export function readChromeTrace(text: string): ReadTrace {
  const { traceEvents, displayTimeUnit, ...rest } = JSON.parse(text);
  assert(["ms", "ns"].includes(displayTimeUnit));
  assertEquals(rest, {}, "nothing else");
  assert(Array.isArray(traceEvents));
  const processes = new Map<number, string>();
  const rows = new Map<number, { tid: number; name?: string; place?: number }>();
  const bars: Bar[] = [];
  for (const event of traceEvents) {
    const { name, ph, pid, tid, args } = event;
    assert(typeof name === "string" && name !== "", "each event has a name");
    assert([pid, tid].every((id) => Number.isInteger(id) && id >= 0), "each event has a process and a thread");
    assertEquals(pid, Deno.pid);
    if (ph === "M") {
      // A metadata event has one argument, which its name tells, and no time.
      assertEquals(Object.keys(event).sort(), ["args", "name", "ph", "pid", "tid"]);
      const key = name.endsWith("_sort_index") ? "sort_index" : "name";
      assertEquals(Object.keys(args), [key]);
      if (name === "process_name") {
        assert(!processes.has(pid) && typeof args.name === "string");
        processes.set(pid, args.name);
        continue;
      }
      if (!rows.has(tid)) rows.set(tid, { tid });
      const row = rows.get(tid)!;
      if (name === "thread_name") {
        assert(row.name === undefined && typeof args.name === "string" && args.name !== "");
        row.name = args.name;
      } else {
        assertEquals(name, "thread_sort_index");
        assert(row.place === undefined && Number.isInteger(args.sort_index));
        row.place = args.sort_index;
      }
      continue;
    }
    // A complete event has a start and a duration, in microseconds. A category is a text, by which viewers filter.
    assertEquals(Object.keys(event).sort(), ["args", "cat", "dur", "name", "ph", "pid", "tid", "ts"]);
    assertEquals([ph, event.cat], ["X", "task"]);
    for (const time of [event.ts, event.dur, args.wait]) assert(Number.isFinite(time) && time >= 0, `${time}`);
    assert(OUTCOMES.includes(args.outcome), args.outcome);
    assert(args.together === undefined || (Number.isInteger(args.together) && args.together > 0));
    bars.push(event);
  }
  assertEquals([...processes.keys()], [Deno.pid]);
  for (const { tid } of bars) assert(rows.has(tid), `row ${tid} has a name`);
  for (const row of rows.values()) {
    assert(row.name !== undefined && row.place !== undefined, `row ${row.tid} has a name and a place`);
    if (row.tid === 0) continue;
    const own = bars.filter(({ tid }) => tid === row.tid).sort((a, b) => a.ts - b.ts);
    for (let i = 1; i < own.length; i++) {
      // Events of a thread are nested or apart; a worker runs one task at a time. A microsecond is for the last digits.
      assert(own[i].ts + 1 >= own[i - 1].ts + own[i - 1].dur, `row ${row.tid}: bars are apart`);
    }
  }
  const inOrder = [...rows.values()].sort((a, b) => a.place! - b.place!).map(({ tid, name }) => ({ tid, name: name! }));
  return { process: processes.get(Deno.pid)!, rows: inOrder, bars };
}
