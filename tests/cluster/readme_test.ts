/** The recipe of README.md for many machines, which needs a server and a node. */
import { assertEquals } from "@std/assert";
import { blockOf, project, run } from "../_projects.ts";
import { clusterTest } from "./_kit.ts";

const ROOT = new URL("../../", import.meta.url);

clusterTest("README.md's cluster runs the tasks of its map on a node", async ({ server, queue, launchNode }) => {
  const recipe = blockOf(Deno.readTextFileSync(new URL("README.md", ROOT)), "new ClusterExecutor(");
  const main = recipe.replace(/redis: "[^"]*"/, `redis: "${server.url}", queue: "${queue}"`);
  const folder = project({ "main.ts": main, "tasks.ts": "export const resize = (name: string) => `small-${name}`;" });
  await launchNode(["--workers", "1", "--module", `tasks=${folder}/tasks.ts`]);
  const config = new URL("deno.json", ROOT).pathname;
  const args = ["run", "-A", "--no-check", "--config", config, "main.ts"];
  const { code, stdout, stderr } = await run(Deno.execPath(), args, { cwd: folder });
  assertEquals({ code, stdout }, { code: 0, stdout: "small-a.jpg\nsmall-b.jpg\n" }, stderr);
}, { withoutHost: true });
