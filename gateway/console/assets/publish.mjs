// Publishing: what the page asks its gateway to do, and the form for it.

import { byId, setText } from "./dom.mjs";
import { visible } from "./text.mjs";

// post sends JSON to the gateway and returns its answer. An error's message is what
// the gateway said.
export async function post(path, request) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.title ?? `Refused: ${response.status}`);
  return answer;
}

// publish writes an event to its channel and returns its id.
//
//   event  { channel, event, data, end, keep }, all but channel optional
export async function publish(event) {
  return (await post("/console/publish", event)).id;
}

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
    await publishForm();
    busy = false;
  });
  byId("publish-data").addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) form.requestSubmit();
  });
}

async function publishForm() {
  const node = byId("publish-result");
  const event = {
    channel: byId("publish-channel").value.trim(),
    event: byId("publish-event").value,
    data: byId("publish-data").value,
  };
  try {
    setText(node, `Written as ${visible(await publish(event))}`);
    node.classList.remove("problem");
  } catch (err) {
    setText(node, visible(err.message));
    node.classList.add("problem");
  }
}
