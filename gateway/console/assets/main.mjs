// The page: wires the parts together.

import { ChannelTable } from "./channels.mjs";
import { showCode, startCode } from "./code.mjs";
import { byId, setText } from "./dom.mjs";
import { Form } from "./form.mjs";
import { inspect } from "./inspector.mjs";
import { Lab } from "./lab.mjs";
import { EventList, labelHeld } from "./list.mjs";
import { startPublish } from "./publish.mjs";
import { explainGap } from "./record.mjs";
import { Session } from "./session.mjs";
import { announce, startCopy, startTabs, startTheme } from "./shell.mjs";
import { xadd } from "./snippets.mjs";
import { startServed, startStats } from "./stats.mjs";
import { duration, visible } from "./text.mjs";
import { Tiles } from "./tiles.mjs";
import { startTour } from "./tour.mjs";

const STATE_NAMES = { connecting: "Connecting", open: "Open", stalled: "Stalled", closed: "Closed" };

class Page {
  constructor(settings) {
    this.settings = settings;
    this.session = null;
    this.heardAt = null;
    this.tiles = new Tiles(settings.stats);
    this.form = new Form(settings, () => this.chosen());
    this.table = new ChannelTable(settings.served, (name) => this.watch(name));
    this.held = 0;
    this.list = new EventList(byId("events"), {
      select: inspect,
      held: (n) => {
        this.held = n;
        labelHeld(byId("pause"), this.list.paused, n);
      },
    });
    this.lab = new Lab(settings, () => this.form.choice());
  }

  start() {
    const { settings } = this;
    byId("no-eventsource").hidden = "EventSource" in window;
    byId("dev-note").hidden = !settings.dev;
    for (const node of document.querySelectorAll(".with-served-only")) node.hidden = !settings.served;
    startCode();
    startTheme();
    startTabs();
    startCopy();
    startPublish(settings);
    startTour(settings);
    inspect(null);
    this.state("closed", "Not connected.");
    this.chosen();
    this.buttons();
    this.list.clear();
    setInterval(() => this.tick(), 1000);
    setInterval(() => this.showCounts(), 250);
    if (settings.stats) {
      startStats(
        (reading) => this.tiles.stats(reading),
        () => this.tiles.statsFailed(),
      );
    }
    if (settings.served) {
      startServed((channels) => {
        this.table.serve(channels);
        this.table.draw();
      });
    }
    if (settings.dev && this.form.chosen().length > 0) this.connect();
    document.documentElement.dataset.ready = "";
  }

  buttons() {
    byId("connection").addEventListener("submit", (e) => {
      e.preventDefault();
      this.connect();
    });
    byId("disconnect").addEventListener("click", () => this.disconnect());
    byId("clear").addEventListener("click", () => {
      this.list.clear();
      this.tiles.reset();
      inspect(null);
    });
    byId("pause").addEventListener("click", () => {
      this.list.pause(!this.list.paused);
      announce(this.list.paused ? "The list is paused." : "The list goes on.");
    });
    byId("order").addEventListener("change", (e) => this.list.order(e.target.value === "newest"));
  }

  // chosen shows what depends on the channels in the form.
  chosen() {
    const channels = this.form.chosen();
    const channel = channels[0] ?? "demo";
    setText(byId("xadd"), xadd(this.settings, channel));
    if (document.activeElement !== byId("publish-channel")) byId("publish-channel").value = channel;
    showCode(this.settings, channels, byId("envelope").checked);
  }

  connect() {
    const choice = this.form.choice();
    if (!choice) return;
    this.session?.stop();
    this.form.toHash(choice);
    const session = new Session(this.settings.eventsUrl, choice, {
      state: (state, detail) => session === this.session && this.state(state, detail),
      record: (record) => session === this.session && this.record(record),
      activity: () => (this.heardAt = Date.now()),
      retry: (ms) => setText(byId("retry"), duration(ms)),
    });
    this.session = session;
    byId("disconnect").disabled = false;
    session.start();
  }

  disconnect() {
    this.session?.stop();
    this.session = null;
    byId("disconnect").disabled = true;
    byId("connect").focus();
  }

  watch(name) {
    const channels = this.form.chosen();
    if (!channels.includes(name)) byId("channels").value = [...channels, name].join(", ");
    this.chosen();
    this.connect();
  }

  state(state, detail) {
    const node = byId("state");
    if (node.dataset.state !== state || byId("detail").textContent !== detail) announce(`${STATE_NAMES[state]}. ${detail}`);
    node.dataset.state = state;
    setText(node, STATE_NAMES[state]);
    setText(byId("detail"), visible(detail));
    setText(byId("connect"), state === "closed" ? "Connect" : "Reconnect");
    if (state === "closed") {
      this.heardAt = null;
      byId("disconnect").disabled = true;
    }
  }

  record(record) {
    this.list.add(record);
    this.tiles.record(record);
    this.table.record(record);
    if (record.kind === "gap") announce(`Gap. ${explainGap(record.gap.reason)}`);
    if (this.session.lastId === "") return;
    this.form.remember(this.session.lastId);
    this.lastIdChanged = true;
    if (record.kind !== "event") this.showCounts();
  }

  showCounts() {
    this.tiles.counts();
    if (!this.lastIdChanged) return;
    this.lastIdChanged = false;
    setText(byId("last-id"), this.form.lastId);
  }

  tick() {
    this.tiles.tick();
    this.table.draw();
    setText(byId("heard"), this.heardAt === null ? "–" : `${duration(Date.now() - this.heardAt)} ago`);
  }
}

new Page(JSON.parse(byId("settings").textContent)).start();
