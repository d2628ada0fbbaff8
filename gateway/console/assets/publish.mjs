// The publish form.

import { byId, setText } from "./dom.mjs";
import { visible } from "./text.mjs";

// startPublish shows the form if the gateway offers publishing.
export function startPublish(settings) {
  if (!settings.publish) return;
  const form = byId("publish-form");
  form.hidden = false;
  let busy = false; // rather than a disabled button, which would lose the focus
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (busy) return;
    busy = true;
    const result = await publish({
      channel: byId("publish-channel").value.trim(),
      event: byId("publish-event").value,
      data: byId("publish-data").value,
    });
    busy = false;
    const node = byId("publish-result");
    setText(node, visible(result.text));
    node.classList.toggle("problem", !result.ok);
  });
  byId("publish-data").addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) form.requestSubmit();
  });
}

async function publish(event) {
  try {
    const response = await fetch("/console/publish", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(event),
    });
    const answer = await response.json();
    if (response.ok) return { ok: true, text: `Written as ${answer.id}` };
    return { ok: false, text: answer.detail ?? answer.title ?? `Refused: ${response.status}` };
  } catch (err) {
    return { ok: false, text: `The request failed: ${err.message}` };
  }
}
