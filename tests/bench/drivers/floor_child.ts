/**
 * Answers each line of JSON on stdin, `[id, argument]`, with the same on stdout. Lines that arrive together are
 * answered together.
 */

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const buffer = new Uint8Array(1 << 16);
let rest = "";
for (let size; (size = Deno.stdin.readSync(buffer)) !== null;) {
  const lines = (rest + decoder.decode(buffer.subarray(0, size), { stream: true })).split("\n");
  rest = lines.pop()!;
  const answers = lines.map((line) => `${JSON.stringify(JSON.parse(line))}\n`).join("");
  for (let bytes = encoder.encode(answers); bytes.length > 0;) {
    bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
  }
}
