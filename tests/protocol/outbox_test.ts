/** The results that a child has not written yet: many in one packet, each once and in order. */
import { assert, assertEquals, assertThrows, fail } from "@std/assert";
import { EMPTY, Encoded, EncodedSections, Encoding } from "../../executors/_values/encoded.ts";
import { decodeValue, encodeValue } from "../../executors/_values/codec.ts";
import { OUTBOX, Outbox, takeResults } from "../../executors/processes/child/_outbox.ts";
import {
  type Entries,
  forEachEntry,
  type Message,
  MessageReader,
  payloadsOf,
} from "../../executors/processes/messages.ts";
import { MAIN, MAX_PACKET_BYTES, PacketReader, PacketWriter } from "../../executors/processes/packets.ts";
import { test, within } from "../_helpers.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

/** An outbox, and what a broker reads of it. */
function makeOutbox() {
  const messages: Message[] = [];
  const sizes: number[] = [];
  const reader = new MessageReader((message) => messages.push(message));
  const packets = new PacketReader(
    TOKEN,
    (bytes, stream) => stream === MAIN ? reader.push(bytes) : fail("it writes to its own stream only"),
    () => fail("it writes packets only"),
  );
  const outbox = new Outbox();
  outbox.open(
    new PacketWriter(TOKEN, (bytes) => {
      sizes.push(bytes.byteLength);
      packets.push(bytes.slice());
    }),
  );
  return { outbox, messages, sizes };
}

/** The values of all results, by the number of their task. */
function valuesOf(messages: readonly Message[]): Map<number, unknown> {
  const values = new Map<number, unknown>();
  for (const message of messages) {
    if (message.header[0] !== "results") continue;
    for (const [i, { type, steps, payload }] of payloadsOf(message, 1_000).entries()) {
      const id = message.header[1] + i;
      assertEquals([type, steps], [id % 2, id % 5], "what is said of that task");
      assert(!values.has(message.header[1] + i), "each is written once");
      values.set(message.header[1] + i, decodeValue(payload.decoded()));
    }
  }
  return values;
}

const MAKERS: { [what: string]: (i: number) => unknown } = {
  "nothing": () => undefined,
  "numbers": (i) => i / 3,
  "short texts": (i) => "x".repeat(i % 20),
  "texts of several bytes": (i) => "€".repeat(i % 80),
  "objects": (i) => ({ i }),
  "texts around the limit": (i) => "y".repeat(80 + i % 12),
  "all kinds, large ones among them": (i) =>
    [undefined, i, `${i}`, { i }, new Map([[i, i]]), new Uint8Array(i), "z".repeat(i * 10)][i % 7],
};

for (const [what, make] of Object.entries(MAKERS)) {
  test(`Outbox.add() loses and mixes none of 1,000 results: ${what}`, () => {
    const { outbox, messages, sizes } = makeOutbox();
    const wanted = new Map<number, unknown>();
    for (let id = 1; id <= 1_000; id++) {
      const value = make(id);
      wanted.set(id, value);
      outbox.add(
        id,
        id % 2,
        value === undefined ? EMPTY : encodeValue(value, { root: "result", sameProcess: false }),
        id % 5,
      );
    }
    outbox.flush();
    assertEquals(valuesOf(messages), wanted);
    assertEquals([...valuesOf(messages).keys()], [...wanted.keys()], "in order");
    assert(sizes.every((size) => size <= MAX_PACKET_BYTES));
    if (what === "nothing") assert(sizes.length <= 10, `${sizes.length} packets for results of nothing`);
    outbox.flush();
    assertEquals(valuesOf(messages).size, 1_000, "nothing is left to write");
  });
}

/** What another thread runs that is writing what it has taken: it goes on when somebody waits for it. */
function writeUntilWaitedFor(): void {
  self.addEventListener("message", (event) => {
    const [memory, told] = (event as MessageEvent<Int32Array[]>).data;
    const end = performance.now() + 10_000;
    while (Atomics.load(memory, 0) !== 2 && performance.now() < end) Atomics.wait(told, 1, 0, 1);
    Atomics.store(told, 0, 1);
    Atomics.store(memory, 0, 0);
    Atomics.notify(memory, 0);
  });
  (self as unknown as Worker).postMessage("ready");
}

