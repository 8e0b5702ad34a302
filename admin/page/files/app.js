// Signs in, and shows what the address says behind the #.
import { hasToken, signIn, signOut, who } from "./api.js";
import { clusters } from "./clusters.js";
import { el, failure, fill, working } from "./dom.js";
import { tenant } from "./tenant.js";
import { tenants } from "./tenants.js";
import { isUTC, setUTC, zone } from "./when.js";

const top = document.getElementById("top");
const main = document.getElementById("main");

let leave = () => {}; // stops what is shown

// views are what can be shown; each returns what stops it.
function view(address) {
  const [, kind = "clusters", name = ""] = address.split("/");
  if (kind === "tenants" && name) return () => tenant(main, decoded(name));
  if (kind === "tenants") return () => tenants(main);
  return () => clusters(main);
}

function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // it was typed
  }
}

function show() {
  leave();
  const address = location.hash.slice(1) || "/clusters";
  header(address);
  fill(main);
  leave = view(address)();
  document.title = `${main.querySelector("h1")?.textContent ?? ""} – Howdah`;
}

function header(address) {
  const link = (to, text) => el("a", { href: `#${to}`, "aria-current": address.startsWith(to) && "page" }, text);
  const zones = el(
    "select",
    {
      id: "zone",
      onchange: (e) => {
        setUTC(e.target.value === "UTC");
        show();
      },
    },
    [false, true].map((utc) => el("option", { value: utc ? "UTC" : "", selected: utc === isUTC() }, utc ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone)),
  );
  fill(
    top,
    el("span.brand", null, "Howdah"),
    el("nav", { "aria-label": "Views" }, link("/clusters", "Backups"), link("/tenants", "Tenants")),
    el("label.zone", null, "Times are of ", zones),
    el("span.who", null, `${who().name}, ${who().role}`),
    hasToken() && el("button.plain", { type: "button", onclick: leaves }, "Sign out"),
  );
}

function leaves() {
  signOut();
  location.reload();
}

// login asks for a token, and says what is wrong with the last one.
function login(problem) {
  leave();
  leave = () => {};
  signOut();
  for (const dialog of document.querySelectorAll("dialog")) if (!dialog.querySelector(".told")) dialog.close(); // a password is told once
  document.title = "Sign in – Howdah";
  fill(top, el("span.brand", null, "Howdah"));
  const wrong = el("div", null, problem && failure(problem));
  const token = el("input", { type: "password", id: "token", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "where" });
  const sign = working(wrong, () => begin(token.value.trim()));
  const button = el("button", { type: "submit" }, "Sign in");
  fill(
    main,
    el("h1", null, "Sign in"),
    el(
      "form.login",
      {
        onsubmit: (e) => {
          e.preventDefault();
          sign({ currentTarget: button });
        },
      },
      el("label", { for: "token" }, "Token"),
      token,
      el("p.quiet", { id: "where" }, "One of `howdah token create`, or what is in .howdah/token where `howdah up` runs. It is kept until this tab is closed."),
      button,
      wrong,
    ),
  );
  token.focus();
}

async function begin(token) {
  await signIn(token, login);
  show();
}

addEventListener("hashchange", () => {
  if (!who().role) return;
  show();
  main.focus();
});
document.getElementById("skip").addEventListener("click", (e) => {
  e.preventDefault(); // what is behind the # says what is shown
  main.focus();
});

// arrive goes on with the token that the tab has, or a certificate, once Howdah answers.
async function arrive() {
  try {
    await begin("");
  } catch (problem) {
    if (problem.status === 401 && !hasToken()) return login(null);
    if (problem.status >= 400 && problem.status < 500) return login(problem);
    fill(main, el("h1", null, "Howdah"), failure(problem), el("p.quiet", null, "It is asked again every few seconds."));
    setTimeout(arrive, 2000);
  }
}

arrive();
