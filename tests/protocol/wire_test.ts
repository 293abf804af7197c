/**
 * What travels between a broker and its children: messages, packets, and blocks as bytes, cut at every place.
 *
 * Over 400 lines: messages and packets, cut at each place.
 */
import { assert, assertEquals, assertLess, assertStrictEquals, assertThrows } from "@std/assert";
import { EMPTY, Encoded, EncodedSections, Encoding } from "../../executors/_values/encoded.ts";
import { Memory } from "../../executors/_values/memory.ts";
import {
  encodeMessage,
  joined,
  MAX_HEADER_BYTES,
  type Message,
  MessageReader,
  payloadOf,
} from "../../executors/processes/messages.ts";
import { MAIN, PacketReader, PacketWriter, READER } from "../../executors/processes/packets.ts";
import { Random, test } from "../_helpers.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const PREFIX = `\x1e["${TOKEN}",`;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Runs `round` with some seeds, and prints the one that fails. */
function withSeeds(rounds: number, round: (random: Random) => void): void {
  for (let i = 0; i < rounds; i++) {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0];
    try {
      round(new Random(seed));
    } catch (error) {
      throw new Error(`with seed ${seed}`, { cause: error });
    }
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Cuts bytes at the places, and gives each piece in memory that is written over when the next one comes. */
function* pieces(bytes: Uint8Array, ...places: number[]): Generator<Uint8Array> {
  const memory = new Uint8Array(bytes.length);
  let at = 0;
  for (const end of [...places, bytes.length]) {
    memory.fill(0xee);
    memory.set(bytes.subarray(at, end));
    yield memory.subarray(0, end - at);
    at = end;
  }
}

// ---- messages -----------------------------------------------------------------------------------------------------

type Plain = [header: unknown[], sections: readonly Uint8Array[]];

function encoded([header, sections]: Plain): readonly Uint8Array[] {
  return encodeMessage(header, ...(sections.length === 0 ? [] : [new EncodedSections(Encoding.GRAPH, sections)]));
}

function readMessages(parts: Iterable<Uint8Array>): Plain[] {
  const read: Message[] = [];
  const reader = new MessageReader((message) => read.push(message));
  for (const part of parts) reader.push(part);
  return read.map(({ header, sections }) => [header.slice(0, -1), sections]);
}

/** Messages of every shape; bytes in them look like headers, ends of lines and packets. */
const MESSAGES: Plain[] = [
  [["ready", 1], []],
  [["result", 1, 0, 0], []],
  [["result", 2, 2, 1], [new Uint8Array(8).fill(0x0a)]],
  [["result", 3, 0, 2], [encoder.encode('\x1e["result",9,0,2,[3]]\n"x"')]],
  [["result", 4, 0, 3], [new Uint8Array(0)]],
  [["result", 5, 0, 3], [new Uint8Array(0), new Uint8Array(0), new Uint8Array([0x1e])]],
  [["result", 6, 0, 3], [new Uint8Array([0x1e, 0x0a]), new Uint8Array(0), encoder.encode(`${PREFIX}3]\nabc`)]],
  [["define", 0, { name: 'a "name"\n\x1e é € \u{1f600}', source: "\\\n" }], []],
  [["ready", 2], []],
];

test("MessageReader reads messages that are cut at any place, and copies them", () => {
  const bytes = concat(MESSAGES.flatMap(encoded));
  assertEquals(readMessages([bytes]), MESSAGES);
  for (let i = 0; i <= bytes.length; i++) assertEquals(readMessages(pieces(bytes, i)), MESSAGES, `cut at ${i}`);
  for (const size of [1, 2, 3, 7, 16]) {
    const places = Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => i * size);
    assertEquals(readMessages(pieces(bytes, ...places)), MESSAGES, `pieces of ${size}`);
  }
});

