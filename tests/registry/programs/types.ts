/** What `deno check` must refuse: the last line. */
import { type Future, ThreadPoolExecutor } from "@concurrent/futures";
import { ClusterExecutor } from "@concurrent/futures/cluster";
import { treble } from "./tasks.ts";

using threads = new ThreadPoolExecutor({ maxWorkers: 1 });
using cluster = new ClusterExecutor({ redis: "redis://127.0.0.1:6379" });
export const futures: Future<number>[] = [threads.submit(treble, 1), cluster.submit(treble, 1)];
// @ts-expect-error Taken out by the test: here it would be refused, too.
export const text: string = threads.submit(treble, 1).result();
