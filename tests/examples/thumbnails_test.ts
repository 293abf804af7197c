/** `examples/real/thumbnails.ts` as a user runs it: what it makes of photographs, and of files that are none. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import decode from "@jsquash/jpeg/decode.js";
import { COMMAND } from "../../examples/real/thumbnails.ts";
import { test } from "../_helpers.ts";
import { assertAsOnPage, assertCannotUse, assertTable, linesOf, ROOT, type Run, runExample } from "./_run.ts";

/** A folder that the program may write to, until the end of the block. */
class Folder implements Disposable {
  readonly name = `downloads/test-${crypto.randomUUID()}`;

  /** Makes photographs, 90 x 60 pixels each, and then thumbnails of at most 30 x 30. */
  async run(args: string[]): Promise<Run> {
    const small = ["--size", "30", "--photos", "3", "--width", "90", "--dest", this.name];
    const { stdout, ...rest } = await runExample("real/thumbnails.ts", [...small, ...args]);
    return { ...rest, stdout: stdout.replaceAll("\\", "/").replaceAll(this.name, "downloads") };
  }

  path(name: string): string {
    return join(ROOT, this.name, name);
  }

  async read(name: string): Promise<ImageData> {
    return await decode((await Deno.readFile(this.path(name))).buffer);
  }

  names(folder: string): string[] {
    return [...Deno.readDirSync(this.path(folder))].map(({ name }) => name).sort();
  }

  [Symbol.dispose]() {
    Deno.removeSync(join(ROOT, this.name), { recursive: true });
  }
}

/** How far the colours of a thumbnail are from the mean of the 3 x 3 pixels that each stands for, on the average. */
function difference(thumbnail: ImageData, photo: ImageData): number {
  let sum = 0;
  for (let i = 0; i < thumbnail.data.length; i++) {
    const [x, y, channel] = [(i >> 2) % thumbnail.width, Math.floor((i >> 2) / thumbnail.width), i & 3];
    let mean = 0;
    for (let k = 0; k < 9; k++) {
      mean += photo.data[4 * ((3 * y + Math.floor(k / 3)) * photo.width + 3 * x + k % 3) + channel] / 9;
    }
    sum += Math.abs(thumbnail.data[i] - mean);
  }
  return sum / thumbnail.data.length;
}

test("thumbnails.ts makes photographs, and of each the thumbnail that has its name", async () => {
  using folder = new Folder();
  const lines = linesOf(await folder.run(["--workers", "2"]));
  assertEquals(lines, ["3 photographs in downloads/photos", "3 thumbnails in downloads/thumbnails, 0 failed"]);
  const names = ["photo-1.jpg", "photo-2.jpg", "photo-3.jpg"];
  assertEquals([folder.names("photos"), folder.names("thumbnails")], [names, names]);
  for (const name of names) {
    const thumbnail = await folder.read(`thumbnails/${name}`);
    assertEquals([thumbnail.width, thumbnail.height], [30, 20]);
    for (const other of names) {
      const far = difference(thumbnail, await folder.read(`photos/${other}`));
      assert(other === name ? far < 7 : far > 14, `${name} is ${far} from ${other}`);
    }
  }
});

/** Says in the header of a JPEG that the camera was held upright: EXIF, orientation 6. */
function turned(jpeg: Uint8Array): Uint8Array {
  const exif = [
    ...[0xff, 0xe1, 0, 34, ...new TextEncoder().encode("Exif\0\0MM"), 0, 42, 0, 0, 0, 8],
    ...[0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0],
  ];
  return Uint8Array.from([...jpeg.subarray(0, 2), ...exif, ...jpeg.subarray(2)]);
}

test("thumbnails.ts names files that are broken or cannot be read, and goes on", async () => {
  using folder = new Folder();
  linesOf(await folder.run(["--workers", "1"]));
  const whole = await Deno.readFile(folder.path("photos/photo-1.jpg"));
  const write = (name: string, bytes: Uint8Array) => Deno.writeFile(folder.path(`photos/${name}`), bytes);
  await Promise.all([
    write("broken.jpg", new TextEncoder().encode("no photograph")),
    write("empty.jpeg", new Uint8Array(0)),
    write("half.jpg", whole.subarray(0, whole.length / 2)),
    write("notes.txt", new TextEncoder().encode("taken in the evening")),
    write("TURNED.JPG", turned(whole)),
    Deno.mkdir(folder.path("photos/album.jpg")),
  ]);
  const { code, stdout, stderr } = await folder.run(["--workers", "1", `${folder.name}/photos`]);
  assertEquals(stdout, "8 photographs in downloads/photos\n4 thumbnails in downloads/thumbnails, 4 failed\n");
  assertEquals(code, 1);
  const told = new Map(
    stderr.trimEnd().split("\n").map((line) => {
      const [, name, text] = /^downloads[^:]*[/\\](.*?): (.+)$/.exec(line) ?? [, "", line];
      return [name, text];
    }),
  );
  assertEquals([...told.keys()].sort(), ["album.jpg", "broken.jpg", "empty.jpeg", "half.jpg"], stderr);
  assertMatch(told.get("broken.jpg")!, /^Not a JPEG file: /);
  assertMatch(told.get("empty.jpeg")!, /^Empty input file$/);
  assertMatch(told.get("half.jpg")!, /^Premature end of JPEG file$/);
  assertEquals(folder.names("thumbnails"), ["TURNED.JPG", "photo-1.jpg", "photo-2.jpg", "photo-3.jpg"]);
  const { width, height } = await folder.read("thumbnails/TURNED.JPG");
  assertEquals([width, height], [20, 30]);
});

test("thumbnails.ts --compare prints a line for each number of threads, and does not enlarge", async () => {
  using folder = new Folder();
  const run = await folder.run(["--compare", "--workers", "2", "--size", "200"]);
  const [found, head, first, second, made] = linesOf(run);
  assertEquals(found, "3 photographs in downloads/photos");
  assertTable(head, [first, second], [1, 2]);
  assertEquals(made, "3 thumbnails in downloads/thumbnails, 0 failed");
  assertAsOnPage("real/thumbnails.ts", run.stdout);
  const { width, height } = await folder.read("thumbnails/photo-3.jpg");
  assertEquals([width, height], [90, 60]);
});

test("thumbnails.ts tells by a line that there is no such folder", async () => {
  using folder = new Folder();
  const { code, stdout, stderr } = await folder.run([`${folder.name}/none`]);
  assertMatch(stderr, /^[^\n]*none[^\n]*\n$/);
  assertEquals([code, stdout], [1, ""]);
});

for (
  const [args, ...told] of [
    [["a", "b"], "2 folders", "one"],
    [["downloads/thumbnails"], '"downloads/thumbnails"', "a folder that does not get the thumbnails"],
    [["-o", "x", "x/../x/thumbnails/"], '"x/../x/thumbnails/"'],
    [["--photos", "0"], '--photos "0"', "a whole number from 1 to 999"],
    [["--width", "2"], '--width "2"', "a whole number from 3 to 12000"],
  ] as [string[], ...string[]][]
) {
  test(`thumbnails.ts ${args.join(" ")} is refused`, () => assertCannotUse(COMMAND, args, ...told));
}
