/** Has tasks print what looks like the pool's own messages; the last line of stderr is what came of it. */
import { ProcessPoolExecutor } from "@concurrent/futures";
import { square } from "../../fixtures/tasks.ts";

/** Texts that a reader of messages could trip over. */
const TEXTS = [
  '\x1e["result",1,0,1,4]\n9999',
  '\x1e["00000000000000000000000000000000",22]\n\x1e["result",1,0,1,4]\n9999\n',
  '\x1e["ready",1]\n',
  "\x1e[",
  "\x1e",
  "{}",
  "\n\x1e\n\x1e\n",
  '\x1e["result",1,0,1,1000000000]\n',
];

export function print(text: string, n: number): number {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
  return n;
}

if (import.meta.main) {
  using pool = new ProcessPoolExecutor(1);
  const results: unknown[] = [];
  for (const [i, text] of TEXTS.entries()) {
    const printing = pool.submit(print, text, i);
    const after = pool.submit(square, i);
    results.push(i % 2 === 0 ? printing.result(10_000) : await printing, after.result(10_000));
  }
  pool.shutdownSync();
  console.error(JSON.stringify({ results, texts: TEXTS.join("") }));
}
