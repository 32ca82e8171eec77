// Messages, ephemeral texts and files, as they stand in a channel or a thread.

import { attachments, blocks } from "./blocks.js";
import { h } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";

// One entry of a log. `desk` offers names, press(place, block_id, element, value, control), openThread(ts).
export function entry(item, desk) {
  if (item.deleted) return h("article", { class: "message gone" }, h("p", {}, "This message was deleted."));
  const author = whoSaid(item, desk);
  const body = h("div", { class: "content" }, heading(item, author), item.broadcast && reference(item, desk),
    shown(item, desk), (item.file_list ?? []).map(file), threadButton(item, desk));
  const kind = item.ephemeral ? "message ephemeral" : "message";
  return h("article", { class: kind, "data-ts": item.ts, "aria-label": `${author.name}, ${clock(item.ts)}` },
    h("span", { class: `face ${author.kind}`, "aria-hidden": "true" }, author.name[0]), body);
}

function whoSaid(item, desk) {
  if (item.ephemeral && item.sender === "slack") return { name: "Workspace", kind: "system" };
  const person = desk.names.account(item.ephemeral ? desk.app : item.user);
  return { name: person?.real_name ?? item.user, kind: person?.is_bot ? "app" : person?.name };
}

function heading(item, author) {
  const badge = author.kind === "app" && h("span", { class: "badge" }, "APP");
  const edited = item.edited && h("span", { class: "edited" }, "(edited)");
  const only = item.ephemeral && h("p", { class: "only" }, "Only visible to you");
  const stamp = h("time", { datetime: new Date(item.ts * 1000).toISOString() }, clock(item.ts));
  return [only, h("p", { class: "author" }, h("strong", {}, author.name), badge, stamp, edited)];
}

function clock(ts) {
  return new Date(Number(ts) * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

function reference(item, desk) {
  return h("p", { class: "broadcast" }, "replied to a ",
    h("button", { type: "button", class: "plain-link", onclick: () => desk.openThread(item.thread_ts) }, "thread"));
}

// Blocks stand in place of the text; the text alone is what notifications read out.
function shown(item, desk) {
  const surface = {
    names: desk.names,
    press: (block, element, value, control) => desk.press({ ts: item.ts }, block, element, value, control),
  };
  const text = item.blocks?.length ? blocks(item.blocks, surface) : mrkdwn(item.text ?? "", desk.names);
  return [h("div", { class: "said" }, text), attachments(item.attachments ?? [], surface)];
}

function file(one) {
  const url = `/sandbox/file/${encodeURIComponent(one.id)}`;
  const preview = h("pre", { tabindex: "0" }, "…");
  const load = async (event) => {
    if (event.target.open) preview.textContent = (await (await fetch(url)).text()).slice(0, 20000);
  };
  return h("div", { class: "file" }, h("span", { "aria-hidden": "true" }, "📄 "), h("strong", {}, one.title || one.name),
    h("small", {}, ` ${one.name} · ${size(one.size)} `), h("a", { href: url, download: one.name }, "Download"),
    h("details", { ontoggle: load }, h("summary", {}, "Preview"), preview));
}

function size(bytes) {
  return bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} kB`;
}

function threadButton(item, desk) {
  const replies = item.replies ?? [];
  if (!desk.openThread || !replies.length) return null;
  const words = replies.length === 1 ? "1 reply" : `${replies.length} replies`;
  return h("button", { type: "button", class: "replies", onclick: () => desk.openThread(item.ts) },
    words, h("small", {}, ` last at ${clock(replies.at(-1).ts)}`));
}
