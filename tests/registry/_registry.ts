/**
 * A registry on the loopback interface. It takes what `deno publish` sends and serves that as jsr.io does: so programs
 * get this package as users do, as modules of `http:` URLs.
 */
import { assertEquals, fail } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** What `deno.json` says of a package. */
interface Config {
  name: string;
  version: string;
  exports: { [name: string]: string };
}

/** A version of a package: its files, by paths that begin with a slash. */
interface Published {
  config: Config;
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  manifest: Manifest;
}

type Manifest = { [path: string]: { size: number; checksum: string } };

/** This package, once it has been published. */
let published: Published | undefined;

export class Registry implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #published: Published | undefined;

  private constructor(published?: Published) {
    this.#published = published;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  /** Starts one that has this package, which is published once for all registries of a file. */
  static async start(): Promise<Registry> {
    published ??= await Registry.#publish();
    return new Registry(published);
  }

  /** What a registry gets when this package is published to it, as the job `publish` of CI does. */
  static async #publish(): Promise<Published> {
    await using registry = new Registry();
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["publish", "--quiet", "--no-check", "--allow-dirty", "--no-provenance", "--token", "any"],
      cwd: ROOT,
      env: { JSR_URL: registry.url, NO_COLOR: "1" },
      stdin: "null",
    }).output();
    if (!success || registry.#published === undefined) fail(new TextDecoder().decode(stderr));
    return registry.#published;
  }

  get host(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  /** From now on nothing can be fetched. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/api/")) return await this.#take(request, pathname);
    if (this.#published === undefined) return notFound();
    const { config: { name, version, exports }, files, manifest } = this.#published;
    const at = `/${name}/`;
    if (pathname === `${at}meta.json`) return Response.json({ versions: { [version]: {} } });
    if (pathname === `${at}${version}_meta.json`) return Response.json({ manifest, exports });
    const file = files.get(pathname.slice(at.length + version.length));
    if (!pathname.startsWith(`${at}${version}/`) || file === undefined) return notFound();
    return new Response(file, { headers: { "content-type": typeOf(pathname) } });
  }

  /** What `deno publish` asks: whether the version is there, whether the package is, and then to take the version. */
  async #take(request: Request, pathname: string): Promise<Response> {
    if (request.method === "GET") {
      return pathname.includes("/versions/")
        ? Response.json({ code: "packageVersionNotFound", message: "Not there yet" }, { status: 404 })
        : Response.json({});
    }
    const files = await unpack(request.body!.pipeThrough(new DecompressionStream("gzip")));
    const config = JSON.parse(new TextDecoder().decode(files.get("/deno.json")));
    this.#published = { config, files, manifest: await manifestOf(files) };
    return Response.json({ id: "1", status: "success", error: null });
  }
}

function notFound(): Response {
  return new Response("Not found", { status: 404 });
}

function typeOf(path: string): string {
  return path.endsWith(".ts") ? "application/typescript" : path.endsWith(".json") ? "application/json" : "text/plain";
}

async function manifestOf(files: Published["files"]): Promise<Manifest> {
  const entries = Array.from(files, async ([path, bytes]) => {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [path, { size: bytes.length, checksum: `sha256-${digest.toHex()}` }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** The files of a tar archive whose entries have a name of 100 characters at most. */
async function unpack(stream: ReadableStream<Uint8Array>): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const archive = new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (let at = 0; archive[at] !== 0 && at < archive.length;) {
    const text = (from: number, length: number) =>
      new TextDecoder().decode(archive.subarray(at + from, at + from + length)).replace(/\0.*$/s, "");
    const [path, size, type] = [text(0, 100), Number.parseInt(text(124, 12), 8), text(156, 1)];
    assertEquals(["0", ""].includes(type), true, `an entry of the archive that is no file: ${path}`);
    files.set(`/${path}`, archive.slice(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
