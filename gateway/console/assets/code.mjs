// The code tab: programs for the chosen channels.

import { byId, el } from "./dom.mjs";
import { eventsUrl } from "./request.mjs";
import { LANGUAGES } from "./snippets.mjs";

// startCode makes one tab and panel for each language. It must run before the
// page's tabs are started.
export function startCode() {
  const tabs = byId("languages");
  LANGUAGES.forEach(({ key, label }, i) => {
    const tab = el("button", {
      type: "button", id: `tab-${key}`, role: "tab", tabIndex: i === 0 ? 0 : -1,
      "aria-selected": String(i === 0), "aria-controls": `panel-${key}`,
    }, label);
    tabs.append(tab);
    const copy = el("button", { type: "button", className: "small copy", dataset: { copy: `code-${key}` } }, "Copy");
    copy.setAttribute("aria-label", `Copy the ${label} code`);
    const text = el("pre", { id: `code-${key}`, tabIndex: 0 });
    byId("code-panels").append(el("div", {
      id: `panel-${key}`, className: "code", role: "tabpanel", "aria-labelledby": `tab-${key}`, hidden: i !== 0,
    }, copy, text));
  });
}

// showCode writes the programs for these channels.
export function showCode(settings, channels, envelope) {
  const names = channels.length > 0 ? channels : ["demo"];
  const url = new URL(eventsUrl(settings.eventsUrl, { channels: names, envelope }), location.href).href;
  for (const { key, make } of LANGUAGES) byId(`code-${key}`).textContent = make(url);
}
