// The API, asked with the token that was given, or with what certificate the browser shows.

const ranks = ["viewer", "operator", "admin"];

let me = { name: "", role: "" };

export const who = () => me;

// may reports whether who sits here has at least a role.
export const may = (role) => ranks.indexOf(me.role) >= ranks.indexOf(role);

// unless is why a button cannot be used: undefined if it can.
export const unless = (role) => (may(role) ? undefined : `This takes the role ${role}; ${me.name} has ${me.role}.`);

// Problem is what the API has answered instead.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The answer was ${status}.`);
    this.status = status;
    this.title = body.title;
    this.details = (body.errors ?? []).filter((e) => e.message && !this.message.includes(e.message)).map((e) => (e.location ? `${e.location}: ${e.message}` : e.message));
  }
}

// signedOut is what is called when the API does not know who asks any more.
let signedOut = () => {};

// signIn asks who this is; token "" is that a certificate says it.
export async function signIn(token, onSignedOut) {
  signedOut = () => {};
  if (token) sessionStorage.setItem("token", token);
  try {
    me = await ask("GET", "/me");
  } catch (problem) {
    if (token) signOut();
    throw problem;
  }
  signedOut = onSignedOut;
}

export function signOut() {
  sessionStorage.removeItem("token");
  me = { name: "", role: "" };
}

export const hasToken = () => !!sessionStorage.getItem("token");

// newKey is of something that is to be done once, however often it is asked for.
export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

// ask makes a request. Who asks too often waits, and asks again.
export async function ask(method, path, body, key) {
  for (let again = 3; ; again--) {
    const answer = await request(method, path, body, key);
    if (answer.status === 429 && again > 0 && hasToken()) {
      await new Promise((done) => setTimeout(done, 1000 * Math.min(Number(answer.headers.get("Retry-After")) || 1, 10)));
      continue;
    }
    return read(answer);
  }
}

async function request(method, path, body, key) {
  const headers = {};
  if (hasToken()) headers.Authorization = `Bearer ${sessionStorage.getItem("token")}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key && hasToken()) headers["Idempotency-Key"] = key;
  try {
    return await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
  } catch {
    const unknown = method === "GET" ? "" : " What was asked for may be under way all the same: look at the jobs before you ask again.";
    throw new Problem(0, { title: "Howdah does not answer", detail: `It cannot be reached, or has been stopped; this page goes on when it is back.${unknown}` });
  }
}

async function read(answer) {
  const text = await answer.text();
  let body = {};
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = { detail: text };
  }
  if (answer.ok) return body;
  const problem = new Problem(answer.status, body ?? {});
  if (answer.status === 401) signedOut(problem);
  throw problem;
}

// at is a path with names in it.
export const at = (parts, ...names) => parts.reduce((path, part, i) => path + part + (i < names.length ? encodeURIComponent(names[i]) : ""), "");
