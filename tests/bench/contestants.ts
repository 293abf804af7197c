/**
 * Who takes part: this library, its peers from npm under Node and Deno, Python, and the floors.
 *
 * @module
 */

import { fromFileUrl } from "@std/path";
import type { Row } from "./rows.ts";

export interface Contestant {
  name: string;
  family: "ours" | "npm" | "python" | "floor";
  command: string;
  args: string[];
  /** It waits in another way than the row says. */
  wait?: "block" | "await";
}

/** Where the peers are installed, and where contestants run. */
export const PEERS_FOLDER = fromFileUrl(new URL("./peers/", import.meta.url));

const PEERS = ["piscina", "tinypool", "workerpool", "poolifier", "threads", "jest-worker"];
/** Those that can run tasks in processes as well. */
const WITH_PROCESSES = ["tinypool", "workerpool", "poolifier", "jest-worker"];
const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const driver = (name: string) => fromFileUrl(new URL(`./drivers/${name}`, import.meta.url));
const withGc = "--v8-flags=--expose-gc";

/** This library, or a floor: a program of this project. */
function ownProgram(name: string, family: "ours" | "floor", file: string, ...args: string[]): Contestant {
  const flags = ["run", "-A", "--quiet", "--no-check", withGc, `--config=${ROOT}deno.json`];
  return { name, family, command: Deno.execPath(), args: [...flags, driver(file), ...args] };
}

function peer(name: string, runtime: "Node" | "Deno"): Contestant {
  return {
    name: `${name} ${runtime}`,
    family: "npm",
    command: runtime === "Node" ? "node" : Deno.execPath(),
    args: runtime === "Node"
      ? ["--expose-gc", "driver.mjs", name]
      : ["run", "-A", "--quiet", "--no-lock", "--node-modules-dir=manual", withGc, "driver.mjs", name],
  };
}

/** Whether a program can be started, and what it says about its version. */
export async function versionOf(command: string): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(command, { args: ["--version"], stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim().replace(/^(Python |v)/, "") : undefined;
  } catch {
    return undefined;
  }
}

/** What there is on this machine. */
export interface Machine {
  node?: string;
  python?: string;
}

/** Those who take part in a row; this library comes first. */
export function contestantsOf(row: Row, machine: Machine, withPeers: boolean): Contestant[] {
  const found = [ownProgram("ours", "ours", "ours.ts")];
  const alsoOurs = (name: string, wait: "block" | "await") =>
    found.push({ ...ownProgram(name, "ours", "ours.ts"), wait });
  // Where the others await and this library blocks, it also shows how long it takes when it awaits.
  if (row.work === "oneByOne" && row.params.wait === undefined) alsoOurs("ours, awaited", "await");
  if (row.work === "afterPauses") alsoOurs("ours, blocking", "block");
  if (withPeers && row.peers !== false) {
    const names = row.group === "threads" ? PEERS : WITH_PROCESSES;
    if (machine.node) found.push(...names.map((name) => peer(name, "Node")));
    found.push(...names.map((name) => peer(name, "Deno")));
    if (row.group === "threads") found.push(peer("poolifier-web-worker", "Deno"));
  }
  if (withPeers && row.python && machine.python) {
    found.push({ name: "Python", family: "python", command: "python3", args: ["-B", driver("python.py")] });
  }
  found.push(...row.floors.map((name) => ownProgram(name, "floor", "floors.ts", name)));
  return found;
}

/** Installs the peers, when they are not there. */
export async function installPeers(machine: Machine): Promise<void> {
  try {
    const { isDirectory } = await Deno.stat(`${PEERS_FOLDER}node_modules/piscina`);
    if (isDirectory) return;
  } catch { /* not yet */ }
  const [command, args] = machine.node
    ? [Deno.build.os === "windows" ? "npm.cmd" : "npm", ["ci", "--no-audit", "--no-fund"]]
    : [Deno.execPath(), ["install", "--no-lock", "--node-modules-dir=manual"]];
  console.error(`Installing the peers: ${command} ${args.join(" ")}`);
  const { success } = await new Deno.Command(command, { args, cwd: PEERS_FOLDER, stdout: "null" }).output();
  if (!success) throw new Error(`Cannot install the peers in ${PEERS_FOLDER}: use --no-peers to do without`);
}
