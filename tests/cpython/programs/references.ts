/** Prints whether what is done with can be collected. Needs `--v8-flags=--expose-gc`. */
import { asCompleted, type Executor, Future, ProcessPoolExecutor } from "@concurrent/futures";
import { loadKind } from "../../fixtures/programs/_kind.ts";
import { echo, passGate, square } from "../../fixtures/tasks.ts";

const { gc } = globalThis as unknown as { gc(): void };

async function collected(ref: WeakRef<object>): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    gc();
    if (ref.deref() === undefined) return true;
  }
  return false;
}

/** The argument of a task whose future nobody keeps. */
function submitAndForget(pool: Executor): WeakRef<object> {
  const argument = { list: Array(100).fill(1) };
  pool.submit(echo<unknown>, argument);
  return new WeakRef(argument);
}

function nextOf(results: Iterator<object>): WeakRef<object> {
  return new WeakRef(results.next().value);
}

/** Futures that nothing else keeps, the last of which is never done. */
function someFutures(): Future<number>[] {
  const futures = Array.from({ length: 4 }, () => new Future<number>());
  for (const [i, future] of futures.slice(0, 3).entries()) future.setResult(i);
  return futures;
}

async function nextAwaited(iterator: AsyncIterator<object>): Promise<WeakRef<object>> {
  return new WeakRef((await iterator.next()).value);
}

async function yielded(): Promise<unknown> {
  const blocking = asCompleted(someFutures(), { timeout: 300 });
  const awaited = asCompleted(someFutures(), { timeout: 300 })[Symbol.asyncIterator]();
  const freed: [boolean[], boolean[]] = [[], []];
  const refs: [WeakRef<object>[], WeakRef<object>[]] = [[], []];
  const timedOut: string[] = [];
  for (let i = 0; i < 3; i++) {
    refs[0].push(nextOf(blocking));
    refs[1].push(await nextAwaited(awaited));
    if (i < 2) freed[1].push(await collected(refs[1][i]));
    if (i < 2) freed[0].push(await collected(refs[0][i]));
  }
  try {
    blocking.next();
  } catch (error) {
    timedOut.push((error as Error).name);
    freed[0].push(await collected(refs[0][2]));
  }
  try {
    await awaited.next();
  } catch (error) {
    timedOut.push((error as Error).name);
    freed[1].push(await collected(refs[1][2]));
  }
  return { blocking: freed[0], awaited: freed[1], timedOut };
}

// Not in the functions below, whose frames would keep the pool.
function dropBusyPool(gate: string): Future<unknown>[] {
  const pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 1 });
  return [pool.submit(passGate, gate, 0), ...[1, 2, 3].map((n) => pool.submit(square, n))];
}

function dropShutPool(gate: string): Future<unknown>[] {
  const pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 1 });
  const futures = [pool.submit(passGate, gate, 0), ...[1, 2, 3].map((n) => pool.submit(square, n))];
  pool.shutdown({ wait: false });
  return futures;
}

/** Collects the pool's executor while its only process runs its last task. */
async function dropped(drop: (gate: string) => Future<unknown>[]): Promise<unknown> {
  const folder = Deno.makeTempDirSync();
  const gate = `${folder}/gate`;
  const futures = drop(gate);
  while (!futures[0].running()) await new Promise((resolve) => setTimeout(resolve, 1));
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    gc();
  }
  Deno.writeTextFileSync(`${gate}.open`, "");
  const results = await Promise.all(futures);
  Deno.removeSync(folder, { recursive: true });
  return { results };
}

if (import.meta.main) {
  const { make } = await loadKind();
  const way = Deno.args[1];
  using pool = make({ maxWorkers: 1 });
  let output: unknown;
  switch (way) {
    case "argument":
      output = { freed: await collected(submitAndForget(pool)) };
      break;
    case "mapped": {
      const results = pool.map(echo<object>, Array.from({ length: 6 }, (_, n) => ({ n })), { chunksize: 2 });
      const freed: boolean[] = [];
      for (let i = 0; i < 5; i++) freed.push(await collected(nextOf(results)));
      results.return();
      output = { freed };
      break;
    }
    case "yielded":
      output = await yielded();
      break;
    case "dropped":
      output = await dropped(dropBusyPool);
      break;
    case "dropped-after-shutdown":
      output = await dropped(dropShutPool);
      break;
    default:
      throw new RangeError(`No such way: ${way}`);
  }
  console.log(JSON.stringify(output));
}
