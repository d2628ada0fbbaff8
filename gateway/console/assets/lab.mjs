// The resume lab: two readers of the same channels, one of which goes away. What
// it missed is what the other one, the witness, saw meanwhile.

import { Comparison } from "./compare.mjs";
import { byId, setText } from "./dom.mjs";
import { EventList } from "./list.mjs";
import { ancientPosition } from "./position.mjs";
import { FetchReader, NativeReader } from "./readers.mjs";
import { Recorder } from "./record.mjs";
import { eventsUrl, GATEWAY_EVENTS } from "./request.mjs";
import { announce } from "./shell.mjs";
import { shellWord } from "./snippets.mjs";
import { duration, visible } from "./text.mjs";

const BUTTONS = { idle: ["start"], starting: ["stop"], here: ["leave", "gap", "stop"], away: ["return", "gap", "stop"] };

// Lab runs one experiment at a time. choose returns the connection form's
// choice, or null if it is not complete.
export class Lab {
  constructor(settings, choose) {
    this.settings = settings;
    this.choose = choose;
    const silent = { select: () => {}, held: () => {} };
    this.witnessList = new EventList(byId("lab-witness-list"), silent);
    this.readerList = new EventList(byId("lab-reader-list"), silent);
    this.witnessList.order(false);
    this.readerList.order(false);
    for (const name of ["start", "leave", "return", "gap", "stop"]) {
      byId(`lab-${name}`).addEventListener("click", () => this[name]());
    }
    this.phase("idle");
  }

  // phase sets what can be pressed. A button that is disabled loses the focus, and
  // the keyboard its place: so it goes to the next step's, by way of Stop while
  // that is not there yet.
  phase(phase) {
    this.now = phase;
    const focused = document.activeElement;
    for (const name of ["start", "leave", "return", "gap", "stop"]) {
      const button = byId(`lab-${name}`);
      button.disabled = !BUTTONS[phase].includes(name);
      button.classList.toggle("primary", BUTTONS[phase][0] === name && name !== "stop");
    }
    if (!focused.disabled && focused !== this.lent) return;
    const next = byId(`lab-${BUTTONS[phase][0]}`);
    next.focus();
    this.lent = phase === "starting" ? next : null;
  }

  start() {
    this.choice = this.choose();
    if (!this.choice) return;
    this.channels = this.choice.channels;
    this.names = new Set([...GATEWAY_EVENTS, ...this.choice.names]);
    this.comparison = new Comparison();
    this.lastId = this.told = "";
    this.witnessList.clear();
    this.readerList.clear();
    this.phase("starting");
    this.say("The witness is connecting.");
    const recorder = new Recorder({ channels: this.channels, envelope: true });
    this.witness = new FetchReader(
      { url: this.url({ kind: "now", value: "" }), token: this.choice.token },
      {
        state: (state, detail) => this.now === "starting" && state === "closed" && this.refused(detail),
        frame: (frame) => this.witnessed(recorder.record(frame)),
        activity: () => {},
        retry: () => {},
      },
    );
    this.witness.start();
  }

  url(start) {
    return eventsUrl(this.settings.eventsUrl, { channels: this.channels, start, envelope: true });
  }

  refused(detail) {
    this.phase("idle");
    this.say(detail, "problem");
    this.tell(detail);
  }

  witnessed(record) {
    if (record.kind === "ready" && this.now === "starting") {
      // Both begin at one position, so that they must see the same events.
      this.join(record.position);
      this.say("Both are connected. Disconnect, wait for some events, reconnect.");
      this.tell("Both are connected.");
    }
    this.witnessList.add(record);
    if (record.kind !== "event") return;
    const name = record.event || "message";
    if (name === "message" || this.names.has(name)) return this.comparison.witness(record);
    // EventSource cannot hear a name that it was not told. From now on it does.
    this.names.add(name);
    this.reader?.add(name);
  }

