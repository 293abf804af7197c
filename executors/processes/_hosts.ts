/**
 * Hosts in permissions: which of them this program holds in full, and which of them children need for their modules.
 *
 * @module
 */

/** The hosts that Deno lets every program import from, unless it is told others. */
const DEFAULT_HOSTS = [
  "deno.land:443",
  "jsr.io:443",
  "esm.sh:443",
  "raw.esm.sh:443",
  "cdn.jsdelivr.net:443",
  "raw.githubusercontent.com:443",
  "gist.githubusercontent.com:443",
];

/** A name that no machine has (RFC 2606). It stands for "no host", because a list of hosts must not be empty. */
const NOWHERE = "nowhere.invalid:1";

/** An address as Deno writes it. Deno itself reads what stands in brackets. */
const ADDRESS = /^(\[.*\]|(0|[1-9]\d*)(\.(0|[1-9]\d*)){3})$/;

/** What systems read as an address, and Deno as a name: `127.1`, `2130706433`, `0177.0.0.1` or `0x7f.1`. */
const ALMOST_ADDRESS = /^(0x[\da-f]*|\d+)(\.(0x[\da-f]*|\d+))*\.?$/i;

/** The addresses that a name has on every machine. */
const LOCALHOST = ["127.0.0.1", "[::1]"];

/** How long it may take to ask for all ports of a host, in milliseconds. */
const SCAN_MS = 30_000;

/** The hosts of which no port is denied. They are kept, as Deno's flags do not change while a program runs. */
const held = new Set<string>();

/**
 * Whether this program may use a granted host without exceptions.
 *
 * Where an item names no port, any port of the host could be denied, and Deno answers only for a port that it is asked
 * for. And whatever a host is called, Deno refuses to connect to an address that is denied: so where there are
 * exceptions, only addresses are known to have none.
 *
 * @param hasExceptions Whether this program is granted all hosts but some.
 */
export function isHostHeld(name: "net" | "import", host: string, hasExceptions: boolean): boolean {
  if (/^(unix|vsock):/.test(host)) return true;
  const [, hostname, port] = /^(.*?)(:\d+)?$/.exec(host)!;
  const isLocalhost = name === "net" && hostname.toLowerCase() === "localhost";
  if (name === "net" && !ADDRESS.test(hostname)) {
    // The addresses of that name could be denied.
    if (ALMOST_ADDRESS.test(hostname) || (hasExceptions && !isLocalhost)) return false;
  }
  const hosts = isLocalhost ? [hostname, ...LOCALHOST] : [hostname];
  if (port !== undefined) return hosts.every((each) => stateOf(name, each + port) !== "denied");
  return hosts.every((each) => isHeldAtAllPorts(name, each));
}

function stateOf(name: string, host: string): string {
  return Deno.permissions.querySync({ name, host } as Deno.PermissionDescriptor).state;
}

function isHeldAtAllPorts(name: string, hostname: string): boolean {
  const key = `${name} ${hostname}`;
  if (!held.has(key) && isFreeAtAllPorts(name, hostname)) held.add(key);
  return held.has(key);
}

/** Asks in a thread of its own, because Deno keeps each answer as long as the thread lives: 26 MB for a host. */
function isFreeAtAllPorts(name: string, hostname: string): boolean {
  const answer = new Int32Array(new SharedArrayBuffer(4));
  const text = `self.onmessage = ({ data: { name, hostname, answer } }) => {
    const isDenied = (port) => Deno.permissions.querySync({ name, host: hostname + ":" + port }).state === "denied";
    let port = 0;
    try {
      while (port < 65536 && !isDenied(port)) port++;
    } catch {}
    Atomics.store(answer, 0, port === 65536 ? 1 : 2);
    Atomics.notify(answer, 0);
  };`;
  const worker = new Worker(`data:application/javascript,${encodeURIComponent(text)}`, { type: "module" });
  worker.postMessage({ name, hostname, answer });
  Atomics.wait(answer, 0, 0, SCAN_MS);
  worker.terminate();
  return Atomics.load(answer, 0) === 1;
}

/**
 * The arguments that let a child import this library and modules of tasks, and what this program may import besides.
 *
 * @param imports Hosts that the option `permissions` names.
 * @param modules The URLs of the modules.
 */
export function importFlags(imports: readonly string[] | undefined, modules: Iterable<string>): string[] {
  if (imports === undefined) return [];
  const isHeld = (host: string) => stateOf("import", host) === "granted";
  const defaults = imports.length > 0 ? [] : DEFAULT_HOSTS.filter(isHeld);
  const hosts = new Set([...imports, ...defaults]);
  for (const url of [import.meta.url, ...modules]) {
    const host = hostOf(url);
    if (host !== undefined && isHeld(host)) hosts.add(host);
  }
  // As it is without an argument.
  if (defaults.length === DEFAULT_HOSTS.length && hosts.size === defaults.length) return [];
  return [`--allow-import=${[...hosts].join(",") || NOWHERE}`];
}

/** The host that a module is loaded from, with its port. */
function hostOf(url: string): string | undefined {
  const { protocol, hostname, port } = new URL(url);
  switch (protocol) {
    case "http:":
      return `${hostname}:${port || 80}`;
    case "https:":
      return `${hostname}:${port || 443}`;
    case "jsr:":
      return "jsr.io:443";
    default:
      return undefined;
  }
}
