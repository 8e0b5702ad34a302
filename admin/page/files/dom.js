// Elements, made from text that stays text.

// el makes an element: el("p.quiet", {title: "x"}, "text", child). A property that begins
// with "on" is a listener; false, null and undefined are left out, as children too.
export function el(kind, properties, ...children) {
  const [name, ...classes] = kind.split(".");
  const e = document.createElement(name);
  e.classList.add(...classes);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (key in e && typeof value !== "string") e[key] = value;
    else e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...shown(children));
  return e;
}

// shown are children without those that are left out.
const shown = (children) => children.flat().filter((c) => c !== false && c !== null && c !== undefined);

// fill gives an element other contents. The keyboard's focus stays on what has the same id.
export function fill(e, ...children) {
  const id = e.contains(document.activeElement) ? document.activeElement.id : "";
  e.replaceChildren(...shown(children));
  if (id) document.getElementById(id)?.focus({ preventScroll: true });
}

// pairs is a list of names and what they are; what is undefined is left out.
export function pairs(...rows) {
  return el("dl", null, rows.filter(([, value]) => value !== undefined && value !== null && value !== false && value !== "").map(([name, ...value]) => el("div", null, el("dt", null, name), el("dd", null, value))));
}

// table is one whose rows become cards where there is no room for it.
export function table(caption, columns, rows) {
  return el(
    "table",
    null,
    el("caption", null, caption),
    el("thead", null, el("tr", null, columns.map((c) => el("th", { scope: "col" }, c)))),
    el("tbody", null, rows.map((row) => el("tr", null, row.map((cell, i) => el("td", { "data-label": columns[i] }, cell))))),
  );
}

// failure shows an error, as the API has said it.
export function failure(error) {
  return el("div.failure", { role: "alert" }, el("strong", null, error.title ?? "It failed"), el("span", null, error.message), ...(error.details ?? []).map((d) => el("span", null, d)));
}

// working has a button do something that takes a moment, once at a time; what goes wrong is
// shown in the place for it.
export function working(place, run) {
  return async (event) => {
    const button = event.currentTarget;
    if (button.disabled) return;
    button.disabled = true;
    fill(place);
    try {
      await run();
    } catch (error) {
      fill(place, failure(error));
    } finally {
      button.disabled = false;
    }
  };
}

// every runs something now and then until what it returns is called; not while nobody looks.
export function every(ms, run) {
  let timer = 0;
  let stopped = false;
  const turn = async () => {
    if (!document.hidden) await run();
    if (!stopped) timer = setTimeout(turn, ms);
  };
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
