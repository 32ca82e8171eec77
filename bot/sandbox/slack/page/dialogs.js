// The app's dialogs and a button's question before it counts, on the browser's own <dialog>.

import { blocks } from "./blocks.js";
import { h } from "./dom.js";
import { readValues, writeValues } from "./inputs.js";
import { mrkdwn, textObject } from "./mrkdwn.js";

const modal = document.getElementById("modal");
const question = document.getElementById("confirm");

// Asks a confirm object's question; resolves to true if the person confirms.
export function confirmed(ask, names) {
  const title = h("h2", { id: "confirm-title" }, textObject(ask.title));
  const yes = h("button", { value: "yes", class: ask.style ?? "primary" }, textObject(ask.confirm));
  const no = h("button", { value: "no" }, textObject(ask.deny));
  question.replaceChildren(h("form", { method: "dialog" }, title,
    h("div", { class: "modal-body" }, textObject(ask.text, names)), h("footer", {}, no, yes)));
  question.returnValue = "no";
  question.showModal();
  return new Promise((answer) =>
    question.addEventListener("close", () => answer(question.returnValue === "yes"), { once: true }));
}

let shown = null;

// Show a person's open dialog, or none. `desk` offers names, press, submit(view, values), close(view).
export function showModal(view, desk) {
  const signature = view && JSON.stringify([view.id, view.hash, view.errors]);
  if (signature === shown?.signature) return;
  const kept = view && shown?.id === view.id ? readValues(modal) : {};
  shown = view && { id: view.id, signature };
  if (!view) {
    modal.close();
    return;
  }
  modal.replaceChildren(form(view, desk));
  writeValues(modal, kept);
  if (!modal.open) modal.showModal();
  modal.oncancel = (event) => { event.preventDefault(); desk.close(view); };
  (modal.querySelector("[aria-invalid=true], [autofocus]") ?? modal.querySelector("[data-kind]"))?.focus();
}

function form(view, desk) {
  const surface = {
    names: desk.names, errors: view.errors,
    press: (block, element, value, control) => desk.press({ view_id: view.id }, block, element, value, control),
  };
  const trouble = view.errors[""] && h("p", { class: "error", role: "alert" }, mrkdwn(view.errors[""], desk.names));
  const submit = view.submit && h("button", { class: "primary" }, textObject(view.submit));
  const close = h("button", { type: "button", onclick: () => desk.close(view) }, view.close ? textObject(view.close) : "Cancel");
  const sent = (event) => {
    event.preventDefault();
    if (submit) desk.submit(view, readValues(modal), submit);
  };
  return h("form", { onsubmit: sent, novalidate: true }, h("h2", { id: "modal-title" }, textObject(view.title)),
    h("div", { class: "modal-body" }, trouble, blocks(view.blocks, surface)), h("footer", {}, close, submit));
}
