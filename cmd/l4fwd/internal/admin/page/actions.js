import { byId, clean, el, write } from "./dom.js";

let chosen = false; // a level that is not sent yet

const LENGTHS = { "15m": "15 minutes", "1h": "1 hour", "8h": "8 hours" };

// ask lets the operator confirm an action, and resolves to {length} or, if it is not confirmed, to null. Escape and the focus
// belong to the dialog. open is what a length of "" means; without it none is asked for.
function ask(title, text, yes, open) {
  const dialog = byId("confirm"), lengths = byId("confirm-for");
  write(byId("confirm-title"), title);
  write(byId("confirm-text"), text);
  write(byId("confirm-yes"), yes);
  byId("confirm-length").hidden = open === undefined;
  if (open !== undefined) {
    lengths.replaceChildren(...Object.entries({ ...LENGTHS, "": open }).map(([value, name]) => el("option", { value }, name)));
  }
  byId("confirm-yes").onclick = () => dialog.close("yes");
  byId("confirm-no").onclick = () => dialog.close("");
  dialog.returnValue = "";
  return new Promise((resolve) => {
    dialog.onclose = () => {
      if (dialog.open) return; // the late event of a question that was closed before: the browser queues it
      resolve(dialog.returnValue === "yes" ? { length: open === undefined ? "" : lengths.value } : null);
    };
    dialog.showModal();
    byId("confirm-no").focus();
  });
}

function say(text, bad) {
  write(byId("outcome"), text);
  byId("outcome").className = bad ? "outcome bad" : "outcome";
}

// act sends an action and shows the outcome.
async function act(path, body, done) {
  say("Asking the daemon…");
  const init = { method: "POST", headers: { "L4fwd-Page": "1" } };
  if (body) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  try {
    const answer = await fetch("/api/v1/" + path, init);
    const text = await answer.text();
    if (answer.ok) say(done(JSON.parse(text)));
    else say("Refused: " + reason(text), true);
  } catch {
    say("The daemon did not answer. Whether it acted is not known.", true);
  }
}

// reason is the text of an answer that reports an error.
function reason(text) {
  try {
    return JSON.parse(text).error || text;
  } catch {
    return text.trim();
  }
}

const withLength = (body, length) => (length ? { ...body, for: length } : body);
const lasting = (length, open) => (length ? "for " + LENGTHS[length] : open);

// The actions by the data-action of their buttons.
const actions = {
  async drain() {
    const sure = await ask("Drain this instance?",
      "It becomes not ready and, after the lame duck, accepts no new connections. Connections that are still open when drain.timeout is over are closed. Then the process ends. This cannot be undone.", "Drain");
    if (sure) await act("drain", null, (a) => (a.begun ? "The drain has begun." : "A drain was under way already."));
  },

  async eject({ upstream, address }) {
    const sure = await ask(`Eject ${address}?`, `New connections to ${upstream} no longer use this address. Open connections to it go on.`, "Eject", "until it is restored");
    if (!sure) return;
    await act("addresses/eject", withLength({ upstream, address }, sure.length),
      (a) => `${address} is ejected ${lasting(sure.length, "until it is restored")}.${a.warning ? " Warning: " + a.warning : ""}`);
  },

  async restore({ upstream, address }) {
    const sure = await ask(`Restore ${address}?`, `New connections to ${upstream} may use this address again.`, "Restore");
    if (sure) await act("addresses/restore", { upstream, address }, () => `${address} is restored.`);
  },

  async close({ id, what }) {
    const sure = await ask(`Close connection ${id}?`, what + ". Client and upstream see their connection end.", "Close connection");
    if (sure) await act("conns/close", { id: Number(id) }, () => `Connection ${id} is closed.`);
  },

  async level() {
    const level = byId("level").value;
    const sure = await ask(`Set the log level to ${level}?`, "A level that is not the configured one ends with the next reload at the latest.", "Set level", "until the next reload");
    if (!sure) return;
    chosen = false;
    await act("log-level", withLength({ level }, sure.length), (a) => `The log level is ${a.level} ${lasting(sure.length, "until the next reload")}.`);
  },
};

// wireActions has every button with a data-action do it.
export function wireActions() {
  byId("level").addEventListener("change", () => { chosen = true; });
  document.addEventListener("click", (e) => {
    const button = e.target.closest("button[data-action]");
    if (button && !byId("confirm").open) actions[button.dataset.action](button.dataset);
  });
}

// allowActions disables the buttons while the daemon is gone: what they would act on is old.
export function allowActions(gone, draining) {
  for (const b of document.querySelectorAll("button[data-action]")) b.disabled = gone || (draining && b.dataset.action === "drain");
  byId("level").disabled = gone;
}

// showLevel shows the log level. The choice follows it until the operator makes one.
export function showLevel(l) {
  if (!chosen) byId("level").value = l.level;
  const until = l.until ? ` until ${clean(new Date(l.until).toLocaleTimeString("en-GB"))}` : "";
  write(byId("level-now"), l.level === l.configured ? `${l.level}, as configured` : `${l.level}${until}; configured: ${l.configured}`);
}