test("MessageReader gives each message as soon as its last byte is there, and not before", () => {
  for (const message of MESSAGES) {
    const bytes = concat(encoded(message));
    let count = 0;
    const reader = new MessageReader(() => count++);
    for (let i = 0; i < bytes.length; i++) {
      assertEquals(count, 0, `${i} of ${bytes.length} bytes of ${JSON.stringify(message[0])}`);
      reader.push(bytes.subarray(i, i + 1));
    }
    assertEquals(count, 1);
  }
});

test("MessageReader throws for what is no message, instead of waiting for more", () => {
  for (
    const wrong of ["garbage\n", 'x["ready",1,[]]\n', "\n", '["ready",1,[]]\n', "\x1enot JSON\n", '\x1e["ready",1,[]\n']
  ) {
    assertThrows(() => readMessages([encoder.encode(wrong)]), SyntaxError, undefined, JSON.stringify(wrong));
  }
});

test("MessageReader reads a header of many pieces, and none that has no end", () => {
  // Megabytes in the pieces of packets: what is there is not copied again with each of them.
  const sections = Array.from({ length: 300_000 }, () => new Uint8Array(1));
  const bytes = concat(encoded([["results", 1], sections]));
  const size = 4_000;
  const places = Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => (i + 1) * size);
  const start = performance.now();
  const [[header, { length }]] = readMessages(pieces(bytes, ...places));
  assertEquals([header, length], [["results", 1], sections.length]);
  assertLess(performance.now() - start, 20_000);
  let received = 0;
  const reader = new MessageReader(() => {});
  const piece = new Uint8Array(1 << 16).fill(0x30);
  assertThrows(
    () => {
      for (; received < 2 * MAX_HEADER_BYTES; received += piece.length) reader.push(piece);
    },
    SyntaxError,
    "more than",
  );
  assertEquals(received, MAX_HEADER_BYTES);
});

test("joined() makes one piece of small messages, and copies no large section", () => {
  const small = encodeMessage(["result", 1, 0, 2], new EncodedSections(Encoding.JSON, [new Uint8Array(1_000)]));
  assertEquals(joined([...small, ...small, ...small]).length, 1);
  const large = new Uint8Array(1 << 20);
  const parts = joined([
    ...small,
    ...encodeMessage(["result", 1, 0, 2], new EncodedSections(Encoding.JSON, [large])),
    ...small,
  ]);
  assert(parts.some((part) => part.buffer === large.buffer));
  for (const length of [32_700, 32_740, 32_767, 32_768, 32_769, 40_000]) {
    const message: Plain = [["result", 1, 0, 2], [new Uint8Array(length).fill(5), new Uint8Array(3).fill(6)]];
    assertEquals(readMessages(joined(encoded(message))), [message], `${length} bytes`);
  }
});

test("MessageReader reads sections of many MiB, whatever the pieces", () => {
  const random = new Random(1);
  const section = random.bytes(3 << 20);
  const message: Plain = [["result", 1, 0, 3], [section, new Uint8Array(0), section.subarray(0, 70_001)]];
  const bytes = concat(encoded(message));
  for (const size of [65_536, 4_096, 100_003]) {
    const places = Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => (i + 1) * size);
    const [[header, sections]] = readMessages(pieces(bytes, ...places));
    assertEquals(header, message[0]);
    assertEquals(sections.map(({ length }) => length), message[1].map(({ length }) => length));
    for (const [i, bytes] of sections.entries()) assert(bytes.every((byte, at) => byte === message[1][i][at]));
  }
});

test("payloadOf() has the encoding and the sections of a message", () => {
  const sections = [new Uint8Array([1, 2]), new Uint8Array([3])];
  const payload = payloadOf(Encoding.GRAPH, { sections });
  assertEquals([payload.encoding, payload.sections], [Encoding.GRAPH, sections]);
});

// ---- packets ------------------------------------------------------------------------------------------------------

