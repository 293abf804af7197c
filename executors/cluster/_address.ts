/**
 * Where a cluster's server is. Nothing here connects: programs and tasks load this without what connecting needs, and
 * without the permissions for that.
 *
 * @module
 */

/** Where the queue is. */
export interface Address {
  /** Such as `redis://user:password@host:6379/0`, or `rediss:` for TLS. */
  readonly redis: string;
  readonly queue: string;
  /** What all keys of the cluster's queues begin with. */
  readonly prefix: string;
  /** For `rediss:`: certificates as PEM texts. */
  readonly tls?: TlsOptions;
}

/** Certificates for a connection with TLS, as PEM texts. */
export interface TlsOptions {
  /** The certificate of the authority that has signed the server's. */
  ca?: string;
  /** The certificate of this client, if the server wants one. */
  cert?: string;
  /** The private key of this client's certificate. */
  key?: string;
}

/** What all keys of a queue begin with on the server. */
export function keyStart({ prefix, queue }: Address): string {
  return `${prefix}:${queue}:`;
}

/** Whether a text is the address of a server. */
export function isServer(redis: string): boolean {
  const protocol = URL.parse(redis)?.protocol;
  return protocol === "redis:" || protocol === "rediss:";
}

/**
 * An address without its password, for messages: also where it is none that can be used, as a password may have what no
 * URL has.
 *
 * @param redis What somebody has given as an address.
 */
export function shown(redis: string): string {
  const [, start, rest] = /^([a-z][a-z\d+.-]*:\/\/|)([^]*)$/i.exec(redis)!;
  const at = rest.lastIndexOf("@");
  const user = /^[^:@]*(?=:)/.exec(rest.slice(0, Math.max(0, at)))?.[0];
  // A name alone may be meant as the password; and options can follow, of which it is one.
  const owner = at === -1 ? "" : user === undefined ? "***@" : `${user}:***@`;
  return start + owner + rest.slice(at + 1).replace(/\?[^]*/, "?***");
}