  // join starts the reader at a position.
  join(position) {
    this.lastId = position;
    this.state("connecting");
    const recorder = new Recorder({ channels: this.channels, envelope: true });
    this.reader = new NativeReader(
      { url: this.url({ kind: "id", value: position }), names: this.names },
      {
        state: (state, detail) => {
          this.state(state);
          if (state === "closed" && detail.startsWith("Refused")) this.say(detail, "problem");
        },
        frame: (frame) => this.received(recorder.record(frame)),
        activity: () => {},
        retry: () => {},
      },
    );
    this.reader.start();
    this.phase("here");
  }

  received(record) {
    if (record.position !== "") this.lastId = record.position;
    setText(byId("lab-last-id"), visible(this.lastId));
    if (record.kind === "gap") this.comparison.gap(record.gap);
    if (record.kind === "event") record.mark = this.comparison.receive(record);
    this.readerList.add(record);
    if (this.forced) this.judgeForced(record);
    else if (this.returning) this.judge();
  }

  leave() {
    this.reader.stop();
    this.left = Date.now();
    this.returning = this.forced = false;
    this.note("Disconnected");
    this.tell("Disconnected.");
    this.phase("away");
    this.clock = setInterval(() => this.showAbsence(), 250);
    this.showAbsence();
  }

  showAbsence() {
    const n = this.comparison.pending.size;
    this.say(`Away for ${duration(Date.now() - this.left)}. The witness has seen ${n} event${n === 1 ? "" : "s"} meanwhile.`);
  }

  return() {
    clearInterval(this.clock);
    this.comparison.back();
    this.returning = true;
    this.note(`Reconnected after ${duration(Date.now() - this.left)} with the last id`);
    this.join(this.lastId);
    this.judge();
  }

  judge() {
    const { done, ok, text } = this.comparison.verdict();
    this.say(text, done ? (ok ? "good" : "problem") : "");
    if (!done) return;
    this.returning = this.comparison.missed === 0 ? false : this.returning;
    this.tell(text);
  }

  // tell announces what say shows, once, and not its every change.
  tell(text) {
    if (this.told !== text) announce((this.told = text));
  }

  // gap resumes from before everything, where whatever was trimmed is missing.
  gap() {
    const position = ancientPosition(this.lastId, this.channels.length);
    if (!position) return this.say("There is no position yet; wait for the first frame.", "problem");
    clearInterval(this.clock);
    this.reader.stop();
    this.comparison.forget();
    this.returning = false;
    this.forced = true;
    this.note(`Resumed at ${position}, an id older than anything`);
    this.say("Resuming from before everything.");
    this.told = "";
    this.join(position);
  }

  judgeForced(record) {
    if (record.kind === "gap") {
      this.forced = false;
      this.say(`The gateway said so: ${record.gap.reason} on ${visible(record.gap.channel)}. What is left followed.`, "good");
      this.tell("A gap was reported.");
    } else if (record.kind === "event") {
      const key = shellWord(this.settings.keyPrefix + this.channels[0]);
      this.say(`No gap: nothing was ever trimmed, so everything came back. Trim with: ${this.settings.redisHint} XTRIM ${key} MAXLEN 5`);
      this.tell("No gap: everything came back.");
    }
  }

  stop() {
    clearInterval(this.clock);
    this.witness?.stop();
    this.reader?.stop();
    this.reader = null;
    this.returning = this.forced = false;
    this.phase("idle");
    this.say("Stopped.");
  }

  note(text) {
    this.readerList.add({ kind: "note", name: text, data: "", raw: null, at: Date.now() });
  }

  state(state) {
    const node = byId("lab-state");
    setText(node, state === "open" ? "connected" : state === "closed" ? "disconnected" : state);
    node.dataset.state = state;
  }

  say(text, tone = "") {
    const node = byId("lab-verdict");
    setText(node, text);
    node.dataset.tone = tone;
  }
}
