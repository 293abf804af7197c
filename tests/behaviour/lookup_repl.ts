/** How functions are found that stand in a line of the REPL, which is no module and has no text that can be read. */
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "../_helpers.ts";
import { project } from "../_projects.ts";
import { repl } from "../_repl.ts";
import type { Kind } from "./kind.ts";

const ROOT = new URL("../../", import.meta.url);

export function lookupReplBehaviour({ name }: Kind): void {
  test(`${name}: a function of the REPL imports modules beside it, as errors of missing names say`, async () => {
    const cwd = project({ "tasks.ts": "const by = 2;\nexport const scale = (n: number): number => n * by;\n" });
    const lines = [
      `const { ${name} } = await import(${JSON.stringify(`${ROOT}mod.ts`)});`,
      `const pool = new ${name}(1);`,
      `const told = (fn) => "told " + pool.submit(fn, 7).exception(10_000)?.message;`,
      `const { scale } = await import("./tasks.ts");`,
      `const k = 2;`,
      `function helper(n) { return n; }`,
      `told(scale);`,
      `told((n) => n * k);`,
      `told((n) => helper(n));`,
      `"told " + pool.submit(async (n) => (await import("./tasks.ts")).scale(n), 7).result(10_000);`,
      `pool.shutdownSync();`,
    ];
    const { stdout, stderr } = await repl(lines, { cwd });
    const messages = [...stdout.matchAll(/^["']told (.*)["']$/gm)].map(([, message]) => message);
    assertEquals(messages.length, 4, stdout + stderr);
    const [ofImport, ofConst, ofHelper, product] = messages;
    for (
      const [message, used, called] of [[ofImport, "by", "scale"], [ofConst, "k", "task"], [ofHelper, "helper", "task"]]
    ) {
      assertMatch(message, new RegExp(`^${used} is not defined: .* To fix it, pass what it uses as arguments, or `));
      assertMatch(message, new RegExp(`as in async .* => \\(await import\\("./tasks.ts"\\)\\).${called}\\(.*\\)`));
    }
    assertEquals(product, "14");
  });

  test(`${name}: a name of the REPL is not confused with a global one of Deno`, async () => {
    const lines = [
      `const { ${name} } = await import(${JSON.stringify(`${ROOT}mod.ts`)});`,
      `const pool = new ${name}(1);`,
      `const told = (fn) => "told " + (pool.submit(fn).exception(10_000)?.message ?? "nothing").split(":")[0];`,
      `told(() => typeof crypto.subtle + typeof fetch);`,
      `let crypto = { subtle: 3 };`,
      `function fetch() { return 5; }`,
      `let btoa = JSON.parse("{");`,
      `told(() => crypto.subtle);`,
      `told(() => fetch());`,
      `told(() => btoa("a"));`,
      `pool.shutdownSync();`,
    ];
    const { stdout, stderr } = await repl(lines);
    const messages = [...stdout.matchAll(/^"told (.*)"$/gm)].map(([, message]) => message);
    const expected = ["crypto", "fetch", "btoa"].map((name) => `${name} is not defined`);
    assertEquals(messages, ["nothing", ...expected], stdout + stderr);
  });
}