/** What a reader tells apart: what came in packets, and what came between them, each in one piece, in order. */
type Told = { packet?: string; output?: string }[];

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function readPackets(parts: Iterable<Uint8Array>, token = TOKEN): Told {
  const told: Told = [];
  const tell = (kind: "packet" | "output") => (bytes: Uint8Array) => {
    assert(bytes.length > 0, `an empty ${kind}`);
    const last = told.at(-1);
    if (last !== undefined && kind in last) last[kind] += latin1(bytes);
    else told.push({ [kind]: latin1(bytes) });
  };
  const reader = new PacketReader(token, tell("packet"), tell("output"));
  for (const part of parts) reader.push(part);
  reader.end();
  reader.end(); // again is fine
  return told;
}

function packets(...parts: Uint8Array[]): Uint8Array {
  const written: Uint8Array[] = [];
  new PacketWriter(TOKEN, (bytes) => written.push(bytes.slice())).write(parts);
  return concat(written);
}

test("PacketReader keeps the streams of two threads apart", () => {
  const told: { [stream: number]: string } = { [MAIN]: "", [READER]: "" };
  const reader = new PacketReader(TOKEN, (bytes, stream) => told[stream] += latin1(bytes), () => {});
  const own = packets(encoder.encode("x".repeat(10_000)));
  const other = encoder.encode(`${PREFIX}${READER},5]\nother\n`);
  // Between two packets of the same message.
  const between = own.indexOf(0x1e, 1);
  for (const byte of concat([own.subarray(0, between), other, own.subarray(between)])) {
    reader.push(new Uint8Array([byte]));
  }
  assertEquals(told, { [MAIN]: "x".repeat(10_000), [READER]: "other" });
});

/** Output that could be taken for packets, or for their beginnings. */
const LOOKALIKES: string[] = [
  "plain",
  "\n",
  "\x1e",
  "\x1e\x1e\x1e",
  "\x1e[",
  '\x1e["',
  PREFIX.slice(0, 20),
  PREFIX.slice(0, -1),
  `\x1e["${TOKEN}" ,3]\nabc`,
  `\x1e["${TOKEN.slice(0, -1)}0",3]\nabc`,
  `\x1e["${TOKEN.toUpperCase()}",3]\nabc`,
  `\x1e["${TOKEN}0",3]\nabc`,
  `["${TOKEN}",3]\nabc`,
  `x1e["${TOKEN}",3]\nabc`,
  '\x1e["ready",1,[]]\n',
  PREFIX.slice(0, 10).repeat(3),
  `${PREFIX.slice(0, 30)}\x1e`,
];

test("PacketReader tells packets from output between them, wherever it is cut", () => {
  for (const output of LOOKALIKES) {
    const bytes = concat([
      packets(encoder.encode("first"), encoder.encode("also")),
      encoder.encode(output),
      packets(encoder.encode("second\x1e\n")),
      encoder.encode(output),
    ]);
    const expected = [{ packet: "firstalso" }, { output }, { packet: "second\x1e\n" }, { output }];
    assertEquals(readPackets([bytes]), expected, JSON.stringify(output));
    for (let i = 0; i <= bytes.length; i++) {
      assertEquals(readPackets(pieces(bytes, i)), expected, `${JSON.stringify(output)} cut at ${i}`);
      assertEquals(readPackets(pieces(bytes, i, Math.min(i + 2, bytes.length))), expected, `${i} and 2 more`);
    }
    const each = Array.from({ length: bytes.length }, (_, i) => i);
    assertEquals(readPackets(pieces(bytes, ...each)), expected, `${JSON.stringify(output)} byte by byte`);
  }
});

test("PacketReader.end() gives what began like a packet and was none", () => {
  for (let length = 1; length <= PREFIX.length; length++) {
    const output = `before${PREFIX.slice(0, length)}`;
    assertEquals(readPackets([encoder.encode(output)]), [{ output }]);
    assertEquals(readPackets(pieces(encoder.encode(output), 6)), [{ output }]);
  }
  assertEquals(readPackets([encoder.encode(`${PREFIX}12`)]), [{ output: `${PREFIX}12` }]);
  assertEquals(readPackets([]), []);
});

