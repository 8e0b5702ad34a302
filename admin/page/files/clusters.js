// Clusters: how far their WAL is stored, and their base backups.
import { ask, at, unless } from "./api.js";
import { Dialog } from "./dialog.js";
import { el, every, failure, fill, pairs, table, working } from "./dom.js";
import { picture, reaches, spans } from "./timeline.js";
import { lasts, moment, size } from "./when.js";

// clusters shows all.
export function clusters(main) {
  const places = new Map();
  const list = el("div");
  const wrong = el("div");
  let shown;
  fill(main, el("h1", null, "Backups"), wrong, list);
  return every(5000, async () => {
    try {
      const all = await ask("GET", "/clusters");
      const names = all.map((c) => c.name);
      if (names.join("\n") !== shown) {
        shown = names.join("\n");
        places.clear();
        for (const name of names) places.set(name, new Cluster(name));
        fill(list, names.length === 0 ? el("p.quiet", null, "There are no clusters.") : [...places.values()].map((c) => c.element));
      }
      fill(wrong);
      await Promise.all([...places.values()].map((c) => c.load()));
    } catch (error) {
      fill(wrong, failure(error));
    }
  });
}

// Cluster is a section of its own.
class Cluster {
  constructor(name) {
    this.name = name;
    this.head = el("div.head", null, el("h2", { id: `cluster-${name}` }, name));
    this.figures = el("div");
    this.wrong = el("div");
    this.note = el("p.quiet", { role: "status" });
    this.body = el("div");
    this.element = el("section", { "aria-labelledby": `cluster-${name}` }, this.head, this.figures, this.note, this.wrong, this.body);
  }

  async load() {
    try {
      const [wal, bases, drills] = await Promise.all([ask("GET", at`/clusters/${this.name}/wal`), ask("GET", at`/clusters/${this.name}/backups`), ask("GET", at`/clusters/${this.name}/drills`)]);
      this.show(wal, bases, drills);
    } catch (error) {
      this.shown = "";
      fill(this.body);
      fill(this.figures, error.status === 404 ? el("p.quiet", null, `None are to be told of: ${error.message}.`) : failure(error));
    }
  }

  show(wal, bases, drills) {
    const all = spans(bases, wal.durable_until);
    fill(this.head, this.head.firstChild, badge(wal));
    fill(
      this.figures,
      wal.error && failure({ title: "Not well", message: wal.error }),
      pairs(
        ["Newest stored commit", ...newest(wal)],
        ["Restorable from", all.length > 0 ? moment(new Date(all[0].from).toISOString()) : "nothing yet"],
        ["Restorable up to", all.length > 0 ? moment(new Date(all.at(-1).to).toISOString()) : undefined],
        ["WAL was lost", wal.gaps === 0 ? "never" : `${wal.gaps} ${wal.gaps === 1 ? "time" : "times"}`],
        ["Replication slot", slot(wal)],
        ["Last drill", ...lastDrill(drills)],
        ["Under way", wal.taking && `a base backup: ${wal.taking}`],
      ),
    );
    const shown = JSON.stringify([bases, drills]);
    if (shown === this.shown) return; // a button that has the focus keeps it
    this.shown = shown;
    fill(this.body, picture(all, bases), el("div.buttons", null, this.button()), bases.length > 0 ? this.table(bases, reaches(bases, wal.durable_until)) : el("p.quiet", null, "There is no base backup yet: without one nothing can be restored."), drills.length > 0 && el("details", null, el("summary", null, `Drills of ${this.name}`), drillTable(drills.slice(0, 10))));
  }

  button() {
    const why = unless("operator");
    const take = working(this.wrong, async () => {
      await ask("POST", at`/clusters/${this.name}/backups`);
      fill(this.note, "A base backup has been asked for: it shows in the list when it is done.");
    });
    return el("button", { type: "button", id: `take-${this.name}`, disabled: !!why, title: why, onclick: take }, "Take a base backup now");
  }

  // kept says whether a base backup is held, with the button to change that.
  kept(b) {
    const hold = at`/clusters/${this.name}/backups/${b.id}/hold`;
    if (!b.held) return ["by policy ", this.small(b, "Hold…", "operator", () => this.hold(b, hold))];
    const why = [b.held_by && `by ${b.held_by}`, b.held_for].filter(Boolean).join(": ");
    return [el("span.badge", { title: "it is never deleted, until it is released" }, "held"), why ? ` ${why} ` : " ", this.small(b, "Release", "admin", () => this.change(() => ask("DELETE", hold)))];
  }

