/** Ends in the way that the second argument names. Tasks and the program print what they do. */
import { loadKind } from "../../fixtures/programs/_kind.ts";

export function printLater(text: string, ms: number): string {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  console.log(text);
  return text;
}

if (import.meta.main) {
  const { make } = await loadKind();
  const [, way] = Deno.args;
  const pool = make({ maxWorkers: 1 });
  switch (way) {
    case "submit":
      pool.submit(printLater, "apple", 100);
      break;
    case "unload": {
      const used = pool.submit(printLater, "apple", 0);
      addEventListener("unload", () => {
        try {
          pool.submit(printLater, "never", 0);
          console.log("submitted");
        } catch (error) {
          console.log(`${(error as Error).name}: ${(error as Error).message}`);
        }
      });
      await used;
      break;
    }
    case "wait-false":
      pool.submit(printLater, "apple", 100);
      await pool.shutdown({ wait: false });
      break;
    case "wait-false-blocking":
      pool.submit(printLater, "apple", 100);
      pool.shutdownSync({ wait: false });
      break;
    case "cancelled": {
      const futures = [1, 2, 3].map((n) => pool.submit(printLater, `task ${n}`, 50));
      await pool.shutdown({ wait: false, cancelFutures: true });
      addEventListener("unload", () => console.log(JSON.stringify(futures.map((future) => future.state))));
      break;
    }
    default:
      throw new RangeError(`No such way: ${way}`);
  }
}
