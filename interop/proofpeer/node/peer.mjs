// node peer.mjs --broker mqtt://HOST:PORT --app ID --channel C, and what the README says

import fs from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import mqtt from "mqtt";
import { Drop, b64, random, unhex } from "./lib/codec.mjs";
import { Engine, SETTINGS } from "./lib/engine.mjs";
import { Private } from "./lib/keys.mjs";

const text = { type: "string" };
const many = { type: "string", multiple: true, default: [] };
const flag = { type: "boolean", default: false };
const { values: given } = parseArgs({
  options: {
    broker: many, app: text, channel: many, literal: flag, strict: flag, "key-type": { ...text, default: "ed25519" },
    key: text, pubkey: { ...text, default: "spki" }, mqtt: { ...text, default: "3.1.1" }, ca: text,
    limit: { ...text, default: "65536" }, "allow-unproven-send": flag, set: many,
  },
});
if (!given.broker.length || !given.app) throw new Error("--broker and --app are needed");

const say = (event, fields) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

async function loadKey() {
  if (given.key && fs.existsSync(given.key)) return Private.load(fs.readFileSync(given.key), given.pubkey);
  const key = await Private.generate(given["key-type"], given.pubkey);
  if (given.key) fs.writeFileSync(given.key, key.pkcs8, { flag: "wx", mode: 0o600 });
  return key;
}

const seconds = () => Date.now() / 1000;
const engine = new Engine(await loadKey(), given.app, seconds(), {
  literal: given.literal, strict: given.strict, limit: Number(given.limit),
  allowUnproven: given["allow-unproven-send"],
});

function setting(name, value) {
  if (!Object.hasOwn(SETTINGS, name)) throw new Drop("unknown_setting");
  const typed = typeof value === "string" && ["boolean", "number"].includes(typeof SETTINGS[name]);
  engine.set[name] = typed ? JSON.parse(value) : value;
}

for (const item of given.set) setting(item.slice(0, item.indexOf("=")), item.slice(item.indexOf("=") + 1));
for (const item of given.channel) {
  const at = item.indexOf("=");
  await engine.join(at < 0 ? item : item.slice(0, at), at < 0 ? undefined : item.slice(at + 1));
}

const inputs = [];
let wake = () => {};
function put(...input) {
  inputs.push(input);
  wake();
}

const five = given.mqtt === "5";
const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";

function connect(url, number) {
  const place = new URL(url);
  if (place.protocol.startsWith("ws") && place.pathname === "/") place.pathname = "/mqtt";
  const { username, password } = place;
  place.username = "";
  place.password = "";
  const client = mqtt.connect(place.href, {
    clientId: `pp${Array.from(random(18), (byte) => LETTERS[byte % 36]).join("")}`,
    protocolVersion: five ? 5 : 4, clean: true, keepalive: 30, resubscribe: false, reconnectPeriod: 1000,
    queueQoSZero: false, rejectUnauthorized: true,
    ...(username && { username: decodeURIComponent(username), password: decodeURIComponent(password) }),
    ...(given.ca && { ca: fs.readFileSync(given.ca) }),
  });
  client.on("connect", () => put("connected", number));
  client.on("close", () => put("disconnected", number));
  client.on("error", (error) => say("error", { why: error.message }));
  client.on("message", (topic, payload, packet) => put("message", topic, payload, packet.retain));
  return client;
}

const clients = given.broker.map(connect);

function subscribe(topic, number) {
  const options = five ? { qos: 1, nl: false, rap: false, rh: 2 } : { qos: 1 };
  clients[number].subscribe(topic, options, (error, granted) => {
    const good = !error && granted.every(({ qos }) => qos < 128);
    put(good ? "subscribed" : "refused", topic, number);
  });
}

function act() {
  for (const action of engine.take()) {
    if (action.do === "event") say(action.event, action.fields);
    else if (action.do === "subscribe") subscribe(action.topic, action.broker);
    else if (action.do === "unsubscribe") clients.forEach((client) => client.unsubscribe(action.topic));
    else {
      clients.forEach((client, number) => {
        if (!client.connected || (action.broker ?? number) !== number) return;
        client.publish(action.topic, action.payload, { qos: action.qos });
      });
    }
  }
}

