// The dialogs in which a tenant is restored to a moment, and swapped back.
import { ask, at, hasToken, newKey } from "./api.js";
import { Dialog } from "./dialog.js";
import { el, failure, fill, pairs, working } from "./dom.js";
import { follow, Progress } from "./jobs.js";
import { describe, inside, Slider } from "./timeline.js";
import { iso, lasts, moment, parse, say, size, zone } from "./when.js";

// typed is a field in which the tenant's name is typed, so that nobody does this to another.
function typed(name, changed) {
  const field = el("input", { type: "text", id: "typed", autocomplete: "off", autocapitalize: "none", spellcheck: "false", oninput: changed });
  return { field, element: el("p.typed", null, el("label", { for: "typed" }, "To confirm, type the tenant's name, ", el("b", null, name)), field) };
}

const nudges = [-3600, -60, -1, 1, 60, 3600];

function nudgeName(s) {
  const n = Math.abs(s);
  const unit = n >= 3600 ? "h" : n >= 60 ? "min" : "s";
  return `${s < 0 ? "−" : "+"}1 ${unit}`;
}

// restore opens the dialog. preset is where it begins: {to, swap}.
export function restore(of, preset) {
  new Restore(of, preset ?? {});
}

class Restore {
  constructor(of, preset) {
    this.of = of;
    this.name = of.tenant.name;
    this.dialog = new Dialog(`Restore ${this.name}`, of.changed);
    this.wrong = el("div");
    this.plan = el("div", { "aria-live": "polite" });
    this.note = el("p.quiet", { role: "status", id: "moment-note" });
    this.exact = el("input", { type: "text", id: "exact", autocomplete: "off", spellcheck: "false", "aria-describedby": "exact-hint moment-note", oninput: () => this.wrote() });
    this.as = el("input", { type: "text", id: "as", autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: `${this.name}_restored`, oninput: () => this.changed() });
    this.neutralise = el("select", { id: "neutralise", onchange: () => this.changed() }, el("option", { value: "auto" }, "neutralised, if it is an Odoo"), el("option", { value: "none" }, "as it was: it runs crons and sends mails"));
    this.beside = el("input", { type: "radio", name: "where", id: "beside", checked: !preset.swap, onchange: () => this.changed() });
    this.swap = el("input", { type: "radio", name: "where", id: "swap", checked: !!preset.swap, onchange: () => this.changed() });
    this.typed = typed(this.name, () => this.ready());
    this.dry = el("button", { type: "button", id: "dry", onclick: working(this.wrong, () => this.tries()) }, "Dry run");
    const begin = working(this.wrong, () => this.begins());
    this.go = el("button.danger", { type: "button", id: "go", disabled: true, onclick: (e) => begin(e).then(() => this.ready()) }, "Restore");
    this.slider = of.spans.length > 0 ? new Slider(of.spans, of.bases, (ms) => this.chose(ms)) : null;
    this.dialog.open(this.form());
    if (preset.to) {
      this.exact.value = preset.to;
      this.wrote();
    } else if (this.slider) {
      this.chose(this.slider.value);
    }
    this.changed();
  }

  form() {
    const besides = el("div.options", null, el("p", null, el("label", { for: "as" }, "Its name"), this.as), el("p", null, el("label", { for: "neutralise" }, "It is"), this.neutralise));
    this.besides = besides;
    return [
      el("fieldset", null, el("legend", null, "The moment"), this.moments(), el("p.exact", null, el("label", { for: "exact" }, "Exact moment"), this.exact, el("button.plain", { type: "button", onclick: () => this.writes("latest") }, "Latest")), el("p.quiet", { id: "exact-hint" }, "With its offset from UTC, as above; or 2026-01-31 10:42:00 Europe/Brussels, latest, lsn:16/B374D848, xid:1234, name:LABEL."), this.note),
      el("fieldset", null, el("legend", null, "Where it goes"), el("p.choice", null, this.beside, el("label", { for: "beside" }, "Beside: a new tenant; ", el("b", null, this.name), " stays as it is")), el("p.choice", null, this.swap, el("label", { for: "swap" }, "In its place: ", el("b", null, this.name), " goes on with it; what it has now is kept, and can be swapped back")), besides),
      this.plan,
      this.typed.element,
      this.wrong,
      el("div.buttons", null, this.dry, this.go, el("button.plain", { type: "button", onclick: () => this.dialog.close() }, "Close")),
    ];
  }

