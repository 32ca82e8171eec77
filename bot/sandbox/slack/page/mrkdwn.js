// Slack's text formats as DOM nodes: mrkdwn, plain text with emoji, and the few signs of a markdown block.

import { h } from "./dom.js";

const EMOJI = {
  alarm_clock: "⏰", arrow_right: "➡️", arrows_counterclockwise: "🔄", bell: "🔔", black_circle: "⚫", bug: "🐛",
  bulb: "💡", calendar: "📅", certificate: "📜", clipboard: "📋", closed_lock_with_key: "🔐", construction: "🚧",
  double_vertical_bar: "⏸️", exclamation: "❗", eyes: "👀", fast_forward: "⏩", fire: "🔥", gear: "⚙️",
  grey_question: "❔", hammer_and_wrench: "🛠️", heavy_check_mark: "✔️", heavy_minus_sign: "➖", hourglass: "⌛",
  hourglass_flowing_sand: "⏳", information_source: "ℹ️", key: "🔑", large_blue_circle: "🔵",
  large_green_circle: "🟢", large_orange_circle: "🟠", large_red_circle: "🔴", large_yellow_circle: "🟡",
  leftwards_arrow_with_hook: "↩️", link: "🔗", lock: "🔒", mag: "🔍", memo: "📝", mute: "🔇", no_entry: "⛔",
  no_entry_sign: "🚫", octagonal_sign: "🛑", package: "📦", page_facing_up: "📄", point_right: "👉",
  question: "❓", raised_hand: "✋", recycle: "♻️", red_circle: "🔴", repeat: "🔁", rewind: "⏪", rocket: "🚀",
  rotating_light: "🚨", scroll: "📜", seedling: "🌱", shield: "🛡️", sos: "🆘", sparkles: "✨", stop_sign: "🛑",
  stopwatch: "⏱️", tada: "🎉", thumbsup: "👍", "+1": "👍", "-1": "👎", unlock: "🔓", warning: "⚠️",
  wastebasket: "🗑️", wave: "👋", white_check_mark: "✅", white_circle: "⚪", wrench: "🔧", x: "❌",
  zap: "⚡", zzz: "💤",
};

export function emoji(name) {
  return Object.hasOwn(EMOJI, name) ? EMOJI[name] : `:${name}:`;
}

function withEmoji(text) {
  return text.replace(/:([a-z0-9_+-]+):/g, (_, name) => emoji(name));
}

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };

function unescaped(text) {
  return withEmoji(text.replace(/&(amp|lt|gt);/g, (entity) => ENTITIES[entity]));
}

export function textObject(text, names) {
  if (text.type === "mrkdwn") return mrkdwn(text.text, names);
  return [h("span", { class: "plain" }, text.emoji === false ? text.text : withEmoji(text.text))];
}

export function mrkdwn(text, names) {
  return text.split(/```\n?([\s\S]*?)```\n?/).flatMap((part, index) =>
    index % 2 ? [h("pre", {}, unescaped(part.replace(/\n$/, "")))] : lines(part, names));
}

function lines(text, names) {
  const nodes = [];
  let quote = null;
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const quoted = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (!quoted) quote = null;
    else if (!quote) nodes.push((quote = h("blockquote")));
    (quote ?? { append: (node) => nodes.push(node) }).append(oneLine(quoted ? quoted[1] : line, names));
  }
  return text ? nodes : [];
}

function oneLine(line, names) {
  const bullet = /^(\s*)([•◦▪-]|\d+\.)\s+/.exec(line);
  return h("div", { class: bullet ? "line bullet" : "line" }, line ? inline(line, names) : "\u00a0");
}

const STYLES = { "*": "strong", _: "em", "~": "s" };
const TOKEN = /`([^`\n]+)`|<([^<>\n]+)>|(?<![\w*_~])([*_~])(?=\S)([^\n]*?\S)\3(?![\w*_~])/u;

function inline(text, names) {
  const match = TOKEN.exec(text);
  if (!match) return text ? [unescaped(text)] : [];
  const [whole, code, angle, sign, inner] = match;
  let node;
  if (code !== undefined) node = h("code", {}, unescaped(code));
  else if (angle !== undefined) node = reference(angle, names);
  else node = h(STYLES[sign], {}, inline(inner, names));
  const before = text.slice(0, match.index);
  return [...(before ? [unescaped(before)] : []), node, ...inline(text.slice(match.index + whole.length), names)];
}

function reference(content, names) {
  const bar = content.indexOf("|");
  const target = bar < 0 ? content : content.slice(0, bar);
  const label = bar < 0 ? "" : unescaped(content.slice(bar + 1));
  if (target.startsWith("@")) return mention(`@${names.person(target.slice(1)) ?? (label || target.slice(1))}`);
  if (target.startsWith("#")) return mention(`#${names.channel(target.slice(1)) ?? (label || target.slice(1))}`);
  if (target.startsWith("!date^")) return date(target.split("^"), label);
  if (target.startsWith("!subteam^")) return mention(names.group(target.slice(9)) ?? (label || target));
  if (target.startsWith("!")) return h("span", { class: "mention loud" }, `@${target.slice(1)}`);
  return link(unescaped(target), label, `<${unescaped(content)}>`);
}

export function mention(text) {
  return h("span", { class: "mention" }, text);
}

// A link, or as plain text what only pretends to be one.
export function link(url, label, otherwise = label || url) {
  if (!/^(https?:|mailto:)/i.test(url)) return otherwise;
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label || url);
}

const DATES = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date: { year: "numeric", month: "long", day: "numeric" },
  date_short: { year: "numeric", month: "short", day: "numeric" },
  date_long: { weekday: "long", year: "numeric", month: "long", day: "numeric" },
  time: { hour: "2-digit", minute: "2-digit" },
  time_secs: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
};

function date([, seconds, format], fallback) {
  return moment(Number(seconds), format, fallback);
}

export function moment(seconds, format, fallback) {
  const at = new Date(seconds * 1000);
  if (Number.isNaN(at.getTime())) return fallback || "";
  const shown = (format || "{date_short} {time}").replace(/\{(\w+)\}/g, (token, name) => {
    if (name === "ago") return ago(at);
    const pretty = name.endsWith("_pretty") && nearby(at);
    const options = DATES[name.replace(/_pretty$/, "")];
    return pretty || (options ? at.toLocaleString("en-GB", options) : token);
  });
  return h("time", { datetime: at.toISOString(), title: fallback }, shown);
}

function nearby(at) {
  const days = Math.round((new Date(at).setHours(0, 0, 0, 0) - new Date().setHours(0, 0, 0, 0)) / 86400e3);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days];
}

function ago(at) {
  const minutes = Math.round((Date.now() - at.getTime()) / 60e3);
  if (Math.abs(minutes) < 1) return "just now";
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (Math.abs(minutes) < 60) return format.format(-minutes, "minute");
  if (Math.abs(minutes) < 2880) return format.format(-Math.round(minutes / 60), "hour");
  return format.format(-Math.round(minutes / 1440), "day");
}

// A markdown block: headings, bold, lists and links are enough for what a bot writes.
export function markdown(text, names) {
  return text.split("\n").map((line) => {
    const heading = /^#{1,6}\s+(.*)$/.exec(line);
    const slack = (heading ? heading[1] : line)
      .replace(/\*\*(.+?)\*\*/g, "*$1*")
      .replace(/\[([^\]]+)\]\((https?:[^)\s]+)\)/g, "<$2|$1>")
      .replace(/^(\s*)[-*] /, "$1• ");
    return heading ? h("h4", {}, inline(slack, names)) : oneLine(slack, names);
  });
}