test("PacketReader throws for what begins like a packet and is none", () => {
  for (
    const line of [
      "",
      "\n",
      "0,]\n",
      "0,-1]\n",
      "0,1.5]\n",
      "0,4097]\n",
      "0,99999]\n",
      "2,3]\n",
      "x,3]\n",
      "0;3]\n",
      "0,3}\n",
      "0,000000000000",
      "0,3],3]\n",
    ]
  ) {
    const bytes = encoder.encode(`${PREFIX}${line}${"x".repeat(10)}`);
    assertThrows(() => readPackets([bytes]), SyntaxError, "an invalid first line of a packet", JSON.stringify(line));
    for (let i = 0; i <= bytes.length; i++) {
      assertThrows(
        () => readPackets(pieces(bytes, i)),
        SyntaxError,
        "an invalid first line of a packet",
        `${JSON.stringify(line)} at ${i}`,
      );
    }
  }
});

test("PacketReader holds back no output but what may begin a packet", () => {
  const seen: string[] = [];
  const reader = new PacketReader(TOKEN, () => {}, (bytes) => seen.push(latin1(bytes)));
  for (const [pushed, expected] of [["abc", "abc"], ["d\x1ee", "d\x1ee"], ["f\x1e[", "f"], ["g", "\x1e[g"]] as const) {
    reader.push(encoder.encode(pushed));
    assertEquals(seen.splice(0).join(""), expected);
  }
});

test("PacketReader of another token takes all packets for output", () => {
  const bytes = packets(encoder.encode('\x1e["result",1,0,2,[1]]\n1'));
  const expected = [{ output: latin1(bytes) }];
  for (let i = 0; i <= bytes.length; i++) assertEquals(readPackets(pieces(bytes, i), `${TOKEN.slice(1)}0`), expected);
});

test("PacketWriter writes pieces that a pipe takes whole, and PacketReader puts them together", () => {
  const most = Deno.build.os === "darwin" ? 512 : 4096;
  const random = new Random(2);
  for (const length of [1, 9, 10, 99, 100, 999, 1000, 4_000, 4_041, 4_050, 4_095, 4_096, 4_097, 10_000, 300_000]) {
    const bytes = random.bytes(length);
    const written: Uint8Array[] = [];
    const writer = new PacketWriter(TOKEN, (piece) => written.push(piece.slice()));
    writer.write([bytes]);
    assert(written.every((piece) => piece.length <= most), `pieces of ${written.map((piece) => piece.length)}`);
    assert(written.length <= Math.ceil(length / (most - 60)), `${written.length} pieces for ${length} bytes`);
    assertEquals(readPackets(written), [{ packet: latin1(bytes) }]);
    // Somebody else prints between any two of them.
    const mixed = written.flatMap((piece) => [piece, encoder.encode("\x1e")]);
    const told = readPackets(mixed);
    assertEquals(told.map(({ packet }) => packet ?? "").join(""), latin1(bytes));
    assertEquals(told.map(({ output }) => output ?? "").join(""), "\x1e".repeat(written.length));
  }
});

test("PacketWriter writes nothing for nothing", () => {
  assertEquals(packets(), new Uint8Array(0));
  assertEquals(packets(new Uint8Array(0), encoder.encode("a"), new Uint8Array(0)), packets(encoder.encode("a")));
});

