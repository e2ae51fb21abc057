// Node Tally: a Heroku add-on in another language, on nothing but Node's standard library. It sells counters: a POST to
// the URL in NODE_TALLY_URL counts one more, a GET tells how many. What it knows is gone when it stops.
//
// Plan `instant` is provisioned within Heroku's request; every other plan in the background, as slow work must be.
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("addon-manifest.json", import.meta.url)));
const { PORT = "5000", HEROKU_CLIENT_SECRET = "simulated-client-secret" } = process.env;
const HEROKU_API_URL = process.env.HEROKU_API_URL ?? "https://api.heroku.com";
const HEROKU_ID_URL = process.env.HEROKU_ID_URL ?? "https://id.heroku.com";
const PASSWORD = process.env.ADDON_PASSWORD ?? manifest.api.password;
const SSO_SALT = process.env.ADDON_SSO_SALT ?? manifest.api.sso_salt;
const SESSION_KEY = randomBytes(32);
const SSO_WINDOW_SECONDS = 120;
const SESSION_SECONDS = 90 * 60;
const REFRESH_BEFORE_MS = 5 * 60_000;
const PLANS = { instant: 100, standard: 10_000, premium: 1_000_000 }; // how far each counts

const resources = new Map(); // by Heroku's uuid; what was removed stays, so that no late repeat brings it back

// Proofs

const digest = (algorithm, ...parts) => createHash(algorithm).update(parts.join(":")).digest("hex");
// Of digests, so that not even the lengths show in the time it takes.
const isSame = (one, other) =>
  timingSafeEqual(createHash("sha256").update(one).digest(), createHash("sha256").update(other).digest());
const isHeroku = (request) =>
  isSame(request.headers.authorization ?? "", `Basic ${Buffer.from(`${manifest.id}:${PASSWORD}`).toString("base64")}`);

function isCustomer(form) {
  const { resource_id: uuid = "", timestamp = "" } = form;
  const age = Date.now() / 1000 - Number(timestamp);
  if (!/^\d+$/.test(timestamp) || Math.abs(age) > SSO_WINDOW_SECONDS) return false;
  // The stronger proof, where there is one, also covers who the customer is.
  return form.user_scoped_resource_token !== undefined
    ? isSame(form.user_scoped_resource_token, digest("sha256", uuid, SSO_SALT, timestamp, form.user_id, form.email))
    : isSame(form.resource_token ?? "", digest("sha1", uuid, SSO_SALT, timestamp));
}

const signature = (text) => createHmac("sha256", SESSION_KEY).update(text).digest("hex");

function sessionCookie(uuid) {
  const text = `${uuid}.${Math.floor(Date.now() / 1000) + SESSION_SECONDS}`;
  return `tally=${text}.${signature(text)}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${SESSION_SECONDS}`;
}

function signedIn(request) {
  const [, uuid, until, proof] = /(?:^|; )tally=([\w-]+)\.(\d+)\.(\w+)/.exec(request.headers.cookie ?? "") ?? [];
  if (!uuid || !isSame(proof, signature(`${uuid}.${until}`)) || Number(until) < Date.now() / 1000) return undefined;
  return resources.get(uuid);
}

// What we ask of Heroku

