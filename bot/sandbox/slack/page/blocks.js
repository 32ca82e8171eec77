// Block Kit as DOM. `press(block_id, element, value)` is called for whatever a person presses or chooses.

import { h } from "./dom.js";
import { emoji, link, markdown, mention, moment, mrkdwn, textObject } from "./mrkdwn.js";
import { input, pressable } from "./inputs.js";

const BLOCKS = { section, header, divider, context, actions, input, rich_text, table, markdown: md, image, alert };

export function blocks(list, surface) {
  return list.map((block) =>
    h("div", { class: `block ${block.type}`, "data-block": block.block_id }, BLOCKS[block.type](block, surface)));
}

function section(block, surface) {
  const text = block.text && h("div", { class: "text" }, textObject(block.text, surface.names));
  const fields = block.fields && h("div", { class: "fields" },
    block.fields.map((field) => h("div", { class: "field" }, textObject(field, surface.names))));
  const accessory = block.accessory && h("div", { class: "accessory" }, pressable(block, block.accessory, surface));
  return [h("div", { class: "body" }, text, fields), accessory];
}

function header(block, surface) {
  return h("h3", {}, textObject(block.text, surface.names));
}

function divider() {
  return h("hr");
}

function context(block, surface) {
  return block.elements.map((element) => element.type === "image"
    ? picture(element)
    : h("span", { class: "note" }, textObject(element, surface.names)));
}

function actions(block, surface) {
  return block.elements.map((element) => pressable(block, element, surface));
}

function alert(block, surface) {
  const level = block.level ?? "default";
  const word = level === "default" ? null : h("strong", {}, `${level[0].toUpperCase()}${level.slice(1)}: `);
  return h("div", { class: `level ${level}`, role: "note" }, word, textObject(block.text, surface.names));
}

function md(block, surface) {
  return markdown(block.text, surface.names);
}

// Pictures from the internet are not loaded: the sandbox works without it.
function image(block) {
  return h("figure", {}, picture(block), block.title && h("figcaption", {}, block.title.text));
}

function picture(source) {
  return h("span", { class: "picture", role: "img", "aria-label": source.alt_text }, `▦ ${source.alt_text}`);
}

function table(block, surface) {
  const settings = block.column_settings ?? [];
  const cell = (tag) => (content, column) =>
    h(tag, { class: settings[column]?.align, scope: tag === "th" ? "col" : null }, cellContent(content, surface));
  const [head, ...rest] = block.rows;
  return h("div", { class: "scroll", tabindex: "0" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map(cell("th")))),
    h("tbody", {}, rest.map((row) => h("tr", {}, row.map(cell("td")))))));
}

function cellContent(content, surface) {
  return content.type === "rich_text" ? rich_text(content, surface) : content.text;
}

const RICH = {
  rich_text_section: (part, surface) => h("div", { class: "line" }, part.elements.map((one) => rich(one, surface))),
  rich_text_quote: (part, surface) => h("blockquote", {}, part.elements.map((one) => rich(one, surface))),
  rich_text_preformatted: (part, surface) => h("pre", {}, part.elements.map((one) => rich(one, surface))),
  rich_text_list: (part, surface) => h(part.style === "ordered" ? "ol" : "ul",
    { start: part.offset ? part.offset + 1 : null, class: `indent${part.indent ?? 0}` },
    part.elements.map((one) => h("li", {}, one.elements.map((inner) => rich(inner, surface))))),
};

function rich_text(block, surface) {
  return block.elements.map((part) => RICH[part.type](part, surface));
}

function rich(element, surface) {
  const { names } = surface;
  const kinds = {
    text: () => element.text,
    link: () => link(element.url, element.text),
    user: () => mention(`@${names.person(element.user_id) ?? element.user_id}`),
    usergroup: () => mention(names.group(element.usergroup_id) ?? element.usergroup_id),
    channel: () => mention(`#${names.channel(element.channel_id) ?? element.channel_id}`),
    emoji: () => emoji(element.name),
    date: () => moment(element.timestamp, element.format, element.fallback),
    broadcast: () => h("span", { class: "mention loud" }, `@${element.range}`),
    color: () => element.value,
  };
  return styled(kinds[element.type](), element.style ?? {});
}

function styled(node, style) {
  const tags = { code: "code", bold: "strong", italic: "em", strike: "s", underline: "u" };
  return Object.entries(tags).reduce((inner, [name, tag]) => (style[name] ? h(tag, {}, inner) : inner), node);
}

export function attachments(list, surface) {
  return list.map((attachment) => {
    const element = h("div", { class: "attachment" },
      attachment.title && h("strong", {}, attachment.title),
      attachment.text && mrkdwn(attachment.text, surface.names),
      blocks(attachment.blocks ?? [], surface),
      attachment.footer && h("small", {}, attachment.footer));
    element.style.borderLeftColor = colour(attachment.color);
    return element;
  });
}

function colour(given) {
  const named = { good: "#2e7d4f", warning: "#b7791f", danger: "#b3261e" };
  if (Object.hasOwn(named, given ?? "")) return named[given];
  return /^#?[0-9a-f]{6}$/i.test(given ?? "") ? `#${given.replace("#", "")}` : "";
}