  small(b, name, role, run) {
    const why = unless(role);
    return el("button.plain.small", { type: "button", id: `hold-${this.name}-${b.id}`, disabled: !!why, title: why, "aria-label": `${name} the base backup of ${b.started}`, onclick: working(this.wrong, run) }, name);
  }

  // hold asks why first.
  async hold(b, path) {
    const reason = el("input", { type: "text", id: "reason", maxlength: "1000", autocomplete: "off" });
    const until = el("input", { type: "checkbox", id: "latest" });
    const dialog = new Dialog("Hold a base backup", () => this.load());
    const wrong = el("div");
    const run = working(wrong, async () => {
      await ask("PUT", path, { reason: reason.value.trim(), until: until.checked ? "latest" : "" });
      dialog.close();
      this.changed();
    });
    dialog.open(
      el("p", null, "The base backup of ", moment(b.started), " is not deleted, whatever the policy says, until it is released."),
      el("p.typed", null, el("label", { for: "reason" }, "Reason"), reason),
      el("p.choice", null, until, el("label", { for: "latest" }, "Keep all WAL behind it too, so that every moment since can be restored; otherwise only the moment at which it was taken can be")),
      wrong,
      el("div.buttons", null, el("button", { type: "button", onclick: run }, "Hold"), el("button.plain", { type: "button", onclick: () => dialog.close() }, "Close")),
    );
    reason.focus();
  }

  async change(run) {
    await run();
    this.changed();
  }

  changed() {
    fill(this.note, "It is done, and shows in the list in a few seconds.");
  }

  table(bases, reach) {
    return table(
      `Base backups of ${this.name}`,
      ["Taken", "Took", "Size", "Stored", "Kind", "Databases", "Restores up to", "Kept"],
      bases.map((b, i) => [
        el("span", { title: b.id }, moment(b.started)),
        lasts((Date.parse(b.finished) - Date.parse(b.started)) / 1000),
        size(b.size),
        size(b.stored),
        b.since ? el("span", { title: `what has changed since ${b.since}` }, "incremental") : "full",
        String(b.databases),
        reach[i]?.last ? "now" : reach[i] ? moment(new Date(reach[i].to).toISOString()) : "nobody knows",
        this.kept(b),
      ]),
    );
  }
}

function badge(wal) {
  const says = { receiving: "receiving", elsewhere: "received by another node", disconnected: "not received", off: "not to be received" };
  return el(`span.badge.${wal.state}`, null, `WAL: ${says[wal.state] ?? wal.state}`);
}

function newest(wal) {
  if (!wal.durable_until) return ["nothing is stored"];
  if (wal.rpo_seconds === undefined) return [moment(wal.durable_until)];
  return [`${lasts(wal.rpo_seconds)} old${wal.rpo_promised_seconds ? `, of ${lasts(wal.rpo_promised_seconds)} at most` : ""} `, el("span.quiet", null, moment(wal.durable_until))];
}

function lastDrill(drills) {
  const [last] = drills;
  if (!last) return ["none"];
  return [el(`span.badge.${last.passed ? "done" : "failed"}`, null, last.passed ? "passed" : "failed"), " ", moment(last.finished), last.passed ? `: restored in ${lasts(last.rto_seconds ?? 0)}, ${lasts(last.rpo_seconds)} would have been lost` : `: ${last.error}`];
}

function drillTable(drills) {
  return table(
    "Restores that were done to see whether they can be: how long each took, and how much would have been lost",
    ["Begun", "Of", "To", "Took (RTO)", "Lost (RPO)", "Checked", "Outcome"],
    drills.map((d) => [moment(d.started), d.database || "all of it", d.target || "–", d.rto_seconds ? lasts(d.rto_seconds) : "–", lasts(d.rpo_seconds), `${d.databases} ${d.databases === 1 ? "database" : "databases"}`, d.passed ? "passed" : d.error || `${d.invalid_page_lines} invalid pages`]),
  );
}

function slot(wal) {
  if (!wal.slot_status) return undefined;
  return `${wal.slot_status}; the primary keeps ${size(wal.slot_retained_bytes ?? 0)} for it`;
}