test("messages in packets, with output between them, arrive whole and in order, at random", () => {
  withSeeds(300, (random) => {
    const messages: Plain[] = [];
    const stream: Uint8Array[] = [];
    let output = "";
    const print = (bytes: Uint8Array) => {
      stream.push(bytes.slice());
      output += latin1(bytes);
    };
    const writer = new PacketWriter(TOKEN, (bytes) => {
      stream.push(bytes.slice());
      // Another program prints at the same time.
      if (random.below(3) === 0) print(encoder.encode(LOOKALIKES[random.below(LOOKALIKES.length)] + "."));
    });
    for (let n = random.below(12); n >= 0; n--) {
      const sections = Array.from(
        { length: random.below(4) },
        () => random.bytes(random.below([2, 50, 9_000][random.below(3)])),
      );
      const message: Plain = [["result", n, random.below(4), random.below(4)], sections];
      messages.push(message);
      writer.write(encoded(message));
      if (random.below(2) === 0) print(random.bytes(random.below(5_000)));
    }
    const all = concat(stream);
    const places = Array.from({ length: random.below(40) }, () => random.below(all.length)).sort((a, b) => a - b);
    const read: Message[] = [];
    const messageReader = new MessageReader((message) => read.push(message));
    let printed = "";
    const reader = new PacketReader(TOKEN, (bytes) => messageReader.push(bytes), (bytes) => printed += latin1(bytes));
    for (const piece of pieces(all, ...places)) reader.push(piece);
    reader.end();
    assertEquals(read.map(({ header, sections }): Plain => [header.slice(0, -1), sections]), messages);
    assert(printed === output, `output of ${printed.length} bytes instead of ${output.length}`);
  });
});

// ---- blocks -------------------------------------------------------------------------------------------------------

function payload(encoding: number, text: string, number = 0, buffers: ArrayBuffer[] = []): Encoded {
  return new Encoded(encoding, text, number, buffers);
}

const bufferOf = (...bytes: number[]): ArrayBuffer => new Uint8Array(bytes).buffer;

const BLOCKS: [string, Encoded][] = [
  ["nothing", EMPTY],
  ...[0, -0, 1.5, -1, NaN, Infinity, -Infinity, 5e-324, Number.MAX_SAFE_INTEGER].map(
    (
      number,
    ): [string, Encoded] => [
      `the number ${Object.is(number, -0) ? "-0" : number}`,
      payload(Encoding.NUMBER, "", number),
    ],
  ),
  ["short text", payload(Encoding.JSON, '"a"')],
  ["text of one to four bytes each", payload(Encoding.JSON, JSON.stringify("aé€\u{1f600}\0\x1e\n".repeat(9)))],
  ["long text", payload(Encoding.JSON, JSON.stringify("é".repeat(50_000)))],
  ["a graph without buffers", payload(Encoding.GRAPH, "[1]")],
  ["a graph of one buffer", payload(Encoding.GRAPH, "[1]", 0, [bufferOf(1, 2, 3)])],
  [
    "a graph of buffers, some empty",
    payload(Encoding.GRAPH, "é".repeat(5), 0, [
      bufferOf(),
      bufferOf(1),
      bufferOf(...Array(8).keys()),
      bufferOf(),
      new Uint8Array(100_001).fill(9).buffer,
    ]),
  ],
  ["a graph without text", payload(Encoding.GRAPH, "", 0, [bufferOf(5)])],
];

function assertSamePayload(actual: Encoded, expected: Encoded, what: string): void {
  assertEquals([actual.encoding, actual.text], [expected.encoding, expected.text], what);
  assert(Object.is(actual.number, expected.number), `${what}: ${actual.number}`);
  const bytes = ({ buffers }: Encoded) => buffers.map((buffer) => new Uint8Array(buffer));
  assertEquals(bytes(actual), bytes(expected), what);
}

/** Memory that is not empty, as that of a queue which has come around. */
function usedMemory(byteLength: number): Memory {
  const shared = new SharedArrayBuffer(byteLength);
  new Uint8Array(shared).fill(0xa5);
  return new Memory(shared);
}

test("EncodedSections.from() and decoded() lose nothing", () => {
  for (const [what, original] of BLOCKS) {
    const encoded = EncodedSections.from(original);
    assertEquals(encoded.encoding, original.encoding, what);
    assertSamePayload(encoded.decoded(), original, what);
    // As bytes that are a part of others, as those that a reader gives.
    const parts = encoded.sections.map((section) => {
      const around = new Uint8Array(section.length + 16).fill(0xee);
      around.set(section, 5);
      return around.subarray(5, 5 + section.length);
    });
    assertSamePayload(new EncodedSections(encoded.encoding, parts).decoded(), original, `${what}, amid others`);
  }
});

