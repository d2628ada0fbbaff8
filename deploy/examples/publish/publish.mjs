#!/usr/bin/env node
// Publishes one event:
//
//   node publish.mjs orders '{"id":17}' created
//
// REDIS_URL says where; without it, redis://127.0.0.1:6379.
//
// This needs nothing but Node. With the package redis (npm install redis@5) the
// function "connect" is not needed, and publishing is one call:
//
//   const client = await createClient({ url }).connect();
//   await client.xAdd("sse:orders", "*", { event: "created", data: '{"id":17}' },
//     { TRIM: { strategy: "MAXLEN", strategyModifier: "~", threshold: 10000 } });
import net from "node:net";
import { once } from "node:events";

// publish appends an event to a channel and returns its id. An event without a
// name is one for EventSource's onmessage.
export function publish(redis, channel, data, event = "") {
  const name = event ? ["event", event] : [];
  // MAXLEN is what a client that was away can still get.
  return redis.command("XADD", `sse:${channel}`, "MAXLEN", "~", "10000", "*", ...name, "data", data);
}

// connect is as much of the Redis protocol as publishing needs: commands that
// are answered by a string, one at a time.
export async function connect(url) {
  const { hostname, port, username, password, pathname } = new URL(url);
  const socket = net.connect(Number(port || 6379), hostname || "127.0.0.1");
  socket.setEncoding("utf8").setTimeout(5000, () => socket.destroy(new Error("Redis does not answer")));
  await once(socket, "connect");

  const lines = async function* () {
    let text = "";
    for await (const piece of socket) {
      text += piece;
      for (let end; (end = text.indexOf("\r\n")) >= 0; text = text.slice(end + 2)) yield text.slice(0, end);
    }
    throw new Error("Redis closed the connection");
  }();
  const line = async () => (await lines.next()).value;

  const redis = {
    async command(...words) {
      const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      socket.write(`*${words.length}\r\n${bulk.join("")}`);
      const answer = await line();
      if (answer[0] === "-") throw new Error(answer.slice(1));
      return answer[0] === "$" ? line() : answer.slice(1);
    },
    close: () => socket.end(),
  };
  if (password) await redis.command("AUTH", decodeURIComponent(username) || "default", decodeURIComponent(password));
  if (Number(pathname.slice(1))) await redis.command("SELECT", pathname.slice(1));
  return redis;
}

if (import.meta.filename === process.argv[1]) {
  const [channel, data, event] = process.argv.slice(2);
  if (data === undefined) {
    console.error("usage: publish.mjs CHANNEL DATA [EVENT]");
    process.exit(2);
  }
  try {
    const redis = await connect(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
    console.log(await publish(redis, channel, data, event));
    redis.close();
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
