import { el, byId, show, button, table, write } from "./dom.js";
import * as f from "./format.js";

const mark = (kind, text) => el("span", { class: "mark " + kind }, text);

function condition(c) {
  return el("li", { class: c.ok ? "good" : "bad" },
    el("span", { class: "mark" }, c.ok ? "✓" : "✕"), c.name, c.ok ? null : ": " + (c.reason || "does not hold"));
}

// admission is what the upstream says of this instance's public address.
function admission(a) {
  if (!a) return null;
  const known = { admitted: ["good", "✓"], refused: ["bad", "✕"] }[a.state] || ["warn", "?"];
  return el("p", {}, mark(...known), "admission: " + a.state, a.detail ? ": " + a.detail : "");
}

// How the standing of an address looks.
const standings = { usable: ["good", "✓"], backup: ["warn", "○"], unchecked: ["warn", "?"] };

function address(u, a) {
  const known = standings[a.state] || ["bad", "✕"];
  const until = a.until ? `, until ${new Date(a.until).toLocaleTimeString("en-GB")}` : "";
  const state = el("span", {}, mark(...known), a.state.replaceAll("_", " ") + (a.backup && a.state !== "backup" ? ", backup" : "") + until, a.why ? ": " + a.why : "");
  const what = { upstream: u.name, address: a.address };
  const act = a.state === "ejected_by_operator" ? button("restore", "Restore…", `Restore ${a.address} of ${u.name}`, what)
    : button("eject", "Eject…", `Eject ${a.address} of ${u.name}`, what);
  return { id: `address-${u.name}-${a.address}`, cells: [el("span", { class: "addr" }, a.address), state, f.count(a.active), a.connect_ms ? f.seconds(a.connect_ms / 1000) : "–", f.count(a.failures), act] };
}

function upstream(u) {
  const [kind, sign, word] = !u.usable ? ["bad", "✕", "no usable address"] : u.failing ? ["bad", "✕", "every attempt fails"] : ["good", "✓", "usable"];
  const dns = u.dns_age_seconds > 0 ? `, DNS answer ${f.age(u.dns_age_seconds)} old` : "";
  const columns = [{ name: "Address" }, { name: "Standing" }, { name: "Open", n: true }, { name: "Last connect", n: true }, { name: "Failed in a row", n: true }, { name: "Action", unseen: true }];
  return el("div", { class: "card", id: "upstream-" + u.name },
    el("h3", {}, mark(kind, sign), u.name + " ", el("span", { class: "quiet" }, word)),
    el("p", { class: "quiet" }, el("span", { class: "addr" }, u.address),
      `: ${f.count(u.active)} open, ${f.count(u.total)} in all, ${f.bytes(u.bytes_up)} up, ${f.bytes(u.bytes_down)} down${dns}`),
    u.detail ? el("p", {}, u.detail) : null,
    u.storm ? el("p", {}, mark("bad", "✕"), "It seems to lead back to this forwarder: " + u.storm) : null,
    u.dns_error ? el("p", {}, mark("bad", "✕"), "DNS: " + u.dns_error) : null,
    admission(u.admission),
    (u.addresses || []).length ? table("Addresses of " + u.name, columns, u.addresses.map((a) => address(u, a))) : null);
}

function reasons(label, counts, span) {
  const rows = Object.entries(counts).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  if (rows.length === 0) return el("p", { class: "card quiet" }, `None in the last ${f.age(span)}.`);
  return el("div", { class: "card" }, table(label, [{ name: "Reason" }, { name: "Last " + f.age(span), n: true }],
    rows.map(([reason, n]) => ({ cells: [el("code", {}, reason), f.count(n)] }))));
}

// place lists what this instance is; what is not known is left out.
function place(s) {
  const p = s.proxy, e = s.eip, l = s.lifecycle, facts = [];
  const add = (name, value) => value && facts.push(el("dt", {}, name), el("dd", {}, value));
  if (e) add("Elastic IP", e.hold ? `${e.hold.public_ip} (${e.hold.allocation_id}) for ${f.since(e.hold.since)}` : e.wanted ? "none: " + e.reason : "none is wanted");
  if (s.instance) add("Instance", `${s.instance.id}, ${s.instance.region}`);
  if (l) add("Lifecycle", [l.state, l.group && "group " + l.group, l.fault].filter(Boolean).join("; "));
  add("Connections", `${f.count(p.active)} of ${p.max_connections ? f.count(p.max_connections) : "any number"}`);
  for (const i of p.listeners || []) add("Listener", `${i.name} on ${i.address} to ${i.upstream}${i.open ? "" : " (closed)"}`);
  add("Engine", `${p.engine}, ${p.loops} loop${p.loops === 1 ? "" : "s"} (${p.engine_reason})`);
  add("Loops busy", (s.rates.loop_busy_ratio || []).map((b) => Math.round(100 * b) + " %").join(", "));
  add("Up for", f.age(s.uptime_seconds));
  add("Process", "pid " + s.pid);
  for (const fault of s.config.faults || []) add("Reload failed", fault);
  if ((s.config.needs_restart || []).length) add("Needs a restart", s.config.needs_restart.join(", "));
  return facts;
}

// field shows a field of an event; most are texts or numbers.
const field = ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`;

function event(e) {
  const fields = Object.entries(e.fields || {}).filter(([, v]) => v !== "" && v !== null).map(field).join(" ");
  return el("li", { id: "event-" + e.number }, el("time", { datetime: e.at, title: e.at }, new Date(e.at).toLocaleTimeString("en-GB")),
    el("span", { class: e.level }, e.level), el("span", {}, e.text, fields ? el("span", { class: "fields" }, fields) : null));
}

// showState shows a message of the stream.
export function showState(m) {
  const s = m.state;
  write(document.querySelector("title"), "l4fwd: " + m.headline);
  write(byId("headline"), m.headline);
  write(byId("version"), s.build.version);
  show(byId("conditions"), ...s.conditions.map(condition));
  show(byId("upstreams"), ...(s.proxy.upstreams || []).map(upstream));
  show(byId("refused"), reasons("Refused clients by reason", m.history.refused, m.history.span_seconds));
  show(byId("ended"), reasons("Ended connections by reason", m.history.ended, m.history.span_seconds));
  show(byId("place"), ...place(s));
  show(byId("events"), ...m.events.toReversed().map(event));
}
