// Tenants: a list that can be searched.
import { ask } from "./api.js";
import { el, failure, fill, table } from "./dom.js";

const most = 200;

export function tenants(main) {
  const found = el("div", { "aria-live": "polite" });
  let asked = 0;
  let timer = 0;
  const load = async (search) => {
    const turn = ++asked;
    try {
      const all = await ask("GET", `/tenants?limit=${most}&search=${encodeURIComponent(search)}`);
      if (turn === asked) fill(found, list(all));
    } catch (error) {
      if (turn === asked) fill(found, failure(error));
    }
  };
  const search = el("input", {
    type: "search",
    id: "search",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => load(search.value.trim()), 150);
    },
  });
  fill(main, el("h1", null, "Tenants"), el("p", null, el("label", { for: "search" }, "Search"), " ", search), found);
  load("");
  return () => {
    clearTimeout(timer);
    asked++;
  };
}

function list(all) {
  if (all.length === 0) return el("p.quiet", null, "There is no such tenant.");
  const rows = all.map((t) => [el("a", { href: `#/tenants/${encodeURIComponent(t.name)}` }, t.name), el(`span.badge.${t.state}`, null, t.state), t.cluster, t.tier || "–", t.source === "file" ? "howdah.toml" : "the catalog"]);
  return [table("Tenants", ["Name", "State", "Cluster", "Tier", "From"], rows), all.length === most && el("p.quiet", null, `These are the first ${most}: search for others.`)];
}
