/**
 * What `flags.ts`, `flags2.ts` and `flag_server.ts` share. The task is here, and nothing is imported, because every
 * worker loads the module of its task: 20 workers would also load, 20 times, whatever else the programs import.
 *
 * @module
 */

/** The ISO 3166 codes of the 20 most populous countries, the most populous first. */
export const POP20 = "CN IN US ID BR PK NG BD RU JP MX PH VN ET EG DE IR TR CD FR".split(" ");

/** The 194 countries whose flags the site of the book has, and so has `flag_server.ts`. */
export const COUNTRIES = `
AD AE AF AG AL AM AO AR AT AU AZ BA BB BD BE BF BG BH BI BJ BN BO BR BS BT BW BY BZ CA CD CF CG CH CI CL CM CN CO CR CU
CV CY CZ DE DJ DK DM DZ EC EE EG ER ES ET FI FJ FM FR GA GB GD GE GH GM GN GQ GR GT GW GY HN HR HT HU ID IE IL IN IQ IR
IS IT JM JO JP KE KG KH KI KM KN KP KR KW KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MG MH MK ML MM MN MR MT MU MV
MW MX MY MZ NA NE NG NI NL NO NP NR NZ OM PA PE PG PH PK PL PT PW PY QA RO RS RU RW SA SB SC SD SE SG SI SK SL SM SN SO
SR SS ST SV SY SZ TD TG TH TJ TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VN VU WS YE ZA ZM ZW
`.trim().split(/\s+/);

// ---- the task -----------------------------------------------------------------------------------------------------

/** Where the flags come from, where they go, and whether to keep quiet about it. */
export interface Settings {
  /** The flag of China is at `{baseUrl}/cn.svg`. */
  baseUrl: string;
  /** An existing directory. */
  dest: string;
  quiet: boolean;
}

/** There is no flag, because of the server or of the way to it. */
export class DownloadError extends Error {
  override name = "DownloadError";

  /** `reason` is what went wrong; `status` is that of HTTP, if the server gave one. */
  constructor(url: string, public reason: string, public status?: number) {
    super(`Cannot download ${url}: ${reason}`);
  }
}

/** Downloads one flag, saves it, shows its country code, and returns the code. */
export async function downloadOne(cc: string, { baseUrl, dest, quiet }: Settings): Promise<string> {
  const name = `${cc.toLowerCase()}.svg`;
  await Deno.writeFile(`${dest}/${name}`, await getFlag(`${baseUrl}/${name}`));
  if (!quiet) show(cc);
  return cc;
}

async function getFlag(url: string): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    if (response.ok) return await response.bytes();
    await response.body?.cancel();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error; // Not the fault of the server.
    throw new DownloadError(url, `connection error: ${(error as Error).message}`);
  }
  throw new DownloadError(url, `HTTP ${response.status} - ${response.statusText}`, response.status);
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

// ---- the site -----------------------------------------------------------------------------------------------------

/** How a site behaves. */
export interface Site {
  /** Where it is on 127.0.0.1; 0 is any free port. */
  port: number;
  /** How long it holds back each answer: at least and at most, in milliseconds. */
  delay: [min: number, max: number];
  /** What part of the answers fail, from 0 to 1. */
  errorRate: number;
  /** Decides which ones do, and how long each takes. */
  seed: number;
}

/** The sites of the book that run on one's own machine. */
export const SITES: Record<string, Site> = {
  LOCAL: { port: 8001, delay: [0, 0], errorRate: 0, seed: 1 },
  DELAY: { port: 8002, delay: [250, 750], errorRate: 0, seed: 1 },
  ERROR: { port: 8003, delay: [0, 500], errorRate: 0.25, seed: 1 },
};

/**
 * Runs `flag_server.ts` in a Web Worker, which ends with the disposal. The server has a thread of its own because the
 * main thread may block while it waits for a future, and a blocked thread answers no requests.
 */
export async function startServer(site: Site): Promise<Disposable & { baseUrl: string }> {
  const embedded = encodeURIComponent(JSON.stringify(site));
  const worker = new Worker(import.meta.resolve(`./flag_server.ts?embedded=${embedded}`), { type: "module" });
  try {
    const baseUrl = await new Promise<string>((resolve, reject) => {
      worker.onmessage = ({ data }) => data.error ? reject(data.error) : resolve(data.baseUrl);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`Cannot start the embedded server: ${event.message}`));
      };
    });
    return { baseUrl, [Symbol.dispose]: () => worker.terminate() };
  } catch (error) {
    worker.terminate();
    throw error;
  }
}
