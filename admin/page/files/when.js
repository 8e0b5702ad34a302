// Moments, durations and sizes, as they are written and read here.

let utc = localStorage.getItem("zone") === "UTC";

export const zone = () => (utc ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone);
export const isUTC = () => utc;

export function setUTC(on) {
  utc = on;
  localStorage.setItem("zone", on ? "UTC" : "");
}

const two = (n) => String(Math.trunc(Math.abs(n))).padStart(2, "0");

// offset is how far the zone is from UTC at a moment, as RFC 3339 has it.
export function offset(ms) {
  const minutes = utc ? 0 : -new Date(ms).getTimezoneOffset();
  return minutes === 0 ? "Z" : `${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
}

// iso writes a moment as RFC 3339 has it, to the second.
export function iso(ms) {
  const shift = utc ? 0 : new Date(ms).getTimezoneOffset() * 60000;
  return new Date(ms - shift).toISOString().slice(0, 19) + offset(ms);
}

// say writes a moment for people, in the zone that the page says.
export const say = (ms) => iso(ms).slice(0, 19).replace("T", " ");

const form = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?\s*(Z|[+-]\d\d:?\d\d)$/i;

// parse reads a moment with its offset; NaN is that it is something else, which the API may
// know what to do with.
export function parse(text) {
  const m = form.exec(text.trim());
  if (!m) return NaN;
  const [, year, month, day, hour, minute, second = "00", fraction = "", off] = m;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, "0").slice(0, 3)}Z`);
  if (Number.isNaN(ms) || new Date(ms).getUTCDate() !== Number(day)) return NaN; // 31 February
  if (off.toUpperCase() === "Z") return ms;
  const minutes = Number(off.slice(1, 3)) * 60 + Number(off.slice(-2));
  return ms - (off[0] === "-" ? -minutes : minutes) * 60000;
}

// lasts writes a number of seconds.
export function lasts(seconds) {
  const s = Math.max(seconds, 0);
  if (s < 10) return `${Math.round(s * 10) / 10} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

// size writes a number of bytes as the commands do.
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  let unit = -1;
  let n = bytes;
  while (n >= 1000 && unit < 5) {
    n /= 1000;
    unit++;
  }
  return `${n >= 100 ? Math.round(n) : Number(n.toPrecision(3))} ${"kMGTPE"[unit]}B`;
}

// moment is an element that says when something was, or will be.
export function moment(text) {
  const e = document.createElement("time");
  e.dateTime = text;
  e.textContent = say(Date.parse(text));
  return e;
}
