import { el, byId, show, button, table } from "./dom.js";
import * as f from "./format.js";

const columns = [{ name: "Client" }, { name: "Upstream" }, { name: "State" }, { name: "Age", n: true }, { name: "Rate", n: true }, { name: "Bytes", n: true }, { name: "Action", unseen: true }];

const some = (address) => address || "not chosen yet";

function state(c) {
  const stalls = c.stalls && c.stalls !== "none" ? el("span", { class: "warn" }, ` ${c.stalls} stalls`) : null;
  return el("span", {}, c.state.replaceAll("_", " "), stalls);
}

function row(kind, c) {
  const upstream = el("span", {}, c.upstream || "–", el("span", { class: "fields addr" }, some(c.upstream_address)));
  const client = el("span", {}, el("span", { class: "addr" }, c.client), c.sni ? el("span", { class: "fields" }, c.sni) : null);
  const what = `${c.client} to ${c.upstream ? c.upstream + " " : ""}${some(c.upstream_address)}, ${f.age(c.age_seconds)} old, ${f.bytes(c.bytes_up)} up, ${f.bytes(c.bytes_down)} down`;
  return {
    id: `${kind}-${c.id}`,
    cells: [client, upstream, state(c), f.age(c.age_seconds), f.rate(c.bytes_up_per_second + c.bytes_down_per_second), f.bytes(c.bytes_up + c.bytes_down),
      button("close", "Close…", `Close connection ${c.id} of ${c.client}`, { id: c.id, what })],
  };
}

function list(kind, label, rows) {
  if (rows.length === 0) return el("p", { class: "card quiet" }, "No connection is open.");
  return el("div", { class: "card" }, table(label, columns, rows.map((c) => row(kind, c))));
}

// showConns shows the busiest and the oldest connections.
export function showConns(m) {
  const c = m.conns, old = c.at ? (Date.parse(m.at) - Date.parse(c.at)) / 1000 : 0;
  show(byId("conns-note"), c.error ? "The listing failed: " + c.error : old > 5 ? `As of ${f.age(old)} ago: with many connections the listing is made more rarely.` : "");
  show(byId("busiest"), list("busy", "Busiest connections", c.busiest));
  show(byId("oldest"), list("old", "Oldest connections", c.oldest));
}
