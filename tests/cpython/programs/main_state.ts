/** Changes the state of the main module in workers, by an initializer, and prints what is seen there and here. */
import { loadKind } from "../../fixtures/programs/_kind.ts";

let state = "untouched";

export function set(text: string): void {
  state = text;
}

export function get(): string {
  return state;
}

if (import.meta.main) {
  const { make } = await loadKind();
  using pool = make({ maxWorkers: 1, initializer: set, initargs: ["set by the initializer"] });
  const workers = [pool.submit(get).result(10_000), await pool.submit(get)];
  console.log(JSON.stringify({ workers, program: state }));
}
