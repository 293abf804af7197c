/** Passes items from a thread to this one by a queue, under a lock: `sync.ts <how>`, where `how` is block or await. */
import { ThreadPoolExecutor } from "@concurrent/futures";
import { Lock, Queue } from "@concurrent/futures/sync";

export function countUp(lock: Lock, queue: Queue<number>, to: number): boolean {
  for (let n = 1; n <= to; n++) {
    using _ = lock.hold();
    queue.put(n);
  }
  queue.shutdown();
  return lock.locked();
}

const [how] = Deno.args;

if (import.meta.main && ["block", "await"].includes(how)) {
  using pool = new ThreadPoolExecutor(1);
  const [lock, queue] = [new Lock(), new Queue<number>(1)];
  const future = pool.submit(countUp, lock, queue, 3);
  if (how === "block") { for (const n of queue) console.log(n); }
  else for await (const n of queue) console.log(n);
  console.log(how === "block" ? future.result() : await future);
}
