/** The command that starts a node. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { bothFail, Gate, Ledger, test, until, within } from "../_helpers.ts";
import { tellArguments } from "../fixtures/cluster_tasks.ts";
import { passGate, record, square } from "../fixtures/tasks.ts";
import { clusterTest, NODE, nodeModules, runNode } from "./_kit.ts";
import { freePort } from "./_redis.ts";

const TASKS = import.meta.resolve("../fixtures/tasks.ts");

test("node: --help tells every option", async () => {
  const { code, stdout } = await runNode("--help");
  assertEquals(code, 0);
  for (
    const option of [
      "redis",
      "queue",
      "prefix",
      "module",
      "workers",
      "permissions",
      "lock",
      "ca",
      "cert",
      "key",
      "name",
    ]
  ) {
    assertStringIncludes(stdout, `--${option}`);
  }
});

for (
  const [args, text] of [
    [["--workrs", "2"], "Unknown option '--workrs'"],
    [["tasks.ts"], "Unexpected argument 'tasks.ts'"],
    [[], "The node has nothing to run. To fix it, give at least one --module"],
    [["--module", TASKS, "--workers", "0"], "The option --workers must be an integer of at least 1: 0"],
    [["--module", TASKS, "--redis", "localhost"], "The option --redis must be a URL as redis://host:port"],
    [["--module", TASKS, "--redis", "http://user:hunter2@h:1"], "rediss://host:port: http://user:***@h:1"],
    [["--module", TASKS, "--redis", "user:hunter2@h"], "rediss://host:port: user:***@h"],
    [["--redsi=redis://user:hunter2@h:1"], "Unknown option '--redsi'"],
    [["redis://user:hunter2@h:1"], "Unexpected argument 'redis://user:***@h:1'"],
    [
      ["--module", TASKS, "--queue", "a:b"],
      "The option --queue must be a name that is not empty and has no colon: a:b",
    ],
    [["--module", TASKS, "--lock", "5"], "The option --lock must be an integer of at least 1000, in milliseconds: 5"],
    [
      ["--module", TASKS, "--permissions", "some"],
      "The option --permissions must be inherit, none or a JSON object: some",
    ],
    [["--module", TASKS, "--ca", "./no.pem"], "The option --ca must be a file that can be read: "],
    [["--module", TASKS, "--module", `tasks=${TASKS}`], "Two modules have the same name: tasks. To fix it, "],
  ] as const
) {
  test(`node ${args.map((arg) => arg.replace(TASKS, "tasks.ts")).join(" ")}: ${text}`, async () => {
    const { code, stderr } = await runNode(...args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, text);
    assertMatch(stderr, /^.+; see --help\n$/, "one line");
    assert(!stderr.includes("hunter2"), stderr);
  });
}

test("node: a module that cannot be loaded, or exports no functions, is named", async () => {
  const absent = await runNode("--module", "absent=./nowhere.ts");
  assertEquals(absent.code, 1);
  assertStringIncludes(absent.stderr, "Cannot load the module absent from file://");
  const empty = await runNode("--module", "data:text/javascript,export const a = 1");
  assertEquals(empty.code, 1);
  assertStringIncludes(empty.stderr, "because it exports no functions: data:");
});

clusterTest("node: a server that refuses the password is told at once", async ({ server }) => {
  const { code, stderr } = await runNode("--module", TASKS, "--redis", server.url.replace("//", "//nobody:secret@"));
  assertEquals(code, 1);
  assertStringIncludes(stderr, "WRONGPASS");
  assert(!stderr.includes("secret"), stderr);
});

clusterTest("node: SIGTERM lets what runs end, and takes nothing more", async ({ make, startNode, spawnNode }) => {
  const node = await spawnNode(1);
  await using pool = make();
  using gate = new Gate();
  const running = pool.submit(passGate<number>, gate.path, 1);
  const queued = pool.submit(square, 3);
  await gate.arrived();
  node.kill("SIGTERM");
  await until(() => node.stderr.includes("SIGTERM"), "the node has heard it");
  gate.open();
  assertEquals(await within(running), 1);
  const { code, stderr } = await node.ended();
  assertEquals(code, 0);
  assertStringIncludes(stderr, "Received SIGTERM, so it takes no more jobs and ends when those that run have ended");
  assertEquals(queued.done(), false);
  await startNode(1);
  assertEquals(await within(queued), 9);
});

clusterTest("node: a second SIGINT ends it at once", async ({ make, startNode, spawnNode }) => {
  const node = await spawnNode(1, "--lock", "1000");
  await using pool = make();
  using gate = new Gate();
  const running = pool.submit(passGate<number>, gate.path, 1);
  await gate.arrived();
  node.kill("SIGINT");
  await until(() => node.stderr.includes("SIGINT"), "the node has heard it");
  node.kill("SIGINT");
  assertEquals((await node.ended()).code, 1);
  gate.open();
  await startNode(1, { lock: 1_000 });
  assertEquals(await within(running), 1);
});

clusterTest("node: one that starts before its server waits for it", async ({ make, spawnNode, server }) => {
  await server.end("SIGTERM");
  let started: Promise<unknown>;
  {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: server.port });
    started = spawnNode(1);
    (await within(listener.accept(), "the node tries to connect")).close();
  }
  await server.start();
  await started;
  await using pool = make();
  assertEquals(await within(pool.submit(square, 3)), 9);
}, { ownServer: true });

test("node: one whose server is down says so within two seconds, without the password, and can be ended", async () => {
  const node = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--no-check", NODE, "--module", TASKS, "--name", "lonely"],
      ...["--redis", `redis://user:hunter2@127.0.0.1:${freePort()}/0?password=hunter3`],
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const start = performance.now();
  let said = "";
  const read = (async () => {
    for await (const text of node.stderr.pipeThrough(new TextDecoderStream())) said += text;
  })();
  await until(() => said.includes("\n"), "the node says it", 10_000).finally(() => node.kill("SIGTERM"));
  const took = performance.now() - start;
  assertMatch(said, /^lonely: Waiting for redis:\/\/user:\*{3}@127\.0\.0\.1:\d+\/0\?\*{3}: .*ECONNREFUSED/);
  assert(took < 5_000, `${took} ms, with its start`);
  assertEquals((await within(node.status, "the node's end")).code, 0);
  await read;
  assert(!/hunter/.test(said), said);
});

clusterTest(
  "node: one that loses its server says so once, and when it is there again",
  async ({ spawnNode, server }) => {
    const node = await spawnNode(1, "--name", "first");
    await server.end("SIGKILL");
    await until(() => node.stderr.includes("Lost the connection to redis://127.0.0.1"), "the node says it");
    await server.start();
    await until(() => node.stderr.includes("Connected to redis://127.0.0.1"), "the node says it again");
    assertEquals(node.stderr.match(/^first: /gm)?.length, 2, node.stderr);
  },
  { ownServer: true },
);

clusterTest("node: tasks cannot read its arguments, in which a password may be", async ({ make, launchNode }) => {
  const modules = nodeModules({ tasks: "tasks.ts", cluster_tasks: "cluster_tasks.ts" });
  await launchNode(["--workers", "1", "--permissions", "{}", ...modules]);
  await using pool = make();
  assertEquals(await within(pool.submit(tellArguments)), []);
  // Nor anything else, with these permissions.
  const ledger = new Ledger();
  await bothFail(pool.submit(record<string>, ledger.path, "{}"), (error) => assertEquals(error.name, "NotCapable"));
  assertEquals(ledger.lines(), []);
});

clusterTest("node: --permissions limits what tasks may do, though they can be loaded", async (cluster) => {
  const { startNode, spawnNode } = cluster;
  await using pool = cluster.make();
  const ledger = new Ledger();
  const writing = JSON.stringify({ write: [ledger.path] });
  const nodes: [permissions: string, start: () => Promise<AsyncDisposable>][] = [
    ["none", () => startNode(1, { permissions: "none" })],
    ["{}", () => startNode(1, { permissions: {} })],
    [writing, () => spawnNode(1, "--permissions", writing)],
  ];
  for (const [permissions, start] of nodes) {
    await using _node = await start();
    assertEquals(await within(pool.submit(square, 3)), 9);
    const recording = pool.submit(record<string>, ledger.path, permissions);
    if (permissions === writing) assertEquals(await within(recording), permissions);
    else await bothFail(recording, (error) => assertEquals(error.name, "NotCapable"));
  }
  assertEquals(ledger.lines(), [writing]);
});
