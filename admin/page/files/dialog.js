// A window over the page.
import { el, fill } from "./dom.js";

// Dialog is a window over the page that is there until it is closed.
export class Dialog {
  constructor(title, closed) {
    this.stopped = false;
    this.heading = el("h2", { id: "dialog-title", tabindex: "-1" }, title);
    this.body = el("div");
    this.element = el("dialog", { "aria-labelledby": "dialog-title" }, this.heading, this.body);
    this.element.addEventListener("cancel", (e) => {
      if (this.keep) e.preventDefault(); // a password is told once: Escape does not lose it
    });
    this.element.addEventListener("close", () => {
      this.stopped = true;
      this.element.remove();
      closed();
    });
    document.body.append(this.element);
  }

  open(...contents) {
    fill(this.body, ...contents);
    this.element.showModal();
  }

  close() {
    this.element.close();
  }

  // becomes shows what comes after what was asked for.
  becomes(title, ...contents) {
    this.heading.textContent = title;
    fill(this.body, ...contents);
    this.heading.focus();
  }
}
