/** A web server with the files of a folder, which name the package as programs do that have no import map. */
export function serveFolder(folder: "programs" | "web"): Deno.HttpServer<Deno.NetAddr> {
  const root = new URL(`./${folder}/`, import.meta.url);
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ url }) => {
    const text = await Deno.readTextFile(new URL(`.${new URL(url).pathname}`, root));
    return new Response(text.replace('"@concurrent/futures"', '"jsr:@concurrent/futures@*"'), {
      headers: { "content-type": "application/typescript" },
    });
  });
}
