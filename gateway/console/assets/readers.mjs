// The two ways to read a stream, behind one interface:
//
//   new Reader({ url, token, names }, on).start(), .stop()
//   on.state(state, detail)  "connecting", "open" or "closed"
//   on.frame(frame)          see sse.mjs; raw is null from EventSource
//   on.activity()            bytes came, if only a heartbeat
//   on.retry(milliseconds)   the server asked for this reconnection time

import { Parser } from "./sse.mjs";

const DEFAULT_RETRY = 3000; // what browsers use where the stream names none

// FetchReader shows every event with its bytes, whatever its name, and can send
// a token. It reconnects as EventSource does.
export class FetchReader {
  constructor({ url, token }, on) {
    this.url = url;
    this.token = token;
    this.on = on;
    this.retry = DEFAULT_RETRY;
    this.lastId = "";
    this.stopping = new AbortController();
  }

  start() {
    this.run();
  }

  stop() {
    this.stopping.abort();
    this.on.state("closed", "Disconnected.");
  }

  async run() {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      this.on.state("connecting", "Connecting.");
      let why = "The stream ended";
      try {
        const refusal = await this.once(signal);
        if (refusal !== null) return this.on.state("closed", refusal);
      } catch (err) {
        if (signal.aborted) return;
        why = `The connection failed (${err.message})`;
      }
      if (signal.aborted) return;
      this.on.state("connecting", `${why}; reconnecting in ${(this.retry / 1000).toFixed(1)} s.`);
      await pause(this.retry, signal);
    }
  }

  // once reads one response to its end. It returns null, or, if the server
  // refused in a way that ends an EventSource for good, what it said.
  async once(signal) {
    const headers = { Accept: "text/event-stream" };
    if (this.lastId !== "") headers["Last-Event-ID"] = this.lastId;
    if (this.token !== "") headers.Authorization = `Bearer ${this.token}`;
    const response = await fetch(this.url, { headers, signal, cache: "no-store" });
    const type = response.headers.get("Content-Type") ?? "";
    if (response.status !== 200) return refusalText(response, type);
    if (!/^text\/event-stream *(;|$)/i.test(type)) return `The answer is ${type || "of no type"}, not an event stream.`;
    this.on.state("open", "Connected.");
    const parser = new Parser({
      frame: (frame) => {
        this.lastId = frame.id;
        if (!signal.aborted) this.on.frame(frame);
      },
      retry: (ms) => {
        this.retry = ms;
        this.on.retry(ms);
      },
      comment: () => {},
    });
    parser.id = this.lastId;
    await this.pump(response.body.getReader(), parser);
    return null;
  }

  async pump(body, parser) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // the parser sees to it
    for (;;) {
      const { done, value } = await body.read();
      if (done) return;
      this.on.activity();
      parser.push(decoder.decode(value, { stream: true }));
    }
  }
}

async function refusalText(response, type) {
  const status = `${response.status} ${response.statusText}`.trim();
  if (!/json/i.test(type)) return `Refused: ${status}.`;
  try {
    const { title, detail } = await response.json();
    return `Refused: ${status}. ${detail ?? title ?? ""}`.trim();
  } catch {
    return `Refused: ${status}.`;
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

// NativeReader is the browser's own EventSource. It reports only events whose
// name it was told, and no bytes; the browser does the resuming.
export class NativeReader {
  constructor({ url, names }, on) {
    this.url = url;
    this.names = new Set(["message", ...names]);
    this.on = on;
  }

  start() {
    this.source = new EventSource(this.url);
    this.on.state("connecting", "Connecting.");
    this.source.onopen = () => {
      this.on.activity();
      this.on.state("open", "Connected.");
    };
    this.source.addEventListener("error", (e) => {
      if (e instanceof MessageEvent) return; // an event that is named error
      if (this.source.readyState === EventSource.CLOSED) {
        this.on.state("closed", "Refused: the browser has given up. Use the fetch reader to see why.");
      } else {
        this.on.state("connecting", "The connection was lost; the browser reconnects by itself.");
      }
    });
    for (const name of this.names) this.listen(name);
  }

  // add listens to one more name. It returns false if that was so already.
  add(name) {
    if (this.names.has(name)) return false;
    this.names.add(name);
    this.listen(name);
    return true;
  }

  listen(name) {
    this.source.addEventListener(name, (e) => {
      if (!(e instanceof MessageEvent)) return;
      this.on.activity();
      const event = name === "message" ? "" : name;
      this.on.frame({ event, data: e.data, id: e.lastEventId, raw: null });
    });
  }

  stop() {
    this.source.close();
    this.on.state("closed", "Disconnected.");
  }
}
