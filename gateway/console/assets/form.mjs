// The connection form: what to subscribe to, and how.

import { byId, setText } from "./dom.mjs";
import { parseChannels } from "./position.mjs";
import { checkStart, eventNames } from "./request.mjs";

const START_FIELDS = {
  now: null,
  replay: { label: "How many, or all", value: "20" },
  since: { label: "Duration or time", value: "10m" },
  id: { label: "Last id", value: "" },
};

// Form reads the controls and writes what is wrong beside them. onChange is
// called with the channels whenever they or the envelope change.
export class Form {
  constructor(settings, onChange) {
    this.channels = byId("channels");
    this.valid = new RegExp(settings.channel);
    this.kind = byId("start-kind");
    this.value = byId("start-value");
    this.lastId = "";
    this.channels.value = (settings.channels ?? []).join(", ");
    this.fromHash();
    for (const node of [this.channels, byId("envelope")]) {
      node.addEventListener("input", () => {
        this.problems();
        onChange(this.chosen());
      });
    }
    this.kind.addEventListener("change", () => this.showStart(true));
    for (const node of document.getElementsByName("reader")) {
      node.addEventListener("change", () => this.showReader());
    }
    this.showStart(false);
    this.showReader();
  }

  // fromHash takes a shared address: #channel=a,b&start=replay:20
  fromHash() {
    const hash = new URLSearchParams(location.hash.slice(1));
    if (hash.has("channel")) this.channels.value = hash.get("channel");
    const [, kind, value] = /^(now|replay|since|id)(?::(.*))?$/s.exec(hash.get("start") ?? "") ?? [];
    if (!kind) return;
    this.kind.value = kind;
    this.value.value = value ?? "";
  }

  toHash({ channels, start }) {
    const hash = new URLSearchParams({ channel: channels.join(",") });
    if (start.kind !== "now" && start.kind !== "id") hash.set("start", `${start.kind}:${start.value.trim()}`);
    history.replaceState(null, "", `#${hash}`);
  }

  showStart(refill) {
    const field = START_FIELDS[this.kind.value];
    byId("start-value-field").hidden = field === null;
    if (!field) return;
    setText(byId("start-value-label"), field.label);
    if (refill) this.value.value = this.kind.value === "id" ? this.lastId : field.value;
  }

  showReader() {
    const native = this.reader() === "native";
    byId("names-field").hidden = !native;
    byId("token-field").hidden = native;
  }

  reader() {
    return document.querySelector("input[name=reader]:checked").value;
  }

  // remember keeps the newest id for the start choice "last id".
  remember(id) {
    const followed = this.value.value === this.lastId;
    this.lastId = id;
    if (this.kind.value === "id" && followed) this.value.value = id;
  }

  chosen() {
    return parseChannels(this.channels.value, this.valid).channels;
  }

  // problems shows what is wrong and returns whether anything is.
  problems(strict = false) {
    const { channels, bad } = parseChannels(this.channels.value, this.valid);
    let text = "";
    if (bad.length > 0) text = `Not a channel name: ${bad[0].slice(0, 60)}. Letters, digits and _ . : / { } - are.`;
    else if (strict && channels.length === 0) text = "Name at least one channel.";
    complain(this.channels, byId("channels-problem"), text);
    const start = strict ? checkStart(this.start()) : "";
    complain(this.value, byId("start-problem"), start);
    return text !== "" || start !== "";
  }

  start() {
    return { kind: this.kind.value, value: this.value.value };
  }

  // choice is what a Session takes, or null if the form has a problem.
  choice() {
    if (this.problems(true)) {
      document.querySelector("#connection [aria-invalid=true]").focus();
      return null;
    }
    return {
      channels: this.chosen(),
      start: this.start(),
      envelope: byId("envelope").checked,
      reader: this.reader(),
      names: eventNames(byId("names").value),
      token: byId("token").value.trim(),
    };
  }
}

function complain(input, node, text) {
  setText(node, text);
  node.hidden = text === "";
  if (text === "") input.removeAttribute("aria-invalid");
  else input.setAttribute("aria-invalid", "true");
}