const publishAll = (topic, payload, options) => clients.forEach((client) => client.publish(topic, payload, options));

const commands = {
  join: (c) => engine.join(c.channel, c.passphrase, c.key && unhex(c.key)),
  leave: (c) => engine.leave(c.channel),
  broadcast: (c) => engine.broadcast(c.channel, c.data ?? null, c.reliable),
  send(c) {
    let data = Buffer.from(c.text ?? "");
    if ("hex" in c) data = unhex(c.hex);
    if ("bytes" in c) data = Buffer.from(Array.from({ length: c.bytes }, (_, i) => (31 * i + (c.seed ?? 0)) % 256));
    return engine.send(c.to, data, c.reliable, c.id);
  },
  async handshake(c) {
    const peer = engine.find(c.to);
    say("handshake", { peer: peer.fingerprint, sid: await engine.handshake(peer) });
  },
  peers() {
    const names = new Map([...engine.channels.values()].map(({ hash, name }) => [hash, name]));
    say("peers", {
      peers: [...engine.peers.values()].map((peer) => ({
        peer: peer.fingerprint, uid: peer.uid, key_type: peer.key.type, online: peer.presence.online,
        locked: peer.locked, caps: peer.caps,
        channels: [...peer.presence.channels].filter(([, { member }]) => member)
          .map(([code]) => names.get(code) ?? String(code)).sort(),
        sessions: peer.sessions.map(({ sid, role, proven, d1, counter }) => ({ sid, role, proven, d1, sent: counter })),
      })),
    });
  },
  publish_raw(c) {
    publishAll(c.topic, "hex" in c ? unhex(c.hex) : c.payload, { qos: c.qos ?? 0, retain: c.retain ?? false });
  },
  replay_last(c) {
    const last = engine.last[c.kind ?? "any"];
    if (!last) throw new Drop("nothing_sent");
    const topic = c.topic ?? last.topic;
    let { payload } = last;
    if ("t" in c) {
      const envelope = JSON.parse(payload);
      envelope.t += c.t;
      payload = Buffer.from(JSON.stringify(envelope));
    }
    publishAll(topic, payload, { qos: last.qos });
    say("replayed", { topic, payload: payload.toString() });
  },
  set: (c) => setting(c.name, c.value),
  async shutdown() {
    await engine.shutdown();
    act();
    await new Promise((done) => setTimeout(done, 200));
    await Promise.all(clients.map((client) => client.endAsync(!client.connected)));
    say("done", {});
    process.exit(0);
  },
  abort: () => process.exit(0),
};

async function command(line) {
  try {
    const c = JSON.parse(line);
    if (!Object.hasOwn(commands, c.cmd)) throw new Drop("unknown_command");
    await commands[c.cmd](c);
  } catch (error) {
    say("error", { why: error.reason ?? error.message, line: line.slice(0, 200) });
  }
}

let ready = false;

async function handle([kind, first, second, third]) {
  if (kind === "message") await engine.received(first, second, third);
  else if (kind === "command") await command(first);
  else if (kind === "connected") engine.connected(first);
  else if (kind === "refused") say("error", { why: "subscription refused", topic: first });
  else if (kind === "disconnected") {
    if (engine.live.has(first)) say("disconnected", { broker: first });
    engine.disconnected(first);
  } else if (first !== engine.inbox) await engine.subscribed(first, second);
  else if (ready) say("connected", { broker: second });
  else {
    ready = true;
    const { fingerprint, uid, carried, type } = engine.me;
    say("ready", {
      fingerprint, uid, pubkey: b64(carried), inbox: engine.inbox, key_type: type, literal: engine.literal,
      broker: second,
    });
  }
}

process.stdout.on("error", () => process.exit(1));
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => line.trim() && put("command", line));
lines.on("close", () => put("command", '{"cmd":"shutdown"}'));
setInterval(() => wake(), 50);

let ticked = 0;
for (;;) {
  if (!inputs.length) {
    await new Promise((done) => {
      wake = done;
    });
  }
  engine.now = seconds();
  const input = inputs.shift();
  if (input) await handle(input);
  if (engine.now >= ticked + 0.05) {
    ticked = engine.now;
    await engine.tick();
  }
  act();
}
