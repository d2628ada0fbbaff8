// One subscription of the live view, from connect to disconnect.

import { parsePosition } from "./position.mjs";
import { FetchReader, NativeReader } from "./readers.mjs";
import { Recorder } from "./record.mjs";
import { eventsUrl } from "./request.mjs";

// Session tells a view what happens:
//
//   on.state(state, detail)  "connecting", "open", "stalled" or "closed"
//   on.record(record)
//   on.activity(), on.retry(ms)
export class Session {
  // choice is { channels, start, envelope, reader: "fetch" | "native", names,
  // token }.
  constructor(base, choice, on) {
    this.choice = choice;
    this.on = on;
    this.lastId = "";
    this.url = eventsUrl(base, choice);
    this.recorder = new Recorder(choice);
    const Reader = choice.reader === "native" ? NativeReader : FetchReader;
    this.reader = new Reader(
      { url: this.url, token: choice.token, names: choice.names },
      {
        state: (state, detail) => on.state(state, detail),
        frame: (frame) => this.frame(frame),
        activity: () => on.activity(),
        retry: (ms) => on.retry(ms),
      },
    );
  }

  start() {
    this.reader.start();
  }

  stop() {
    this.reader.stop();
  }

  frame(frame) {
    const record = this.recorder.record(frame);
    if (frame.id !== "" && parsePosition(frame.id, this.choice.channels.length)) this.lastId = frame.id;
    if (record.kind === "stalled") this.on.state("stalled", "Redis cannot be reached; the stream goes on when it is back.");
    if (record.kind === "live") this.on.state("open", "Redis is back.");
    this.on.record(record);
  }
}
