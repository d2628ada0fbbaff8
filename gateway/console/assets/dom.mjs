// Small helpers for the document. Nothing here takes HTML: text goes in as text.

// byId is the element with that id; the page has all that are asked for.
export function byId(id) {
  return document.getElementById(id);
}

// el makes an element. Properties are set as such; children are nodes or text.
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "dataset") Object.assign(node.dataset, value);
    else if (name.startsWith("aria-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

// setText writes text only if it differs, so that nothing is announced twice.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// What hue remembers, in names: far more than anybody tells apart by colour.
const MAX_HUES = 1000;
const hues = new Map();

// hue is a colour angle for a name, the same while the page is open. It goes
// round by the golden angle, in the order in which names come: so the few that
// somebody looks at differ clearly, which those of a hash need not.
export function hue(name) {
  if (hues.size >= MAX_HUES) hues.clear();
  if (!hues.has(name)) hues.set(name, Math.round(170 + hues.size * 137.508) % 360);
  return hues.get(name);
}

// channelTag is a channel's name with its dot of colour.
export function channelTag(name) {
  const dot = el("span", { className: "dot" });
  dot.style.setProperty("--hue", hue(name));
  dot.setAttribute("aria-hidden", "true");
  return el("span", { className: "channel-tag" }, dot, el("span", { className: "channel-name", title: name }, name));
}

// remembered reads and remember writes a preference; browsers may refuse both.
export function remembered(name) {
  try {
    return localStorage.getItem(`sse-gateway.${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`sse-gateway.${name}`, value);
  } catch {
    // The preference lasts as long as the page.
  }
}
