// Clusters: how far their WAL is stored, and their base backups.
import { ask, at, unless } from "./api.js";
import { el, every, failure, fill, pairs, table, working } from "./dom.js";
import { picture, reaches, spans } from "./timeline.js";
import { lasts, moment, size } from "./when.js";

// clusters shows all.
export function clusters(main) {
  const places = new Map();
  const list = el("div");
  const wrong = el("div");
  fill(main, el("h1", null, "Backups"), wrong, list);
  return every(5000, async () => {
    try {
      const all = await ask("GET", "/clusters");
      const names = all.map((c) => c.name);
      if (names.join("\n") !== [...places.keys()].join("\n")) {
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
      const [wal, bases] = await Promise.all([ask("GET", at`/clusters/${this.name}/wal`), ask("GET", at`/clusters/${this.name}/backups`)]);
      this.show(wal, bases);
    } catch (error) {
      this.shown = "";
      fill(this.body);
      fill(this.figures, error.status === 404 ? el("p.quiet", null, `None are to be told of: ${error.message}.`) : failure(error));
    }
  }

  show(wal, bases) {
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
        ["Under way", wal.taking && `a base backup: ${wal.taking}`],
      ),
    );
    const shown = JSON.stringify(bases);
    if (shown === this.shown) return; // a button that has the focus keeps it
    this.shown = shown;
    fill(this.body, picture(all, bases), el("div.buttons", null, this.button()), bases.length > 0 ? this.table(bases, reaches(bases, wal.durable_until)) : el("p.quiet", null, "There is no base backup yet: without one nothing can be restored."));
  }

  button() {
    const why = unless("operator");
    const take = working(this.wrong, async () => {
      await ask("POST", at`/clusters/${this.name}/backups`);
      fill(this.note, "A base backup has been asked for: it shows in the list when it is done.");
    });
    return el("button", { type: "button", id: `take-${this.name}`, disabled: !!why, title: why, onclick: take }, "Take a base backup now");
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
        reach[i]?.last ? "the newest stored commit" : reach[i] ? moment(new Date(reach[i].to).toISOString()) : "nobody knows",
        b.held ? el("span.badge", { title: "it is never deleted, until it is released" }, "held") : "as the policy says",
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
  return [`${lasts(wal.rpo_seconds)} old `, el("span.quiet", null, moment(wal.durable_until))];
}

function slot(wal) {
  if (!wal.slot_status) return undefined;
  return `${wal.slot_status}; the primary keeps ${size(wal.slot_retained_bytes ?? 0)} for it`;
}
