// The sandbox's page: a small chat client in which one person acts as several.

import { act, follow } from "./server.js";
import { blocks } from "./blocks.js";
import { compose, describe, suggest } from "./composer.js";
import { confirmed, showModal } from "./dialogs.js";
import { entry } from "./messages.js";
import { h, reconcile } from "./dom.js";
import { readValues } from "./inputs.js";

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const me = { name: query.get("as") ?? sessionStorage.getItem("as") ?? "ada", place: null, thread: null };
let state = null;

const find = (list, id) => list.find((one) => one.id === id);
const names = {
  account: (id) => find(state.people, id),
  person: (id) => find(state.people, id)?.name,
  channel: (id) => find(state.channels, id)?.name,
  group: (id) => { const group = find(state.groups, id); return group && `@${group.handle}`; },
};
const myself = () => state.people.find((one) => one.name === me.name) ?? state.people[0];
const channel = () => find(state.channels, me.place);

function draw(fresh) {
  state = fresh;
  me.place ??= atPermalink() ?? state.main_channel;
  drawPeople();
  drawHint();
  drawPlaces();
  drawMain();
  drawThread();
  showModal(state.views[myself().id]?.at(-1) ?? null, desk);
}

// /archives/C…/p1700000000000100 opens that message's channel, and its thread if it is a reply.
function atPermalink() {
  const match = /^\/archives\/(\w+)\/p(\d{10})(\d{6})$/.exec(location.pathname);
  if (!match || !find(state.channels, match[1])) return null;
  me.thread = query.get("thread_ts") ?? `${match[2]}.${match[3]}`;
  return match[1];
}

function drawPeople() {
  const shown = state.people.filter((one) => !one.is_bot && !one.deleted);
  reconcile($("people-list"), shown, {
    key: (one) => one.id,
    build: (one) => h("label", {},
      h("input", { type: "radio", name: "me", value: one.name, onchange: () => become(one.name) }),
      h("span", {}, one.real_name.split(" ")[0], h("small", {}, ` ${one.role}`))),
  });
  for (const radio of $("people-list").querySelectorAll("input")) {
    radio.checked = radio.value === myself().name;
    radio.parentElement.classList.toggle("mine", radio.checked);
  }
}

function become(name) {
  me.name = name;
  sessionStorage.setItem("as", name);
  if (!channel() || channel().is_im) me.place = state.main_channel;
  draw(state);
}

function drawHint() {
  const chip = (text, onclick) => h("button", { type: "button", class: "chip", onclick }, text);
  const type = (text) => chip(text, () => { me.place = state.main_channel; draw(state); suggest(text, state.commands); });
  const become_ = (name, shown) => (me.name === name ? shown : chip(shown, () => become(name)));
  const first = state.commands[0]?.command ?? "/help";
  reconcile($("hint-steps"), [{ first, mine: me.name }], {
    key: () => "steps",
    build: () => h("ol", {},
      h("li", {}, "As ", become_("ada", "Ada"), " send ", type(`${first} check`), ", then ", type(`${first} transition`)),
      h("li", {}, "As ", become_("grace", "Grace"), " press Approve: nobody approves alone"),
      h("li", {}, "Read on in the card's replies")),
  });
}

function drawPlaces() {
  const mine = myself().id;
  const channels = state.channels.filter((one) => !one.is_im && one.members.includes(mine));
  const items = [...channels.map((one) => ({ id: one.id, text: `# ${one.name}` })), { id: "home", text: "Home" }];
  reconcile($("places"), items.map((one) => ({ ...one, here: one.id === me.place })), {
    key: (one) => one.id,
    build: (one) => h("button", { type: "button", "aria-current": one.here ? "page" : null, onclick: () => goTo(one.id) }, one.text),
  });
}

function goTo(place) {
  Object.assign(me, { place, thread: null });
  draw(state);
  if (place === "home") attempt(act("home", { user: myself().id }));
}

function drawMain() {
  const here = channel();
  $("channel-name").textContent = here ? `# ${here.name}` : "Home of the app";
  const flags = [here?.is_archived && "archived", here?.is_ext_shared && "shared with another organisation"];
  $("channel-topic").textContent = here ? [here.topic, ...flags].filter(Boolean).join(" · ") : "";
  $("composer").hidden = !here;
  describe(here, Boolean(here) && !here.is_archived);
  if (here) drawLog($("log"), inChannel(here));
  else drawHome();
}

