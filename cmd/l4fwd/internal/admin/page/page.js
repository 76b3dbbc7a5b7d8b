import { byId, write } from "./dom.js";
import { drawCharts } from "./charts.js";
import { showState } from "./state.js";
import { showConns } from "./conns.js";
import { allowActions, showLevel, wireActions } from "./actions.js";
import * as f from "./format.js";

const SPAN = 900; // seconds
const RETRY = 5000; // ms until a refused stream is asked for again
const STALE = 6000; // ms without a message after which the daemon counts as gone

let points = []; // the oldest first
let interval = 4;
let heard = 0; // when the last message came; 0: none yet
let frame = null;
let asking = false;
let stream = null;
let again = 0; // the timer of another try
let refused = ""; // why the daemon refused the stream

// merge adds points that are newer than those there are, and returns whether there were any: every other message has none.
function merge(more) {
  const newest = points.length ? Date.parse(points.at(-1).at) : -Infinity;
  const added = more.filter((p) => Date.parse(p.at) > newest);
  if (added.length === 0) return false;
  const oldest = Date.parse(added.at(-1).at) - SPAN * 1000;
  points = [...points, ...added].filter((p) => Date.parse(p.at) >= oldest);
  return true;
}

// recall asks for the whole history.
async function recall() {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch("/api/v1/history");
    if (answer.ok) {
      points = [];
      merge((await answer.json()).points);
      drawCharts(points, SPAN, interval);
    }
  } catch { /* the next message tries again */ } finally { asking = false; }
}

function receive(message) {
  const restarted = frame && (frame.state.pid !== message.state.pid || frame.state.started !== message.state.started);
  frame = message;
  heard = Date.now();
  interval = message.history.interval_seconds;
  const first = message.history.points[0];
  const gap = first && (points.length === 0 || Date.parse(first.at) - Date.parse(points.at(-1).at) > interval * 1500);
  if (restarted || gap) recall();
  else if (merge(message.history.points)) drawCharts(points, SPAN, interval);
  showState(message);
  showConns(message);
  showLevel(message.log_level);
  watch();
}

// watch marks what is shown as old when the daemon is silent.
function watch() {
  const gone = Date.now() - heard > STALE;
  document.body.dataset.level = !gone ? frame.level : "gone";
  allowActions(gone || frame === null, frame !== null && frame.state.draining);
  byId("age").hidden = !gone;
  if (!gone) {
    write(byId("live"), "live");
    return;
  }
  write(byId("live"), refused || "no contact");
  write(document.querySelector("title"), "l4fwd: no contact");
  write(byId("headline"), "No contact with the daemon");
  write(byId("age"), heard === 0 ? "" : `What is shown below is ${f.age((Date.now() - heard) / 1000)} old. It was: ${frame.headline}`);
}

// listen opens the stream. The browser itself opens it again, unless the daemon refused it.
function listen() {
  stream = new EventSource("/api/v1/stream");
  stream.addEventListener("frame", (e) => { refused = ""; receive(JSON.parse(e.data)); });
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) return;
    again = setTimeout(listen, RETRY);
    explain();
  });
}

// explain finds out why the daemon refused the stream, which EventSource does not say.
async function explain() {
  const leave = new AbortController();
  try {
    const answer = await fetch("/api/v1/stream", { signal: leave.signal });
    refused = answer.ok ? "" : (await answer.json()).error;
    if (refused) write(byId("live"), refused);
  } catch { refused = ""; } finally { leave.abort(); }
}

// pause ends the stream while nobody sees the page: it costs the daemon nothing then.
function pause() {
  clearTimeout(again);
  stream.close();
  if (document.hidden) write(byId("live"), "paused");
  else listen();
}

wireActions();
drawCharts(points, SPAN, interval);
listen();
document.addEventListener("visibilitychange", pause);
setTimeout(() => setInterval(() => { if (!document.hidden) watch(); }, 1000), STALE);