test("EncodedSections is written as Encoded is, and either reads what the other has written", () => {
  for (const [what, original] of BLOCKS) {
    const encoded = EncodedSections.from(original);
    for (const offset of [0, 64]) {
      const size = offset + original.room + encoded.room + 64;
      const [a, b] = [usedMemory(size), usedMemory(size)];
      const lengths = [original.write(a, offset), encoded.write(b, offset)];
      assertEquals(lengths[1], lengths[0], `${what}: lengths`);
      assert(lengths[0] <= original.room && lengths[1] <= encoded.room, `${what}: more than its room`);
      const { encoding } = original;
      for (const [who, memory] of [["Encoded", a], ["EncodedSections", b]] as const) {
        const [decoded, still] = [
          Encoded.read(encoding, memory, offset, lengths[0]),
          EncodedSections.read(encoding, memory, offset, lengths[0]),
        ];
        // Copied: what is written there later changes nothing.
        const rest = memory.bytes.slice(offset + lengths[0]);
        memory.bytes.fill(0x5a);
        assertSamePayload(decoded, original, `${what}, written by ${who}, read by Encoded`);
        assertSamePayload(still.decoded(), original, `${what}, written by ${who}, read by EncodedSections`);
        assertEquals(still.room, encoded.room, `${what}: room`);
        assert(rest.every((byte) => byte === 0xa5), `${what}: ${who} wrote beyond its end`);
      }
    }
  }
});

test("EncodedSections that is read and written again, through messages and packets, stays the same", () => {
  for (const [what, original] of BLOCKS) {
    const encoded = EncodedSections.from(original);
    const written: Uint8Array[] = [];
    new PacketWriter(TOKEN, (bytes) => written.push(bytes.slice())).write(
      encodeMessage(["result", 1, 0, encoded.encoding], encoded),
    );
    const messages: Message[] = [];
    const reader = new MessageReader((message) => messages.push(message));
    const packets = new PacketReader(TOKEN, (bytes) => reader.push(bytes), () => assert(false, "output"));
    for (const bytes of written) packets.push(bytes);
    assertEquals(messages.length, 1, what);
    const arrived = payloadOf(encoded.encoding, messages[0]);
    const memory = usedMemory(arrived.room + 8);
    const length = arrived.write(memory, 0);
    assertSamePayload(Encoded.read(arrived.encoding, memory, 0, length), original, what);
    assertSamePayload(arrived.decoded(), original, what);
  }
});

test("EncodedSections of nothing is always the same one, and takes no room", () => {
  const none = EncodedSections.from(EMPTY);
  assertStrictEquals(EncodedSections.read(Encoding.NONE, usedMemory(8), 0, 0), none);
  assertEquals([none.room, none.sections, none.write(usedMemory(8), 0)], [0, [], 0]);
  assertStrictEquals(none.decoded(), EMPTY);
});

test("EncodedSections asks for no less room than its bytes, at random", () => {
  withSeeds(200, (random) => {
    const buffers = Array.from({ length: random.below(5) }, () => random.bytes(random.below(40)).buffer);
    const text = decoder.decode(random.bytes(random.below(60)));
    const original = payload(Encoding.GRAPH, text, 0, buffers);
    const encoded = EncodedSections.from(original);
    const memory = usedMemory(encoded.room + 64);
    const length = encoded.write(memory, 8);
    assert(length <= encoded.room, `${length} bytes in a room of ${encoded.room}`);
    assert(memory.bytes.subarray(8 + encoded.room).every((byte) => byte === 0xa5), "it wrote beyond its room");
    assertSamePayload(EncodedSections.read(Encoding.GRAPH, memory, 8, length).decoded(), original, "a graph");
  });
});
