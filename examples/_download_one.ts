/**
 * The task of `flags.ts`. It has a module of its own because every worker loads the module of its task: 20 workers
 * would also load, 20 times, whatever else the program imports.
 *
 * @module
 */

/** Where the flags come from, where they go, and whether to keep quiet about it. */
export interface Settings {
  /** The flag of China is at `{baseUrl}/cn.svg`. */
  baseUrl: string;
  /** An existing directory. */
  dest: string;
  quiet: boolean;
}

/** Downloads one flag, saves it, shows its country code, and returns the code. */
export async function downloadOne(cc: string, { baseUrl, dest, quiet }: Settings): Promise<string> {
  const name = `${cc.toLowerCase()}.svg`;
  await Deno.writeFile(`${dest}/${name}`, await getFlag(`${baseUrl}/${name}`));
  if (!quiet) show(cc);
  return cc;
}

async function getFlag(url: string): Promise<Uint8Array> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    if (response.ok) return await response.bytes();
    await response.body?.cancel();
    throw new Error(`the server answered ${response.status} ${response.statusText}`);
  } catch (error) {
    throw new Error(`Cannot download ${url}: ${(error as Error).message}`, { cause: error });
  }
}

function show(cc: string) {
  try {
    // Not console.log, which would end the line.
    Deno.stdout.writeSync(new TextEncoder().encode(`${cc} `));
  } catch (error) {
    // Nobody reads on, as in `flags.ts | head -1`: the flags are wanted all the same.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
