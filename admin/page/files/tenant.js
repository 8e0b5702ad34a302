// One tenant: what it can go back to, what is kept of it, and its exports.
import { ask, at, unless } from "./api.js";
import { el, every, failure, fill, pairs, table, working } from "./dom.js";
import { follow, Progress, row } from "./jobs.js";
import { restore, undo } from "./restore.js";
import { picture, spans } from "./timeline.js";
import { lasts, moment, size } from "./when.js";

export function tenant(main, name) {
  const view = new Tenant(name);
  fill(main, el("p", null, el("a", { href: "#/tenants" }, "All tenants")), el("h1", null, name), view.element);
  const stop = every(5000, () => view.load());
  view.exports();
  return () => {
    view.stopped = true;
    stop();
  };
}

// backups are what is known of how the tenant's stand.
function backups(b) {
  return [
    ["Size, when it was backed up", b.size && size(b.size)],
    ["WAL in a day", b.wal_bytes_day !== undefined && b.wal_bytes_day !== null && size(b.wal_bytes_day)],
    ["A restore takes", b.rto_seconds && `about ${lasts(b.rto_seconds)}${b.rto_promised_seconds ? `, and may take ${lasts(b.rto_promised_seconds)}` : ""}`],
    ["Last export", b.exported && moment(b.exported)],
    ["Last drill that passed", b.drilled && moment(b.drilled)],
  ];
}

// since cuts off what is before the first base backup that has the tenant's database.
function since(all, oldest) {
  if (!oldest) return all;
  const first = Date.parse(oldest);
  return all.filter((s) => s.to >= first).map((s) => ({ from: Math.max(s.from, first), to: s.to }));
}

class Tenant {
  constructor(name) {
    this.name = name;
    this.stopped = false;
    this.facts = el("div");
    this.window = el("div");
    this.wrong = el("div");
    this.kept = el("div");
    this.jobs = el("div");
    this.exported = el("div");
    this.exporting = el("div");
    const may = unless("admin");
    this.button = el("button", { type: "button", id: "restore", disabled: true, title: may, onclick: () => this.restores() }, "Restore to a moment…");
    this.element = el(
      "div",
      null,
      this.facts,
      el("section", { "aria-labelledby": "back" }, el("h2", { id: "back" }, "Back to a moment"), this.window, el("div.buttons", null, this.button), may && el("p.quiet", null, may), this.wrong, this.kept, this.jobs),
      el("section", { "aria-labelledby": "exports" }, el("h2", { id: "exports" }, "Exports"), el("div.buttons", null, this.exportButton()), this.exporting, this.exported),
    );
  }

  async load() {
    if (this.stopped) return;
    try {
      this.tenant = await ask("GET", at`/tenants/${this.name}`);
    } catch (error) {
      this.button.disabled = true;
      fill(this.facts, failure(error));
      return;
    }
    const t = this.tenant;
    fill(this.facts, pairs(["State", el(`span.badge.${t.state}`, null, t.state)], ["Cluster", t.cluster], ["Database", t.database], ["User", t.user], ["Tier", t.tier], ["Made", t.created && moment(t.created)], ...backups(t.backups ?? {})));
    await Promise.all([this.loadWindow(), this.loadKept(), this.loadJobs()]);
  }

  async loadWindow() {
    try {
      const [wal, bases] = await Promise.all([ask("GET", at`/clusters/${this.tenant.cluster}/wal`), ask("GET", at`/clusters/${this.tenant.cluster}/backups`)]);
      this.bases = bases;
      this.spans = since(spans(bases, wal.durable_until), this.tenant.backups?.oldest);
      fill(this.window, picture(this.spans, bases));
    } catch (error) {
      this.bases = [];
      this.spans = [];
      fill(this.window, failure(error));
    }
    this.button.disabled = !!unless("admin");
  }

  // loadKept shows what was swapped out: it has the tenant's own id.
  async loadKept() {
    const all = (await this.quietly(this.kept, () => ask("GET", "/dropped"))) ?? [];
    const kept = all.filter((d) => d.name === this.name && d.id === this.tenant.id);
    const shown = JSON.stringify(kept);
    if (shown === this.keptShown) return;
    this.keptShown = shown;
    if (kept.length === 0) return fill(this.kept);
    const why = unless("admin");
    fill(
      this.kept,
      el("h3", null, "Kept from a swap"),
      el("ul", null, kept.map((d) => el("li", null, "the database of before ", moment(d.dropped), ", until ", moment(d.purge)))),
      el("div.buttons", null, el("button", { type: "button", id: "undo", disabled: !!why, title: why, onclick: () => undo(this.name, () => this.load()) }, "Undo the swap…")),
    );
  }

  // loadJobs shows what has been restored of the tenant, beside it too.
  async loadJobs() {
    const all = (await this.quietly(this.jobs, () => ask("GET", "/jobs?limit=200"))) ?? [];
    const ours = all.filter((j) => ["restore", "unrestore", "export"].includes(j.kind) && (j.tenant === this.name || j.result?.tenant === this.name || j.tenant === `${this.name}_restored`)).slice(0, 8);
    const shown = JSON.stringify(ours);
    if (shown === this.jobsShown) return;
    this.jobsShown = shown;
    fill(this.jobs, ours.length > 0 && [el("h3", null, "Jobs"), el("ul.jobs", null, ours.map(row))]);
  }

  async quietly(place, run) {
    try {
      return await run();
    } catch (error) {
      fill(place, failure(error));
      return null;
    }
  }

  restores(preset) {
    restore({ tenant: this.tenant, spans: this.spans ?? [], bases: this.bases ?? [], changed: () => this.load(), again: (p) => this.restores(p) }, preset);
  }

  exportButton() {
    const why = unless("operator");
    const run = working(this.exported, async () => {
      const made = await ask("POST", at`/tenants/${this.name}/exports`);
      const progress = new Progress(made.operation);
      fill(this.exporting, progress.element);
      await follow(made.operation.id, (job) => progress.show(job), () => this.stopped);
      await this.exports();
    });
    return el("button", { type: "button", id: "export", disabled: !!why, title: why, onclick: run }, "Export now");
  }

  async exports() {
    try {
      const all = await ask("GET", at`/tenants/${this.name}/exports`);
      const rows = all.map((x) => [moment(x.taken), size(x.size), size(x.stored), `PostgreSQL ${x.server}`, x.id]);
      fill(this.exported, rows.length === 0 ? el("p.quiet", null, "There are none.") : table(`Exports of ${this.name}`, ["Taken", "Size", "Stored", "Of", "Id"], rows));
    } catch (error) {
      fill(this.exported, failure(error));
    }
  }
}
