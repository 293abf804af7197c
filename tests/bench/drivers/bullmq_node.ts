/** A node of plain BullMQ, for `../cluster.ts`: 20 jobs at once, in this thread. */
import { Worker } from "bullmq";
import { Redis } from "ioredis";

const connection = new Redis(Deno.args[0], { maxRetriesPerRequest: null });
const worker = new Worker("plain", (job) => {
  const { value } = job.data;
  return Promise.resolve(job.name === "square" ? value * value : value);
}, { connection, concurrency: 20 });
await worker.waitUntilReady();
console.log("ready");
