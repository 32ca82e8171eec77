// The line at the bottom: what a person types, with the app's commands offered as they type.

import { h } from "./dom.js";

const form = document.getElementById("composer");
const line = document.getElementById("line");
const list = document.getElementById("suggestions");

let active = -1;
let offered = [];

// What fits what is typed so far: commands, and after a command the words of its usage hint.
function fitting(text, commands) {
  if (!text.startsWith("/")) return [];
  const command = commands.find((one) => text.startsWith(`${one.command} `));
  if (!command) {
    return commands.filter((one) => one.command.startsWith(text)).map((one) => ({
      fill: `${one.command} `, title: `${one.command} ${one.usage_hint}`, note: one.description,
    }));
  }
  const typed = text.slice(command.command.length + 1);
  const words = command.usage_hint.includes("|") ? command.usage_hint.replace(/\[.*/, "").split("|") : [];
  const fits = words.map((word) => word.trim()).filter((word) => word.startsWith(typed) && word !== typed);
  return fits.map((word) => ({ fill: `${command.command} ${word} `, title: `${command.command} ${word}`, note: "" }));
}

function offer(commands) {
  offered = fitting(line.value, commands);
  active = -1;
  list.replaceChildren(...offered.map((one, index) =>
    h("div", { role: "option", id: `offer-${index}`, onmousedown: (event) => { event.preventDefault(); take(index, commands); } },
      h("strong", {}, one.title), h("small", {}, one.note))));
  list.hidden = offered.length === 0;
  line.setAttribute("aria-expanded", String(offered.length > 0));
  line.removeAttribute("aria-activedescendant");
}

function take(index, commands) {
  line.value = offered[index].fill;
  line.focus();
  offer(commands);
}

function point(step) {
  active = (active + step + offered.length) % offered.length;
  [...list.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === active)));
  line.setAttribute("aria-activedescendant", `offer-${active}`);
}

export function hideOffers() {
  list.hidden = true;
  offered = [];
  line.setAttribute("aria-expanded", "false");
}

function pressedKey(event, commands) {
  if (!offered.length) return;
  if (event.key === "ArrowDown") point(1);
  else if (event.key === "ArrowUp") point(-1);
  else if (event.key === "Tab" && !event.shiftKey) take(Math.max(active, 0), commands);
  else if (event.key === "Enter" && active >= 0) take(active, commands);
  else if (event.key === "Escape") hideOffers();
  else return;
  event.preventDefault();
}

// Calls send(text) for every line; commands() gives the commands known at the time.
export function compose(send, commands) {
  line.addEventListener("input", () => offer(commands()));
  line.addEventListener("keydown", (event) => pressedKey(event, commands()));
  line.addEventListener("blur", hideOffers);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = line.value.trim();
    if (!text) return;
    line.value = "";
    hideOffers();
    send(text);
  });
}

// Put a line into the composer for the person to send.
export function suggest(text, commands) {
  line.value = text;
  line.focus();
  offer(commands);
}

export function describe(channel, ready) {
  line.placeholder = channel ? `Message #${channel.name}, or / for a command` : "";
  line.disabled = !ready;
}
