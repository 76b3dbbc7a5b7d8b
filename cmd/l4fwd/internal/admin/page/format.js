// Numbers and times as people read them.

export function bytes(n) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (n < 999.5) return (unit === "B" || n >= 99.95 ? n.toFixed(0) : n.toFixed(1)) + " " + unit;
    n /= 1000;
  }
  return n.toFixed(1) + " TB";
}

export const rate = (n) => bytes(n) + "/s";
export const count = (n) => Math.round(n).toLocaleString("en");
export const perSecond = (n) => (n < 99.95 ? n.toFixed(1) : count(n)) + "/s";

export function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s < 0.0095) return (s * 1000).toFixed(1) + " ms";
  return s < 0.9995 ? (s * 1000).toFixed(0) + " ms" : s.toFixed(2) + " s";
}

export function age(s) {
  if (s < 60) return Math.round(s) + " s";
  const m = Math.floor(s / 60);
  if (m < 60) return m + " min";
  const h = Math.floor(m / 60);
  return h < 48 ? h + " h " + (m % 60) + " min" : Math.floor(h / 24) + " d " + (h % 24) + " h";
}

export const since = (time) => age(Math.max(0, (Date.now() - Date.parse(time)) / 1000));
