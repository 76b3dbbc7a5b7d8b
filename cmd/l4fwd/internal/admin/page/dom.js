// Everything shown goes through text nodes and setAttribute: text from strangers stays text.

const SVG = "http://www.w3.org/2000/svg";

// Characters that control a terminal, or the direction of text: shown, they could make a line say what it does not.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

// clean replaces control characters of a text, so that one sees that there was something.
export const clean = (text) => String(text).replace(CONTROL, "\ufffd");

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : clean(value));
  }
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== "").map((c) => (c instanceof Node ? c : clean(c))));
  return node;
}

export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

// write changes the text of an element. One that says the same is left alone, for the sake of screen readers.
export function write(node, text) {
  if (node.textContent !== clean(text)) node.textContent = clean(text);
}

// show makes children the content of a node. What there is already is kept and changed: a selection, the focus and a button
// under the pointer stay. Elements are the same if they have the same id, or the same place and no id.
export function show(node, ...children) {
  const focused = document.activeElement;
  patchChildren(node, el("div", {}, ...children).childNodes);
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true }); // it was moved
}

function patchChildren(node, next) {
  const known = new Map([...node.children].filter((c) => c.id).map((c) => [c.id, c]));
  let at = node.firstChild;
  for (const n of [...next]) {
    const old = n.id ? known.get(n.id) : at && !at.id ? at : undefined;
    if (!old || old.nodeName !== n.nodeName) {
      node.insertBefore(n, at);
      continue;
    }
    if (old !== at) node.insertBefore(old, at);
    patch(old, n);
    at = old.nextSibling;
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function patch(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const name of old.getAttributeNames()) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const name of next.getAttributeNames()) {
    if (old.getAttribute(name) !== next.getAttribute(name)) old.setAttribute(name, next.getAttribute(name));
  }
  patchChildren(old, next.childNodes);
}

// table makes a table; a column is {name, n: is a number, unseen: its name is only for screen readers}, a row {id, cells}. The first cell of a row is its header.
export function table(label, columns, rows) {
  const cell = (value, i) => {
    const c = columns[i];
    return el(i === 0 ? "th" : "td", { class: c.n ? "n" : undefined, scope: i === 0 ? "row" : undefined, "data-label": i === 0 || c.unseen ? undefined : c.name }, value);
  };
  return el("table", { class: columns.length > 3 ? "wide" : undefined, "aria-label": label },
    el("thead", {}, el("tr", {}, ...columns.map((c) => el("th", { scope: "col", class: c.n ? "n" : undefined }, c.unseen ? el("span", { class: "unseen" }, c.name) : c.name)))),
    el("tbody", {}, ...rows.map((row) => el("tr", { id: row.id }, ...row.cells.map(cell)))));
}

// button makes a button for an action of actions.js; what are its data.
export function button(action, text, label, what = {}) {
  const data = Object.fromEntries(Object.entries(what).map(([k, v]) => ["data-" + k, v]));
  return el("button", { type: "button", class: "small", "data-action": action, "aria-label": label, ...data }, text);
}