  moments() {
    if (!this.slider) return el("p.quiet", null, describe([]));
    const zoom = el("select", { id: "zoom", onchange: (e) => this.slider.show(e.target.value === "all" ? "all" : Number(e.target.value)) }, [["all", "all that can be restored"], ["86400", "a day"], ["3600", "an hour"], ["300", "five minutes"]].map(([value, text]) => el("option", { value }, text)));
    return el(
      "div",
      null,
      el("label", { for: "slider" }, `Moment to restore to, in ${zone()}`),
      this.slider.element,
      el("p.quiet", { id: "spans" }, describe(this.of.spans), " Marks are base backups."),
      el("div.nudges", null, el("label", null, "The line shows ", zoom), el("span", { role: "group", "aria-label": "Move the moment" }, nudges.map((s) => el("button.plain", { type: "button", onclick: () => this.nudge(s) }, nudgeName(s))))),
    );
  }

  nudge(seconds) {
    const now = parse(this.exact.value);
    const ms = (Number.isNaN(now) ? this.slider.value : now) + seconds * 1000;
    this.slider.put(ms);
    this.chose(ms);
  }

  // chose writes what the slider says into the field.
  chose(ms) {
    this.exact.value = iso(ms);
    this.judge(ms);
    this.changed();
  }

  writes(text) {
    this.exact.value = text;
    this.wrote();
    this.exact.focus();
  }

  // wrote has the slider follow the field, as far as it can be read here.
  wrote() {
    const ms = parse(this.exact.value);
    if (!Number.isNaN(ms)) this.slider?.put(ms);
    this.judge(ms);
    this.changed();
  }

  judge(ms) {
    const { spans } = this.of;
    let says = "";
    if (Number.isNaN(ms)) says = this.exact.value.trim() === "" ? "Say which moment." : "The slider does not follow this: the dry run says what it means.";
    else if (spans.length > 0 && !inside(spans, ms)) {
      const before = spans.filter((s) => s.to < ms).at(-1)?.to;
      const after = spans.find((s) => s.from > ms)?.from;
      const near = [before && `the last before it is ${iso(before)}`, after && `the first after it is ${iso(after)}`].filter(Boolean);
      says = `It is not known that this moment can be restored: ${near.join(", ")}.`;
    }
    this.note.textContent = says;
  }

  // asked is what the API is asked for.
  asked() {
    const body = { to: this.exact.value.trim() };
    if (this.swap.checked) return { ...body, swap: true };
    if (this.as.value.trim()) body.as = this.as.value.trim();
    return { ...body, neutralise: this.neutralise.value };
  }

  // changed takes back what the last dry run has allowed.
  changed() {
    this.besides.hidden = this.swap.checked;
    this.tried = undefined;
    fill(this.plan);
    this.ready();
  }

  ready() {
    const allowed = this.tried !== undefined;
    this.typed.element.hidden = !allowed || !this.swap.checked;
    this.go.disabled = !allowed || (this.swap.checked && this.typed.field.value !== this.name);
    this.go.title = allowed ? "" : "The dry run comes first.";
    this.go.textContent = this.swap.checked ? "Restore, and swap" : "Restore beside";
  }

  // tries makes the dry run, of which the answer is of use only if nothing was changed meanwhile.
  async tries() {
    this.changed();
    const asked = JSON.stringify(this.asked());
    const plan = await ask("POST", at`/tenants/${this.name}/restore?dry_run=true`, JSON.parse(asked));
    if (asked !== JSON.stringify(this.asked())) return;
    this.tried = { asked, key: newKey() };
    fill(
      this.plan,
      el("h3", null, "It can be done"),
      pairs(
        ["Target", plan.target, Number.isNaN(parse(plan.target)) ? null : el("span.quiet", null, ` ${say(parse(plan.target))} in ${zone()}`)],
        ["Begins with", `base backup ${plan.base_backup}, taken `, moment(plan.base_backup_taken)],
        ["Reads", `${size(plan.fetch_bytes)} of it, and at most ${size(plan.wal_bytes)} of WAL`],
        ["Room on disk", `about ${size(plan.room_bytes)}, for the time being`],
        ["Takes", `about ${lasts(plan.about_seconds)}, an estimate`],
        ["Becomes", plan.swap ? `the database of tenant ${plan.name}` : `tenant ${plan.name} on cluster ${plan.cluster}`],
      ),
      el("ol.steps", null, (plan.steps ?? []).map((s) => el("li", null, s))),
    );
    this.ready();
    this.go.scrollIntoView({ block: "nearest" });
  }

