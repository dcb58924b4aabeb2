// Keeps the list up to date. The opened message stays as it is; on the empty page the first message opens by itself.
"use strict";

const EVERY_MS = 2000;
const list = document.getElementById("list");
const news = document.getElementById("news");

async function refresh() {
  const answer = await fetch(location.pathname, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("list");
  if (!fresh) return;
  const known = new Set(Array.from(list.querySelectorAll("a"), (link) => link.getAttribute("href")));
  const links = Array.from(fresh.querySelectorAll("a"), (link) => link.getAttribute("href"));
  const arrived = links.filter((href) => !known.has(href)).length;
  if (arrived === 0) return;
  if (known.size === 0) return location.reload();
  const focused = document.activeElement ? document.activeElement.getAttribute("href") : null;
  const current = list.querySelector("[aria-current]");
  list.replaceChildren(...fresh.childNodes);
  for (const link of list.querySelectorAll("a")) {
    link.removeAttribute("aria-current");
    if (current && link.getAttribute("href") === current.getAttribute("href")) link.setAttribute("aria-current", "page");
    if (focused && link.getAttribute("href") === focused) link.focus();
  }
  news.textContent = arrived === 1 ? "1 new message" : `${arrived} new messages`;
}

async function watch() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    // The server is restarting; the next look finds it again.
  }
  setTimeout(watch, EVERY_MS);
}

setTimeout(watch, EVERY_MS);