async function ask(url, options) {
  const answer = await fetch(url, { ...options, redirect: "error", signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`Heroku answered ${answer.status} to ${options.method} ${new URL(url).pathname}.`);
  return answer.json();
}

async function obtainTokens(resource, proof) {
  const body = new URLSearchParams({ ...proof, client_secret: HEROKU_CLIENT_SECRET });
  const tokens = await ask(`${HEROKU_ID_URL}/oauth/token`, { method: "POST", body });
  resource.accessToken = tokens.access_token;
  resource.refreshToken = tokens.refresh_token ?? resource.refreshToken;
  resource.expiresAt = Date.now() + tokens.expires_in * 1000;
}

async function platform(resource, method, path, body) {
  if (resource.expiresAt - Date.now() < REFRESH_BEFORE_MS)
    await obtainTokens(resource, { grant_type: "refresh_token", refresh_token: resource.refreshToken });
  const headers = {
    Accept: "application/vnd.heroku+json; version=3",
    "Content-Type": "application/json",
    Authorization: `Bearer ${resource.accessToken}`,
  };
  return ask(`${HEROKU_API_URL}/addons/${resource.uuid}${path}`, { method, headers, body: body && JSON.stringify(body) });
}

const configOf = (resource) => ({ NODE_TALLY_URL: `http://127.0.0.1:${PORT}/tally/${resource.key}` });
const pushConfig = (resource) =>
  platform(resource, "PATCH", "/config", {
    config: Object.entries(configOf(resource)).map(([name, value]) => ({ name, value })),
  });

async function finish(resource, grant) {
  try {
    await obtainTokens(resource, { grant_type: grant.type, code: grant.code }); // first: a grant lives five minutes
    if (resource.state !== "provisioning") return;
    await pushConfig(resource);
    await platform(resource, "POST", "/actions/provision");
    if (resource.state === "provisioning") resource.state = "provisioned"; // it may have been removed in between
  } catch (error) {
    console.error(`${resource.uuid}: ${error.message}`);
    if (resource.state !== "provisioning") return;
    resource.state = "deprovisioned";
    await platform(resource, "POST", "/actions/deprovision").catch((lost) => console.error(lost.message));
  }
}

// What Heroku asks of us: safe to repeat, for everything arrives at least once

function provision({ uuid, plan, oauth_grant: grant }) {
  const known = resources.get(uuid);
  if (known?.state === "deprovisioned") return [410, { message: "This resource was removed." }];
  if (!known && !(plan in PLANS)) return [422, { message: `There is no plan named ${plan}.` }];
  const state = plan === "instant" ? "provisioned" : "provisioning";
  const resource = known ?? { uuid, plan, state, key: randomBytes(16).toString("hex"), count: 0 };
  resources.set(uuid, resource);
  const afterwards = !known && grant ? () => finish(resource, grant) : undefined;
  return resource.state === "provisioned"
    ? [200, { id: uuid, config: configOf(resource), message: "Your counter is at zero." }, {}, afterwards]
    : [202, { id: uuid, message: "Your counter is being made." }, {}, afterwards];
}

function changePlan(resource, { plan }) {
  if (!(plan in PLANS)) return [422, { message: `There is no plan named ${plan}.` }];
  if (resource.count > PLANS[plan]) return [422, { message: `You counted to ${resource.count}; ${plan} ends at ${PLANS[plan]}.` }];
  resource.plan = plan;
  return [200, { message: `You can count to ${PLANS[plan]} now.` }];
}

function deprovision(resource) {
  resource.state = "deprovisioned";
  return [204];
}

// Doors: method, path, and what answers with [status, body, headers, what is done once the answer is out]

const json = (body) => (body ? JSON.parse(body) : {});
const gone = [410, { message: "There is no such resource." }];
const forHeroku = (work) => (request, body, uuid) => {
  if (!isHeroku(request)) return [401, { message: "Unauthorized." }, { "WWW-Authenticate": "Basic" }];
  if (uuid === undefined) return work(json(body));
  const resource = resources.get(uuid);
  return resource && resource.state !== "deprovisioned" ? work(resource, json(body)) : gone;
};
const forCustomers = (work) => async (request) => {
  const resource = signedIn(request);
  if (!resource) return [403, "Open this dashboard from Heroku."];
  return resource.state === "deprovisioned" ? [410, "This add-on was removed."] : work(resource);
};

function signIn(request, body) {
  const form = Object.fromEntries(new URLSearchParams(body));
  if (!isCustomer(form)) return [403, "Heroku did not send you, or too long ago."];
  const resource = resources.get(form.resource_id);
  if (!resource || resource.state === "deprovisioned") return [410, "This add-on was removed."];
  return [303, "", { Location: "/dashboard", "Set-Cookie": sessionCookie(resource.uuid) }];
}

const dashboard = (resource) => [200, `<!doctype html><title>Node Tally</title><h1>Node Tally</h1>
<p>Plan ${resource.plan}: ${resource.count} of ${PLANS[resource.plan]} counted.</p>
<form method="post" action="/dashboard/rotate"><button>Make a new URL</button></form>`];

async function rotate(resource) {
  resource.key = randomBytes(16).toString("hex");
  await pushConfig(resource);
  return [303, "", { Location: "/dashboard" }];
}

function tally(request, _body, key) {
  const resource = [...resources.values()].find((one) => one.state !== "deprovisioned" && isSame(one.key, key));
  if (!resource) return [404, { message: "There is no such counter." }];
  if (request.method === "POST") {
    if (resource.count >= PLANS[resource.plan]) return [422, { message: "This plan counts no further." }];
    resource.count += 1;
  }
  return [200, { count: resource.count }];
}

const doors = [
  ["POST", /^\/heroku\/resources$/, forHeroku(provision)],
  ["PUT", /^\/heroku\/resources\/([\w-]+)$/, forHeroku(changePlan)],
  ["DELETE", /^\/heroku\/resources\/([\w-]+)$/, forHeroku(deprovision)],
  ["POST", /^\/sso\/login$/, signIn],
  ["GET", /^\/dashboard$/, forCustomers(dashboard)],
  ["POST", /^\/dashboard\/rotate$/, forCustomers(rotate)],
  ["GET", /^\/tally\/(\w+)$/, tally],
  ["POST", /^\/tally\/(\w+)$/, tally],
];

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > 65_536) throw new RangeError("The body is too large.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function answerTo(request) {
  const { pathname } = new URL(request.url, "http://localhost");
  for (const [method, path, work] of doors) {
    const match = request.method === method && path.exec(pathname);
    if (match) return work(request, await bodyOf(request), match[1]);
  }
  return [404, { message: "There is nothing here." }];
}

const server = createServer(async (request, response) => {
  let answer;
  try {
    answer = await answerTo(request);
  } catch (error) {
    if (error instanceof SyntaxError) answer = [400, { message: "The body is not JSON." }];
    else if (error instanceof RangeError) answer = [413, { message: error.message }, { Connection: "close" }];
    else {
      console.error(error.message);
      answer = [500, { message: "Something went wrong." }];
    }
  }
  const [status, content, headers, afterwards] = answer;
  const isPage = typeof content === "string";
  const type = { "Content-Type": isPage ? "text/html; charset=utf-8" : "application/json" };
  response.writeHead(status, { ...(content === undefined ? {} : type), ...headers });
  response.end(isPage ? content : content && JSON.stringify(content), afterwards);
});

server.listen(Number(PORT), "127.0.0.1", () => console.log(`Node Tally listens on port ${server.address().port}.`));
process.on("SIGTERM", () => server.close());
