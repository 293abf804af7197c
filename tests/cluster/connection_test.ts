/** The connections to the server. */
import { assertEquals } from "@std/assert";
import { connect, subscribe } from "../../executors/cluster/_connection.ts";
import { within } from "../_helpers.ts";
import { clusterTest } from "./_kit.ts";

clusterTest("cluster: a connection that is just being made keeps its subscription", async ({ server, queue }) => {
  await using client = server.connect();
  const listener = connect({ redis: server.url, queue, prefix: "bull" });
  try {
    const heard = new Promise<string>((resolve) => listener.on("message", (_channel, text) => resolve(text)));
    const connecting = listener.connect().catch(() => {});
    // The socket is there, and ioredis has not asked the server yet whether it is ready.
    await new Promise<void>((resolve) => listener.once("connect", resolve));
    await subscribe(listener, "channel");
    await connecting;
    assertEquals(listener.status, "ready");
    assertEquals(await client.publish("channel", "text"), 1, "how many listen");
    assertEquals(await within(heard), "text");
  } finally {
    listener.disconnect();
  }
}, { withoutHost: true });
