// The page's frame: theme, tabs, copy buttons, announcements.

import { byId, remember, remembered, setText } from "./dom.mjs";

const THEMES = ["system", "light", "dark"];

// startTheme makes the theme button go through system, light and dark.
export function startTheme() {
  const button = byId("theme");
  const apply = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.dataset.value = theme;
    button.setAttribute("aria-label", `Colour theme: ${theme}`);
    button.title = `Colour theme: ${theme}`;
  };
  const saved = remembered("theme");
  let theme = THEMES.includes(saved) ? saved : "system";
  apply(theme);
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    apply(theme);
    remember("theme", theme);
  });
}

// startTabs gives each tablist the keys that the ARIA practices name: arrows,
// Home and End move and select; only the selected tab is in the tab order.
export function startTabs(onSelect = () => {}) {
  for (const list of document.querySelectorAll("[role=tablist]")) {
    const tabs = [...list.querySelectorAll("[role=tab]")];
    const select = (tab) => {
      for (const t of tabs) {
        t.setAttribute("aria-selected", String(t === tab));
        t.tabIndex = t === tab ? 0 : -1;
        byId(t.getAttribute("aria-controls")).hidden = t !== tab;
      }
      onSelect(tab.id);
    };
    list.addEventListener("click", (e) => {
      const tab = e.target.closest("[role=tab]");
      if (tab) select(tab);
    });
    list.addEventListener("keydown", (e) => {
      const i = tabs.indexOf(document.activeElement);
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[e.key];
      if (i < 0 || to === undefined) return;
      e.preventDefault();
      const tab = tabs[(to + tabs.length) % tabs.length];
      tab.focus();
      select(tab);
    });
  }
}

// startCopy makes every button with data-copy copy the text of the element that
// it names, now and for buttons made later.
export function startCopy() {
  document.addEventListener("click", async (e) => {
    const button = e.target.closest("button[data-copy]");
    if (!button) return;
    const done = await copy(byId(button.dataset.copy));
    announce(done ? "Copied." : "Copying was refused; the text is selected.");
    if (!done) return;
    button.dataset.copied = "";
    setTimeout(() => delete button.dataset.copied, 1500);
  });
}

async function copy(node) {
  const text = node.dataset.full ?? node.textContent;
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard: a page on plain HTTP, or a refusal. Select it instead.
    getSelection().selectAllChildren(node);
    return document.execCommand("copy");
  }
}

// announce tells a screen reader, politely; the same text again is said again.
export function announce(text) {
  const node = byId("announcer");
  if (node.textContent === text) text += "\u00A0";
  setText(node, text);
}
