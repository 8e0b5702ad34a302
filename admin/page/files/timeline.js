// From when to when a restore can go, as a line, and as a slider on it.
import { el, fill } from "./dom.js";
import { iso, lasts, say, zone } from "./when.js";

// reaches are from when to when a restore can begin with each base backup; null is that
// nobody knows. Up to when WAL is stored is newer than what the list says of the last ones.
export function reaches(bases, durableUntil) {
  const known = bases.filter((b) => b.newest).map((b) => Date.parse(b.newest));
  const end = Math.max(...known, -Infinity);
  const until = durableUntil ? Date.parse(durableUntil) : -Infinity;
  return bases.map((b) => {
    const from = Date.parse(b.oldest);
    const last = b.newest ? Date.parse(b.newest) === end : from > end; // nothing was lost behind it
    const to = Math.max(b.newest ? Date.parse(b.newest) : -Infinity, last ? until : -Infinity);
    return to >= from ? { from, to, last } : null;
  });
}

// spans are the times of which it is known that they can be restored, in their order.
export function spans(bases, durableUntil) {
  const all = reaches(bases, durableUntil).filter((r) => r);
  all.sort((a, b) => a.from - b.from);
  const merged = [];
  for (const s of all) {
    const last = merged.at(-1);
    if (last && s.from <= last.to) last.to = Math.max(last.to, s.to);
    else merged.push({ from: s.from, to: s.to });
  }
  return merged;
}

// holes are the times between spans.
export const holes = (all) => all.slice(1).map((s, i) => ({ from: all[i].to, to: s.from }));

// inside reports whether a moment is in one of the spans.
export const inside = (all, ms) => all.some((s) => s.from <= ms && ms <= s.to);

// describe says in words what the line shows.
export function describe(all) {
  if (all.length === 0) return "There is no moment of which it is known that it can be restored.";
  const text = `Restorable: ${say(all[0].from)} to ${say(all.at(-1).to)}`;
  const lost = holes(all).map((h) => `${say(h.from)} to ${say(h.to)} (${lasts((h.to - h.from) / 1000)})`);
  return lost.length === 0 ? `${text}, without a gap.` : `${text}. Not restorable: ${lost.join(", ")}.`;
}

// line draws what can be restored between two moments, and base backups.
export function line(all, bases, from, to) {
  const long = Math.max(to - from, 1);
  const place = (e, a, b) => {
    e.style.left = `${(100 * (Math.max(a, from) - from)) / long}%`;
    if (b !== undefined) e.style.width = `${(100 * (Math.min(b, to) - Math.max(a, from))) / long}%`;
    return e;
  };
  const seen = (a, b) => b >= from && a <= to;
  return el(
    "div.line",
    { "aria-hidden": "true" },
    all.filter((s) => seen(s.from, s.to)).map((s) => place(el("i.span"), s.from, s.to)),
    holes(all).filter((h) => seen(h.from, h.to)).map((h) => place(el("i.hole", { title: `not restorable: ${say(h.from)} to ${say(h.to)}` }), h.from, h.to)),
    bases.map((b) => ({ b, at: Date.parse(b.oldest) })).filter(({ at }) => seen(at, at)).map(({ b, at }) => place(el(b.since ? "i.base.part" : "i.base", { title: `base backup ${b.id}` }), at)),
  );
}

// picture is the line of a cluster, with its ends and a legend.
export function picture(all, bases) {
  if (all.length === 0) return el("p.quiet", null, describe(all));
  const from = all[0].from;
  const to = all.at(-1).to;
  return el("figure.picture", null, line(all, bases, from, to), el("div.ends", { "aria-hidden": "true" }, el("span", null, say(from)), el("span", null, say(to))), el("figcaption", null, describe(all), ` Times are of ${zone()}.`));
}

// Slider is a moment that is chosen on the line.
export class Slider {
  constructor(all, bases, onChoose) {
    this.all = all;
    this.bases = bases;
    this.onChoose = onChoose;
    this.value = all.at(-1).to;
    this.input = el("input", { type: "range", id: "slider", step: "1", "aria-describedby": "spans", oninput: () => this.chosen(Number(this.input.value) * 1000) });
    this.ends = el("div.ends", { "aria-hidden": "true" });
    this.drawn = el("div.drawn");
    this.element = el("div.slider", null, this.drawn, this.input, this.ends);
    this.show("all");
  }

  // show has the slider go over all, or over as many seconds around what is chosen.
  show(what) {
    const first = this.all[0].from;
    const last = this.all.at(-1).to;
    this.from = first;
    this.to = last;
    if (what !== "all" && last - first > what * 1000) {
      const half = what * 500;
      const middle = Math.min(Math.max(this.value, first + half), last - half);
      this.from = middle - half;
      this.to = middle + half;
    }
    this.what = what;
    this.input.min = String(Math.ceil(this.from / 1000));
    this.input.max = String(Math.max(Math.floor(this.to / 1000), Math.ceil(this.from / 1000)));
    fill(this.drawn, line(this.all, this.bases, this.from, this.to));
    fill(this.ends, el("span", null, say(this.from)), el("span", null, say(this.to)));
    this.tell();
  }

  // put moves the slider to a moment that was chosen elsewhere.
  put(ms) {
    this.value = ms;
    if (ms < this.from || ms > this.to) this.show(this.what);
    this.tell();
  }

  chosen(ms) {
    this.value = ms;
    this.tell();
    this.onChoose(ms);
  }

  tell() {
    this.input.value = String(Math.floor(this.value / 1000));
    this.input.setAttribute("aria-valuetext", `${iso(this.value)}${inside(this.all, this.value) ? "" : ", not known to be restorable"}`);
  }
}
