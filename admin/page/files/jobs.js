// Jobs: how far they are, until they have ended.
import { ask, at, may } from "./api.js";
import { el, failure, fill, working } from "./dom.js";
import { lasts, moment } from "./when.js";

export const ended = (job) => ["done", "failed", "cancelled"].includes(job.state);

const states = { queued: "waits for its turn", running: "under way", attention: "needs an operator", done: "done", failed: "failed, and was undone", cancelled: "cancelled, and was undone" };

// about says what a job does.
export function about(job) {
  const target = job.result?.target ? ` to ${job.result.target}` : "";
  switch (job.kind) {
    case "restore":
      return `restore of ${job.result?.tenant ?? job.tenant}${target}${job.result?.tenant && job.result.tenant !== job.tenant ? `, as ${job.tenant}` : ""}`;
    case "unrestore":
      return `swap back of ${job.tenant}`;
  }
  return `${job.kind} of ${job.tenant}`;
}

// Progress shows one job, and has buttons to steer it.
export class Progress {
  constructor(job) {
    this.state = el("p.state", { role: "status" });
    this.bar = el("progress", { max: 1, "aria-label": `Progress of the ${about(job)}` });
    this.trouble = el("div");
    this.buttons = el("div.buttons");
    this.element = el("div.job", null, this.state, this.bar, this.trouble, this.buttons);
    this.show(job);
  }

  show(job) {
    const step = !ended(job) && job.step ? `: ${job.step}` : "";
    const began = job.started ?? job.created;
    const took = ended(job) && job.finished ? ` after ${lasts((Date.parse(job.finished) - Date.parse(began)) / 1000)}` : "";
    const told = `${about(job)} ${states[job.state] ?? job.state}${step}${job.cancel && !ended(job) ? " (it is being cancelled)" : ""}${took}`;
    if (told !== this.told) fill(this.state, told);
    this.told = told;
    this.bar.hidden = ended(job);
    if (job.total > 0) this.bar.value = job.done / job.total;
    const steered = `${job.state}${job.cancel}${job.error ?? ""}`;
    if (steered === this.steered) return;
    this.steered = steered;
    fill(this.trouble, job.error && failure({ title: job.state === "attention" ? "It has failed several times" : "What went wrong last", message: job.error }));
    fill(this.buttons, !ended(job) && !job.cancel && may("admin") && el("button.plain", { type: "button", onclick: this.steer(job, "cancel") }, "Cancel the job"), job.state === "attention" && may("admin") && el("button", { type: "button", onclick: this.steer(job, "resume") }, "Try again"));
  }

  steer(job, verb) {
    return working(this.trouble, async () => this.show(await ask("POST", at`/jobs/${job.id}/${verb}`)));
  }
}

// follow asks for a job until it has ended, or stopped is true, and hands it on. While
// Howdah does not answer it goes on asking.
export async function follow(id, tell, stopped) {
  for (;;) {
    await new Promise((done) => setTimeout(done, 600));
    if (stopped()) return null;
    let job;
    try {
      job = await ask("GET", at`/jobs/${id}`);
    } catch (error) {
      if (error.status >= 400 && error.status < 500) throw error;
      continue;
    }
    if (stopped()) return null;
    tell(job);
    if (ended(job)) return job;
  }
}

// row is a job in a list.
export function row(job) {
  return el("li", null, el("span", null, about(job), " ", el("span.badge", { class: `badge ${job.state}` }, states[job.state] ?? job.state)), el("span.quiet", null, moment(job.created), ` by ${job.actor}`, !ended(job) && job.total > 0 ? `, ${Math.floor((100 * job.done) / job.total)} % ${job.step}` : ""), job.error && el("span.wrong", null, job.error));
}
