/** A program that lies on a web server, as its tasks do. */
import { test } from "../_helpers.ts";
import { assertPrints, Project } from "./_project.ts";
import { Registry } from "./_registry.ts";
import { serveFolder } from "./_web.ts";

for (const [kind, how] of [["threads", "block"], ["threads", "await"], ["processes", "block"], ["none", "block"]]) {
  test(`${kind} run a program and tasks that lie on a web server, also a module named by a query: ${how}`, async () => {
    await using registry = await Registry.start();
    await using server = serveFolder("web");
    const host = `127.0.0.1:${server.addr.port}`;
    const project = new Project(registry);
    const flags = [
      `--allow-import=${host},${registry.host}`,
      ...(kind === "threads" ? [] : ["--allow-read", "--allow-run"]),
    ];
    const run = await project.deno(["run", "--no-prompt", ...flags, `http://${host}/main.ts`, kind, how]);
    assertPrints(run, "64", "4", "Ann of acme Bob of acme Cy of acme", "Dan of acme", "greet");
  });
}