test("Outbox.flush() waits for the thread that has taken the results, and is writing them", async () => {
  const { outbox } = makeOutbox();
  const words = new Int32Array(outbox.buffer, 0, OUTBOX.WORDS);
  const told = new Int32Array(new SharedArrayBuffer(8));
  const url = `data:application/javascript,${encodeURIComponent(`(${writeUntilWaitedFor})()`)}`;
  const worker = new Worker(url, { type: "module" });
  try {
    await within(new Promise((resolve) => worker.addEventListener("message", resolve, { once: true })));
    Atomics.store(words, 0, 1);
    worker.postMessage([words, told]);
    outbox.flush();
    assertEquals(Atomics.load(told, 0), 1);
  } finally {
    worker.terminate();
  }
});

test("Outbox.add() says of results that are alike how many there are, also when another thread takes some", () => {
  const { outbox, messages, sizes } = makeOutbox();
  const words = new Int32Array(outbox.buffer, 0, OUTBOX.WORDS);
  const reader = new MessageReader((message) => messages.push(message));
  const wanted = new Map<number, unknown>();
  const isMeasured = (id: number) => id < 4_000 && id % 500 === 7;
  for (let id = 1; id <= 6_000; id++) {
    // Runs of 3 to 1,111 that are alike.
    const [isNumber, isTaken] = [id < 4_000 && Math.sqrt(id) % 2 > 1, id % 1_111 === 0];
    const [type, steps] = [id > 2_000 ? 1 : 0, id < 3_000 ? 0 : 7];
    wanted.set(id, [type, steps, isNumber ? id : undefined]);
    const times = isMeasured(id) ? [0.1, 2] as const : undefined;
    outbox.add(id, type, encodeValue(isNumber ? id : undefined, { root: "result", sameProcess: false }), steps, times);
    if (isTaken) reader.push(takeResults(words, OUTBOX));
  }
  outbox.flush();
  const found = new Map<number, unknown>();
  for (const message of messages) {
    assert(message.header[0] === "results");
    for (const [i, { type, steps, payload, ms }] of payloadsOf(message, 6_000).entries()) {
      const id = message.header[1] + i;
      assert(!found.has(id), `${id} is written once`);
      assertEquals(ms, isMeasured(id) ? 2 : undefined, `the time of ${id}`);
      found.set(id, [type, steps, decodeValue(payload.decoded())]);
    }
  }
  assertEquals(found, wanted);
  assert(sizes.every((size) => size <= MAX_PACKET_BYTES));
});

test("forEachEntry() refuses numbers that stand for more entries than there may be", () => {
  const entriesOf = (entries: Entries<string>, most: number) => {
    const found: string[] = [];
    forEachEntry(entries, most, (entry) => found.push(entry));
    return found;
  };
  assertEquals(entriesOf(["a", 2, "b", "c", 1], 6), ["a", "a", "a", "b", "c", "c"]);
  for (const entries of [["a", 6], ["a", 2, "b", 3], [1, "a"], ["a", Infinity], ["a", NaN]]) {
    assertThrows(() => entriesOf(entries, 6), SyntaxError, "Cannot read so many entries");
  }
});

test("Outbox.say() writes what is there before the message, in one packet", () => {
  const { outbox, messages, sizes } = makeOutbox();
  outbox.add(1, 1, new Encoded(Encoding.TEXT, "one"), 1);
  outbox.say(["begun", 2]);
  assertEquals(messages.map(({ header }) => header[0]), ["results", "begun"]);
  assertEquals(sizes.length, 1);
  outbox.say(["failed", Encoding.JSON], new EncodedSections(Encoding.JSON, [new Uint8Array([0x31])]));
  assertEquals(messages.length, 3, "nothing is written twice");
});
