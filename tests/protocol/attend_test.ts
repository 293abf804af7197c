/** How the main thread of a child hands its input over to the thread that reads it from then on, at each byte of it. */
import { assert, assertEquals } from "@std/assert";
import { Probes } from "../../executors/processes/_probes.ts";
import { answersFor, type Looker } from "../../executors/processes/child/_answers.ts";
import { Outbox } from "../../executors/processes/child/_outbox.ts";
import { createNoted } from "../../executors/processes/child/_signals.ts";
import { createTurns, isStopped } from "../../executors/processes/child/_turns.ts";
import { encodeMessage } from "../../executors/processes/messages.ts";
import { READER } from "../../executors/processes/packets.ts";
import { EncodedSections, Encoding } from "../../executors/_values/encoded.ts";
import { test } from "../_helpers.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

/** Messages as a broker sends them, with sections and with letters of several bytes, one after the other. */
function makeInput(): { bytes: Uint8Array; starts: number[]; probes: number[] } {
  const section = new EncodedSections(Encoding.JSON, [new Uint8Array(70).fill(0x1e)]);
  const sent: Uint8Array[] = [];
  const starts: number[] = [];
  const probes: number[] = [];
  const length = () => sent.reduce((sum, { length }) => sum + length, 0);
  const send = (header: unknown[], ...payloads: EncodedSections[]) => {
    starts.push(length());
    sent.push(...encodeMessage(header, ...payloads));
  };
  const probe = (...payloads: EncodedSections[]) => {
    probes.push(length());
    send(["probe", length()], ...payloads);
  };
  send(["start", { token: TOKEN }]);
  probe();
  send(["define", 0, { text: "(x) => 'äöü€'" }]);
  send(["tasks", 1, length(), [[0, 0, Encoding.JSON, 1]]], section);
  probe(section);
  send(["attend"]);
  send(["abort", 1]);
  send(["signal", 1, "äöü€"]);
  probe();
  return { bytes: Uint8Array.from(sent.flatMap((part) => [...part])), starts, probes };
}

/** Calls a function while what this thread writes to its standard output is kept; returns the headers in it. */
function headersSaid(
  call: (lookers: ReturnType<typeof makeLookers>) => void,
): [unknown[][], ReturnType<typeof makeLookers>] {
  let lookers;
  const texts: string[] = [];
  const before = Object.getOwnPropertyDescriptor(Deno.stdout, "writeSync");
  const writeSync = (bytes: Uint8Array) => {
    texts.push(new TextDecoder().decode(bytes));
    return bytes.length;
  };
  Object.defineProperty(Deno.stdout, "writeSync", { configurable: true, value: writeSync });
  try {
    // Who looks keeps the function that writes.
    call(lookers = makeLookers());
  } finally {
    if (before === undefined) delete (Deno.stdout as { writeSync?: unknown }).writeSync;
    else Object.defineProperty(Deno.stdout, "writeSync", before);
  }
  const headers = texts.map((text) => {
    const [line, header] = text.split("\n");
    assert(line.startsWith(`\x1e["${TOKEN}",${READER},`), line);
    return JSON.parse(header.slice(1));
  });
  return [headers, lookers];
}

/** One who reads first, and makes the one who goes on from there. */
function makeLookers() {
  const turns = createTurns();
  const noted = createNoted();
  const { looker, text, memory } = answersFor(new Outbox(), turns, noted);
  const makeNext = (): Looker => (0, eval)(text)(looker.seen(), ...memory);
  return { turns, noted, looker, makeNext };
}

test("the thread that reads a child's input takes over at the next message, wherever: all has one answer", () => {
  const { bytes, starts, probes } = makeInput();
  for (let cut = starts[1]; cut <= bytes.length; cut++) {
    const [said, { turns, noted }] = headersSaid((lookers) => {
      const { looker, makeNext } = lookers;
      assert(looker.look(bytes.slice(0, cut)));
      let at = cut;
      for (; looker.seen() === undefined; at++) assert(looker.look(bytes.slice(at, at + 1)));
      assert(at === bytes.length || starts.includes(at), `${cut} ${at}`);
      const next = makeNext();
      for (; at < bytes.length; at += 50) assert(next.look(bytes.slice(at, at + 50)), `after ${cut} bytes`);
    });
    assertEquals(said, probes.map((sent) => ["reached", sent, []]), `after ${cut} bytes`);
    assert(isStopped(turns, 1));
    assertEquals(new Int32Array(noted)[0], 1);
  }
});

test("who takes over a child's input finds out that bytes before or after that have gone to somebody else", () => {
  const { bytes, starts } = makeInput();
  for (const from of starts.slice(1)) {
    for (let lost = starts[1]; lost < starts.at(-1)!; lost += 7) {
      const without = Uint8Array.from([...bytes.slice(0, lost), ...bytes.slice(lost + 1)]);
      let isWhole = true;
      const [said] = headersSaid(({ looker, makeNext }) => {
        let at = lost < from ? from - 1 : from;
        isWhole = looker.look(without.slice(0, at));
        while (isWhole && looker.seen() === undefined && at < without.length) {
          isWhole = looker.look(without.slice(at, ++at));
        }
        if (isWhole && looker.seen() !== undefined) isWhole = makeNext().look(without.slice(at));
      });
      assert(!isWhole || said.at(-1)?.[1] !== starts.at(-1), `without byte ${lost}, from ${from} on`);
      if (!isWhole) assertEquals(said.at(-1)?.[0], "lost");
    }
  }
});

test("Probes: what a child that computes alone has not answered since it started does not count as read", () => {
  const probes = new Probes();
  let sent = 0;
  const look = (isReading: boolean) => {
    const probe = probes.next(isReading);
    if (typeof probe === "number") probes.onSent(++sent, probe);
    return probe;
  };
  // It starts slowly, and then the first task computes, or the process has no processor.
  for (let i = 0; i < 3; i++) assertEquals(look(true), 0);
  const flood = look(false);
  assert(typeof flood === "number" && flood > 1 << 20, `${flood}`);
  assertEquals([look(false), look(false)], [undefined, "robbed"]);
  assert(probes.isAnsweredBy(sent));
  assertEquals([look(false), look(false), look(false)], [0, flood, undefined]);
});
