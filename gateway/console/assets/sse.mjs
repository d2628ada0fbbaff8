// An incremental parser of text/event-stream, as the HTML standard has it in
// section 9.2.6, that also keeps the bytes of each frame for the inspector.

const BOM = "\uFEFF";

// Parser takes text in pieces of any size and calls on.frame for each event.
//
//   on.frame({ event, data, id, raw })  event is "" for an unnamed one; id is
//                                       the last id the stream has given
//   on.retry(milliseconds)
//   on.comment(text)
export class Parser {
  constructor(on) {
    this.on = on;
    this.id = "";
    this.started = false; // a byte order mark counts only before anything else
    this.afterCR = false; // the last piece ended in CR: a LF now belongs to it
    this.partial = ""; // the line whose end has not come yet
    this.reset();
  }

  reset() {
    this.event = "";
    this.data = [];
    this.raw = [];
  }

  // push takes the next piece. An event whose blank line has not come yet
  // waits; one that is cut off by the stream's end is never reported.
  push(text) {
    if (text === "") return;
    let from = 0;
    if (!this.started) {
      this.started = true;
      if (text.startsWith(BOM)) from = 1;
    }
    if (this.afterCR && text[from] === "\n") from++;
    this.afterCR = false;
    const end = /\r\n|\r|\n/g;
    end.lastIndex = from;
    for (let m; (m = end.exec(text)); ) {
      this.line(this.partial + text.slice(from, m.index));
      this.partial = "";
      from = end.lastIndex;
      this.afterCR = m[0] === "\r" && from === text.length;
    }
    this.partial += text.slice(from);
  }

  line(line) {
    if (line === "") return this.dispatch();
    this.raw.push(line);
    const colon = line.indexOf(":");
    if (colon === 0) return this.on.comment(line.slice(1));
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value[0] === " ") value = value.slice(1);
    this.field(name, value);
  }

  field(name, value) {
    switch (name) {
      case "event":
        this.event = value;
        break;
      case "data":
        this.data.push(value);
        break;
      case "id":
        if (!value.includes("\0")) this.id = value;
        break;
      case "retry":
        if (/^[0-9]+$/.test(value)) this.on.retry(Number(value));
    }
  }

  dispatch() {
    const { event, data, raw } = this;
    this.reset();
    if (data.length === 0) return;
    this.on.frame({ event, data: data.join("\n"), id: this.id, raw: raw.join("\n") + "\n\n" });
  }
}
