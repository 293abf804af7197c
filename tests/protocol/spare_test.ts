/** The memory of large texts that is used again, and how such texts travel. */
import { assert, assertEquals, assertLess, assertStrictEquals } from "@std/assert";
import { fromPosted, sectionsOf, toPosted } from "../../executors/_queue/posted.ts";
import { giveBack, takeSpare } from "../../executors/_values/_spare.ts";
import { Encoded, EncodedSections, Encoding } from "../../executors/_values/encoded.ts";
import { collectGarbage } from "../_garbage.ts";
import { sleep, test } from "../_helpers.ts";

const SIZE = 2 ** 20;

/** The size of what is kept, which is taken. */
function kept(): number | undefined {
  return (takeSpare(SIZE) ?? takeSpare(2 ** 17))?.buffer.byteLength;
}

test("memory that was given back is taken once, where at least half of it is of use", () => {
  for (const size of [SIZE, SIZE - 1, SIZE / 2]) {
    const buffer = new ArrayBuffer(SIZE);
    giveBack(buffer);
    const bytes = takeSpare(size)!;
    assertStrictEquals(bytes.buffer, buffer);
    assertEquals([bytes.byteOffset, bytes.byteLength], [0, size]);
    assertEquals(takeSpare(size)?.byteLength, undefined, "it is somebody's");
  }
  for (const size of [SIZE + 1, SIZE / 2 - 1, 10, 0]) {
    giveBack(new ArrayBuffer(SIZE));
    assertEquals(takeSpare(size)?.byteLength, undefined, `${size}`);
  }
  assertEquals(kept(), SIZE, "it stays for who can use it");
});

test("memory that is small or very large is not kept, and none that has moved away", () => {
  for (const size of [0, 100, 2 ** 17 - 1, 2 ** 23 + 1]) {
    giveBack(new ArrayBuffer(size));
    assertEquals(takeSpare(size)?.byteLength, undefined, `${size}`);
  }
  const buffer = new ArrayBuffer(SIZE);
  giveBack(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  assertEquals(takeSpare(SIZE)?.byteLength, undefined);
});

test("memory that was given back is garbage", async () => {
  giveBack(new ArrayBuffer(SIZE));
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await sleep(1);
  }
  assertEquals(takeSpare(SIZE)?.byteLength, undefined);
});

test("a program that blocks holds the memory of one text, however many come", () => {
  const inUse = () => {
    collectGarbage();
    return Deno.memoryUsage().external;
  };
  const before = inUse();
  // In one turn of the event loop, at whose end V8 forgets what a WeakRef was made of.
  for (let i = 0; i < 50; i++) {
    giveBack(new ArrayBuffer(SIZE));
    if (i % 2 === 1) assertEquals(takeSpare(SIZE)?.byteLength, SIZE);
  }
  giveBack(new ArrayBuffer(SIZE));
  assertLess((inUse() - before) / SIZE, 3);
  assertEquals(kept(), SIZE);
});

test("a large text travels by message in the memory of another one, and nothing of that one", () => {
  giveBack(new TextEncoder().encode("y".repeat(SIZE)).buffer);
  const values = [
    new Encoded(Encoding.TEXT, "x".repeat(SIZE - 1_000)),
    new Encoded(Encoding.JSON, "1".repeat(600_000)),
  ];
  for (const value of values) {
    const sections = EncodedSections.from(value);
    assertEquals(sections.sections[0].buffer.byteLength, SIZE, "the memory of the one before");
    const { posted, list } = toPosted(sections);
    const sent = structuredClone(posted, { transfer: list });
    assertEquals(sectionsOf(sent).sections.map(({ byteLength }) => byteLength), [value.text.length]);
    assert(fromPosted(sent).text === value.text);
  }
  kept();
});

test("the buffers beside a large text are not used again", () => {
  const buffers = [new ArrayBuffer(SIZE), new ArrayBuffer(5)];
  const { posted } = toPosted(EncodedSections.from(new Encoded(Encoding.GRAPH, "[]", 0, buffers)));
  const read = fromPosted(posted);
  assertEquals(read.buffers.map(({ byteLength }) => byteLength), [SIZE, 5]);
  assertEquals(kept(), undefined);
});