  // begins asks for what the dry run was of. If that is not answered it can be pressed again:
  // with the same key it is not done twice. Without a token there is none, and the dry run
  // comes first again.
  async begins() {
    if (!this.tried) return; // something was changed
    const { asked, key } = this.tried;
    if (!hasToken()) this.changed();
    const made = await ask("POST", at`/tenants/${this.name}/restore`, JSON.parse(asked), key);
    const progress = new Progress(made.operation);
    const done = el("div");
    const close = el("button.plain", { type: "button", onclick: () => this.dialog.close() }, "Close: the job goes on");
    this.dialog.keep = !!made.password;
    this.dialog.becomes(`Restoring ${this.name}`, progress.element, made.password && told(made), done, el("div.buttons", null, close));
    try {
      const job = await follow(made.operation.id, (j) => progress.show(j), () => this.dialog.stopped);
      if (job) this.after(job, made, JSON.parse(asked).to, done, close);
    } catch (error) {
      fill(done, failure(error));
    }
  }

  // after offers what can be done next.
  after(job, made, to, done, close) {
    close.textContent = "Close";
    if (job.state !== "done") return;
    const next = (text, run) =>
      el(
        "button",
        {
          type: "button",
          onclick: () => {
            this.dialog.close();
            run();
          },
        },
        text,
      );
    const notes = [job.result?.rights, job.result?.files].filter(Boolean).map((text) => el("p", null, `Note: ${text}.`));
    if (made.swap) fill(done, ...notes, el("p", null, `${this.name} goes on with what it was at ${made.target}. What it had is kept.`), el("div.buttons", null, next("Undo the swap…", () => undo(this.name, this.of.changed))));
    else
      fill(
        done,
        ...notes,
        el("p", null, `Tenant ${made.name} is what ${this.name} was at ${made.target}. To have it in the tenant's place, the same moment is restored again, and swapped in.`),
        el("div.buttons", null, next(`Show ${made.name}`, () => (location.hash = `#/tenants/${encodeURIComponent(made.name)}`)), next(`Swap this moment in for ${this.name}…`, () => this.of.again({ to, swap: true }))),
      );
  }
}

// told shows a password, which is told once.
function told(made) {
  return el("div.told", null, pairs(["Tenant", made.name], ["User", made.user], ["Password", el("code", null, made.password)]), el("p", null, "The password is told once: keep it before you close this."));
}

// undo opens the dialog that swaps back.
export async function undo(name, changed) {
  const dialog = new Dialog(`Undo the swap of ${name}`, changed);
  const wrong = el("div");
  const steps = el("div", { "aria-live": "polite" });
  let allowed = false;
  const go = el("button.danger", { type: "button", id: "go", disabled: true }, "Swap back");
  const ready = () => (go.disabled = !allowed || confirm.field.value !== name);
  const confirm = typed(name, ready);
  const close = el("button.plain", { type: "button", onclick: () => dialog.close() }, "Close");
  const run = working(wrong, async () => {
    confirm.field.value = ""; // undone twice it is done: where no answer comes the name is typed again
    const made = await ask("POST", at`/tenants/${name}/restore/undo`);
    const progress = new Progress(made.operation);
    const done = el("div", { role: "status" });
    dialog.becomes(`Swapping ${name} back`, progress.element, done, el("div.buttons", null, close));
    const job = await follow(made.operation.id, (j) => progress.show(j), () => dialog.stopped);
    if (job?.state === "done") fill(done, el("p", null, `${name} has the database back that it had before. The other one is kept: to undo this, swap again.`));
  });
  go.addEventListener("click", (e) => run(e).then(ready));
  dialog.open(el("p", null, `${name} gets the database back that it had before it was swapped; its clients are held for a moment. The one that it has now is kept.`), steps, confirm.element, wrong, el("div.buttons", null, go, close));
  try {
    const plan = await ask("POST", at`/tenants/${name}/restore/undo?dry_run=true`);
    allowed = true;
    ready();
    fill(steps, el("ol.steps", null, (plan.steps ?? []).map((s) => el("li", null, s))));
  } catch (error) {
    fill(wrong, failure(error));
  }
}
