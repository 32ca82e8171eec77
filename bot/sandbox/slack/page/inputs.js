// Everything that can be pressed, chosen or typed into: buttons in messages and the inputs of dialogs.

import { h } from "./dom.js";
import { textObject } from "./mrkdwn.js";

// An element in an actions block or at the right of a section: using it tells the app at once.
export function pressable(block, element, surface) {
  const tell = (value, control) => surface.press(block.block_id, element, value, control);
  switch (element.type) {
    case "button":
      return button(element, tell);
    case "overflow":
      return overflow(element, tell);
    case "image":
      return h("span", { class: "picture", role: "img", "aria-label": element.alt_text }, `▦ ${element.alt_text}`);
    default:
      return field(element, { label: element.placeholder?.text ?? "Choose", tell, surface });
  }
}

function button(element, tell) {
  const face = h("button", {
    type: "button",
    class: element.style,
    "aria-label": element.accessibility_label,
    "data-action": element.action_id,
    onclick: () => tell(element.value, face),
  }, textObject(element.text));
  return face;
}

function overflow(element, tell) {
  const menu = h("details", { class: "overflow" }, h("summary", { "aria-label": "More actions" }, "⋯"),
    h("div", {}, element.options.map((option) =>
      h("button", { type: "button", onclick: () => { menu.open = false; tell(option.value, menu); } },
        textObject(option.text)))));
  return menu;
}

// An input block: label, field, hint and the place for its error.
export function input(block, surface) {
  const id = `${block.block_id}-${block.element.action_id}`;
  const error = surface.errors?.[block.block_id];
  const grouped = ["radio_buttons", "checkboxes"].includes(block.element.type);
  const label = [...textObject(block.label), block.optional && h("small", {}, " (optional)")];
  const control = field(block.element, {
    id, surface, label: block.label.text, invalid: Boolean(error), described: `${id}-hint ${id}-error`,
  });
  return [
    grouped ? h("div", { class: "label", "aria-hidden": "true" }, label) : h("label", { class: "label", for: id }, label),
    control,
    block.hint && h("p", { class: "hint-text", id: `${id}-hint` }, block.hint.text),
    error && h("p", { class: "error", id: `${id}-error`, role: "alert" }, error),
  ];
}

function field(element, options) {
  const shared = {
    id: options.id, "data-action": element.action_id, "aria-label": options.id ? null : options.label,
    "aria-invalid": options.invalid ? "true" : null, "aria-describedby": options.described,
    placeholder: element.placeholder?.text, autofocus: element.focus_on_load,
  };
  const tell = options.tell && ((event) => options.tell(event.target.value, event.target));
  switch (element.type) {
    case "plain_text_input":
      return h(element.multiline ? "textarea" : "input", {
        ...shared, maxlength: element.max_length ?? 3000, rows: element.multiline ? 4 : null,
        value: element.initial_value ?? "", "data-kind": "text",
      });
    case "number_input":
      return h("input", {
        ...shared, type: "number", min: element.min_value, max: element.max_value,
        step: element.is_decimal_allowed ? "any" : "1", value: element.initial_value ?? "", "data-kind": "text",
      });
    case "datepicker":
      return h("input", {
        ...shared, type: "date", value: element.initial_date ?? "", "data-kind": "text", onchange: tell,
      });
    case "static_select":
      return select(element, { ...shared, onchange: tell });
    default:
      return choices(element, options);
  }
}

function select(element, shared) {
  const option = (one) => h("option", { value: one.value }, one.text.text);
  const chosen = element.initial_option?.value ?? "";
  const empty = h("option", { value: "" }, element.placeholder?.text ?? "Choose an option");
  const groups = (element.option_groups ?? []).map((group) =>
    h("optgroup", { label: group.label.text }, group.options.map(option)));
  const control = h("select", { ...shared, placeholder: null, "data-kind": "text" },
    empty, (element.options ?? []).map(option), groups);
  control.value = chosen;
  return control;
}

function choices(element, options) {
  const many = element.type === "checkboxes";
  const chosen = many ? (element.initial_options ?? []).map((one) => one.value) : [element.initial_option?.value];
  const name = options.id ?? `choice-${crypto.randomUUID()}`;
  const group = h("fieldset", {
    id: options.id, class: "choices", "data-action": element.action_id, "data-kind": many ? "many" : "one",
    "aria-invalid": options.invalid ? "true" : null, "aria-describedby": options.described,
    onchange: () => options.tell?.(valueOf(group), group),
  }, h("legend", { class: "unseen" }, options.label), element.options.map((option) => choice(option, { many, name, chosen, options })));
  return group;
}

function choice(option, { many, name, chosen, options }) {
  const control = h("input", { type: many ? "checkbox" : "radio", name, value: option.value });
  control.checked = chosen.includes(option.value);
  const described = option.description && h("small", {}, textObject(option.description, options.surface.names));
  return h("label", {}, control, h("span", {}, textObject(option.text, options.surface.names), described));
}

function valueOf(control) {
  if (control.dataset.kind === "text") return control.value;
  const checked = [...control.querySelectorAll("input:checked")].map((one) => one.value);
  return control.dataset.kind === "many" ? checked : checked[0] ?? "";
}

// What a person put into a form: {block_id: {action_id: value}}.
export function readValues(form) {
  const values = {};
  for (const control of form.querySelectorAll("[data-kind]")) {
    const block = control.closest("[data-block]").dataset.block;
    values[block] = { ...values[block], [control.dataset.action]: valueOf(control) };
  }
  return values;
}

// Put earlier values back into a form that was drawn anew.
export function writeValues(form, values) {
  for (const control of form.querySelectorAll("[data-kind]")) {
    const value = values[control.closest("[data-block]").dataset.block]?.[control.dataset.action];
    if (value === undefined) continue;
    if (control.dataset.kind === "text") control.value = value;
    else for (const one of control.querySelectorAll("input")) one.checked = [value].flat().includes(one.value);
  }
}
