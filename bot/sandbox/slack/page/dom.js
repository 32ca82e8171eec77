// Building the page. Text only ever becomes text nodes, never HTML.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Bring a container's children in line with items. A child whose signature did not change stays the very
// same element, so that focus, selection and open menus survive an update elsewhere.
export function reconcile(container, items, { key, build }) {
  const old = new Map([...container.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const name = key(item);
    const signature = JSON.stringify(item);
    const present = old.get(name);
    if (present && present.signature === signature) return present;
    const fresh = build(item);
    fresh.dataset.key = name;
    fresh.signature = signature;
    if (present && present.contains(document.activeElement)) {
      const { action } = document.activeElement.dataset;
      queueMicrotask(() => refocus(fresh, action));
    }
    return fresh;
  });
  wanted.forEach((child, index) => {
    if (container.children[index] !== child) container.insertBefore(child, container.children[index] ?? null);
  });
  while (container.children.length > wanted.length) container.lastElementChild.remove();
}

// The drawn-anew place of what had the focus: the same control if it is still there, else the whole.
function refocus(fresh, action) {
  const control = fresh.matches("button, input") ? fresh : fresh.querySelector(`[data-action="${CSS.escape(action ?? "")}"]`);
  if (!control) fresh.tabIndex = -1;
  (control ?? fresh).focus({ preventScroll: true });
}
