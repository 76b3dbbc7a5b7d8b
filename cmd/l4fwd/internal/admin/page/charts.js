import { el, svg, byId, show } from "./dom.js";
import * as f from "./format.js";

const WIDTH = 300, HEIGHT = 80;

const charts = [
  { id: "active", title: "Open connections", format: f.count, series: [["open", "active"]] },
  { id: "accepts", title: "New connections", format: f.perSecond, series: [["accepted", "connections_per_second"]] },
  { id: "bytes", title: "Bytes", format: f.rate, series: [["down", "bytes_down_per_second"], ["up", "bytes_up_per_second"]] },
  { id: "connect", title: "Connect time", format: f.seconds, series: [["p50", "connect_p50_seconds"], ["p99", "connect_p99_seconds"]] },
  { id: "first", title: "First byte", format: f.seconds, series: [["p50", "first_byte_p50_seconds"], ["p99", "first_byte_p99_seconds"]] },
  { id: "refusals", title: "Refused clients", format: f.perSecond, series: [["refused", "refused_per_second"]] },
];

// path draws a series. Where nothing was measured, or no point was kept, the line has a gap.
function path(points, key, x, y, interval) {
  let d = "", last = null;
  for (const p of points) {
    const t = Date.parse(p.at), v = p[key];
    if (v === null) { last = null; continue; }
    const joined = last !== null && t - last < interval * 2500;
    d += (joined ? "L" : "M") + x(t).toFixed(1) + " " + y(v).toFixed(1);
    if (!joined) d += "h.1"; // a point alone is seen, too
    last = t;
  }
  return d;
}

// describe is the chart in words, for those who do not see it.
function describe(chart, points) {
  return chart.series.map(([name, key]) => {
    const values = points.map((p) => p[key]).filter((v) => v !== null);
    if (values.length === 0) return name + ": nothing measured";
    return `${name}: now ${chart.format(values.at(-1))}, lowest ${chart.format(Math.min(...values))}, highest ${chart.format(Math.max(...values))}`;
  }).join("; ");
}

function draw(chart, points, end, span, interval) {
  const top = Math.max(...points.flatMap((p) => chart.series.map(([, key]) => p[key] ?? 0)), 0);
  const x = (t) => WIDTH * (1 - (end - t) / (span * 1000));
  const y = (v) => HEIGHT - (top > 0 ? v / top : 0) * (HEIGHT - 4);
  const last = points.at(-1);
  const lines = chart.series.map(([, key], i) => svg("path", { class: i === 0 ? "line" : "line b", d: path(points, key, x, y, interval) }));
  const words = describe(chart, points);
  return el("figure", { class: "chart", id: "chart-" + chart.id },
    el("h3", {}, chart.title),
    el("p", { class: "now" }, ...chart.series.map(([name, key], i) => el("span", { class: "value" },
      last ? chart.format(last[key]) : "–", el("small", { class: i === 0 ? "key" : "key b" }, name)))),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-labelledby": `t-${chart.id} d-${chart.id}` },
      svg("title", { id: "t-" + chart.id }, chart.title), svg("desc", { id: "d-" + chart.id }, words),
      svg("path", { class: "axis", d: `M0 ${HEIGHT}H${WIDTH}` }), ...lines),
    el("p", { class: "scale" }, el("span", {}, f.age(span) + " ago"), el("span", {}, top > 0 ? "highest " + chart.format(top) : ""), el("span", {}, "now")));
}

// drawCharts draws the history; span is in seconds.
export function drawCharts(points, span, interval) {
  const end = points.length ? Date.parse(points.at(-1).at) : Date.now();
  show(byId("charts"), ...charts.map((c) => draw(c, points, end, span, interval)));
}