function inChannel(here) {
  return [...here.messages, ...whispers(here.id, null)].sort((one, other) => one.ts.localeCompare(other.ts));
}

function whispers(place, thread) {
  const mine = myself().id;
  return state.ephemerals.filter((one) => one.user === mine && one.channel === place && one.thread_ts === thread)
    .map((one) => ({ ...one, ephemeral: true }));
}

// A log that stands at its end stays there while it grows or narrows.
function keepEnd(log, change) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  change();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function drawLog(log, items, options = {}) {
  const full = items.map((item) => ({ ...item, file_list: (item.files ?? []).map((id) => state.files[id]).filter(Boolean) }));
  keepEnd(log, () => reconcile(log, full.length ? full : [{ ts: "none", nothing: true }], {
    key: (item) => `${me.name} ${me.place} ${item.ts}`,
    build: (item) => item.nothing
      ? h("p", { class: "nothing" }, "Nothing has been said here yet.")
      : entry(item, { ...desk, ...options }),
  }));
}

function drawHome() {
  const home = state.homes[myself().id];
  const surface = { names, press: (block, element, value, control) => press({ view_id: home.id }, block, element, value, control) };
  reconcile($("log"), [home ?? { id: "none" }], {
    key: (item) => `home ${me.name} ${item.id}`,
    build: (item) => item.blocks
      ? h("div", { class: "home" }, blocks(item.blocks, surface))
      : h("p", { class: "nothing" }, "The app has not published a Home tab for you yet."),
  });
}

function drawThread() {
  const here = channel();
  const parent = here?.messages.find((one) => one.ts === me.thread && !one.thread_ts);
  const inThread = Boolean(parent) && (parent.replies.length > 0 || whispers(here.id, me.thread).length > 0);
  keepEnd($("log"), () => {
    $("thread").hidden = !inThread;
    $("columns").classList.toggle("with-thread", inThread);
  });
  if (!inThread) return;
  const replies = [...parent.replies.map((one) => ({ ...one, broadcast: false })), ...whispers(here.id, me.thread)]
    .sort((one, other) => one.ts.localeCompare(other.ts));
  drawLog($("replies"), [{ ...parent, replies: [] }, ...replies], { openThread: null });
}

function openThread(ts) {
  me.thread = ts;
  drawThread();
  $("replies").focus();
}

async function press(place, block_id, element, value, control) {
  if (element.confirm && !(await confirmed(element.confirm, names))) return;
  if (element.url) window.open(element.url, "_blank", "noopener");
  const where = channel() ? { channel: me.place } : {};
  const values = readValues(control.closest("article, form, .home"));
  await attempt(act("press", { user: myself().id, ...where, ...place, action_id: element.action_id, block_id, value, values }), control);
}

// Wait for the app with the control marked busy; whatever the sandbox itself refuses is said in a toast.
async function attempt(work, control) {
  control?.setAttribute("aria-busy", "true");
  try {
    return await work;
  } catch (mistake) {
    toast(mistake.message);
    return null;
  } finally {
    control?.removeAttribute("aria-busy");
  }
}

let toastTimer = null;

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 8000);
}

const desk = {
  names,
  get app() { return state.app.user; },
  press,
  openThread,
  submit: (view, values, control) => attempt(act("submit", { user: myself().id, view_id: view.id, values }), control),
  close: (view) => attempt(act("close", { user: myself().id, view_id: view.id })),
};

function lost(isLost) {
  const connected = state?.app.connections > 0;
  $("link").textContent = isLost ? "Sandbox is not running" : connected ? "App connected" : "App not connected";
  $("link").className = `link ${isLost || !connected ? "off" : "on"}`;
}

function show(fresh) {
  draw(fresh);
  lost(false);
}

$("thread-close").addEventListener("click", () => { me.thread = null; drawThread(); $("line").focus(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && me.thread && !document.querySelector("dialog[open]")) $("thread-close").click();
});
$("hint").open = window.innerWidth > 760;
compose((text) => attempt(act("command", { user: myself().id, channel: me.place, text })), () => state?.commands ?? []);
follow(show, lost);
