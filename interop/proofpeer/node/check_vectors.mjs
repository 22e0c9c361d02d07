// Runs the proofpeer vectors on this peer: `node check_vectors.mjs [FILE ..]`, names without .json; all if none.
// WAYPOST_VECTORS=<folder> takes others. A missing file, an unknown shape and an expected value that nothing here
// computes are failures.

import fs from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { Drop, b64, channelTopic, hex, inboxTopic, murmur3, unb64, unhex } from "./lib/codec.mjs";
import * as crypto from "./lib/crypto.mjs";
import { Engine, HEARTBEAT, INTRODUCE, JOIN, LEAVE, Peer } from "./lib/engine.mjs";
import * as frames from "./lib/frames.mjs";
import { Private, Public } from "./lib/keys.mjs";
import { Session } from "./lib/session.mjs";
import * as wire from "./lib/wire.mjs";

const root = process.env.WAYPOST_VECTORS ?? new URL("../../../vectors", import.meta.url).pathname;

function shape(given, ...shapes) {
  const found = Object.keys(given).sort().join(" ");
  const index = shapes.findIndex((names) => names.split(" ").sort().join(" ") === found);
  if (index < 0) throw new Error(`unknown shape: ${found}`);
  return index;
}

const plain = (value) => JSON.parse(JSON.stringify(value));
const eventsOf = (engine) => engine.take().filter((action) => action.do === "event");

function murmur3Case(i, expect) {
  if ("hash" in expect) {
    shape(i, "hex", "hex text");
    const hash = murmur3(unhex(i.hex));
    if (hash === expect.seed_says) throw new Error("the seed's value");
    if ("text" in i && murmur3(i.text) !== hash) throw new Error("text and hex differ");
    return { hash, seed_says: expect.seed_says };
  }
  if (shape(i, "app channel", "app pubkey") === 0) return { topic: channelTopic(i.app, i.channel) };
  return Public.parse(i.pubkey).then((key) => ({ topic: inboxTopic(i.app, key.uid) }));
}

async function keysCase(i) {
  shape(i, "pubkey");
  const key = await Public.parse(i.pubkey);
  return { type: key.type, spki: hex(key.spki), uid: key.uid, fingerprint: key.fingerprint };
}

async function jwtCase(i) {
  if (shape(i, "token t", "private_pkcs8 timestamp data") === 1) {
    return { token: await wire.makeToken(await Private.load(unhex(i.private_pkcs8)), i.timestamp, i.data) };
  }
  const token = await wire.openToken(i.token, i.t);
  wire.checkAlg(token);
  await wire.checkSignature(token);
  const { type, fingerprint } = token.key;
  return { type, fingerprint, timestamp: token.timestamp, data: token.data, has_pp: token.hasPp };
}

function envelopesCase(i) {
  const form = shape(i, "payload now topic limit", "payload_hex now topic limit", "payload_repeat now topic limit");
  let payload = Buffer.from(i.payload ?? "");
  if (form === 1) payload = unhex(i.payload_hex);
  if (form === 2) {
    const { prefix, fill, total, suffix } = i.payload_repeat;
    shape(i.payload_repeat, "prefix fill total suffix");
    const room = total - Buffer.byteLength(prefix) - Buffer.byteLength(suffix);
    payload = Buffer.concat([Buffer.from(prefix), Buffer.alloc(room, fill), Buffer.from(suffix)]);
  }
  const { kind, t, r, sid, sender } = wire.openEnvelope(payload, i.now, i.topic, i.limit);
  return { kind, t, r, ...(sid !== undefined && { sid }), ...(sender !== undefined && { sender_id: sender }) };
}

async function deriveCase(i, expect) {
  const form = shape(
    i, "topic t r sender_id sid", "secret public",
    "sid initiator_spki responder_spki aes_key k0 caps_initiator caps_responder initiator_esk responder_esk " +
      "x_json x_nonce",
  );
  if (form === 0) return { aad: hex(crypto.messageAad(i.topic, i.t, i.r, i.sender_id, i.sid)) };
  if (form === 1) {
    try {
      return { dh: hex(crypto.x25519(unhex(i.secret), unhex(i.public))) };
    } catch {
      throw new Drop("bad_wrap");
    }
  }
  const empty = Buffer.alloc(0);
  const ei = i.initiator_esk ? crypto.x25519Public(unhex(i.initiator_esk)) : empty;
  const er = i.responder_esk ? crypto.x25519Public(unhex(i.responder_esk)) : empty;
  const dh = ei.length && er.length ? crypto.x25519(unhex(i.initiator_esk), er) : empty;
  const schedule = await crypto.Schedule.begin({
    sid: i.sid, initiator: unhex(i.initiator_spki), responder: unhex(i.responder_spki), wrapped: unhex(i.aes_key),
    k0: unhex(i.k0), epk: ei, caps: i.caps_initiator,
  });
  await schedule.finish(er, i.caps_responder, dh);
  const x = await crypto.gcmSeal(schedule.kx, unhex(i.x_nonce), Buffer.from(i.x_json), schedule.th);
  const found = { epk_initiator: ei, epk_responder: er, dh };
  for (const name of ["th", "kx", "th2", "i2r", "r2i"]) found[name] = schedule[name];
  for (const name of Object.keys(found)) {
    found[name] = found[name].length === 0 && expect[name] === null ? null : hex(found[name]);
  }
  return { ...found, x_d: b64(x) };
}

function framesCase(i) {
  if (shape(i, "frame", "events") === 0) {
    const { type, mid, idx, count, body } = frames.split(unhex(i.frame));
    return { type, mid: hex(mid), idx, count, body: hex(body) };
  }
  const receiver = new frames.Receiver();
  const outcomes = i.events.map((event) => {
    shape(event, "at frame");
    try {
      const found = receiver.receive(event.at, frames.split(unhex(event.frame)));
      return found.map(({ deliver, reply }) => (deliver ? { deliver: hex(deliver) } : { reply: hex(reply), r: false }));
    } catch (error) {
      return [{ drop: error.reason }];
    }
  });
  return { outcomes };
}

function outcome(action, reasons) {
  if (action.do === "publish" && ["ack", "handshake"].includes(action.kind)) {
    return [{ publish: action.kind, topic: action.topic, qos: action.qos }];
  }
  const { event, fields: f } = action;
  if (event === "deliver") return [{ deliver: plain(f.data), auth: f.auth, encrypted: f.encrypted }];
  if (event === "session") return [{ session: f.sid, role: f.role, auth: f.auth }];
  if (event === "closed") return [reasons ? { closed: f.sid, reason: f.reason } : { closed: f.sid }];
  return event === "dropped" ? [{ drop: f.reason }] : [];
}

async function sequenceCase({ k0, ...i }, expect) {
  shape(i, "receiver_pkcs8 app channels passphrase accept events");
  const key = await Private.load(unhex(i.receiver_pkcs8));
  const engine = new Engine(key, i.app, i.events[0].at, { strict: i.accept === "strict" });
  for (const [n, name] of i.channels.entries()) await engine.join(name, n ? undefined : i.passphrase ?? undefined);
  const sort = (list) => list.map((item) => JSON.stringify(Object.entries(item).sort())).sort();
  const outcomes = [];
  for (const [n, event] of i.events.entries()) {
    shape(event, "at topic payload retain");
    engine.take();
    engine.now = event.at;
    await engine.received(event.topic, Buffer.from(event.payload), event.retain);
    const wanted = expect.outcomes[n];
    const reasons = wanted.some((item) => "closed" in item && "reason" in item);
    const found = engine.take().flatMap((action) => outcome(action, reasons));
    outcomes.push(isDeepStrictEqual(sort(found), sort(wanted)) ? wanted : found);
  }
  if (k0) {
    const [session] = [...engine.peers.values()].flatMap(({ sessions }) => sessions);
    const opened = await crypto.gcmOpen(unhex(k0), unb64(session.ack.aes.data));
    if (opened?.toString() !== "OK") throw new Error("another k0");
  }
  return { outcomes };
}

async function handshakeCase(i, expect) {
  if ("events" in i) return sequenceCase(i, expect);
  const form = shape(i, "recipient_pkcs8 aes_key", "recipient_pubkey ephemeral_secret k0", "ed25519_seed");
  if (form === 0) {
    return { k0: hex(await (await Private.load(unhex(i.recipient_pkcs8))).unwrap(unb64(i.aes_key))) };
  }
  if (form === 1) {
    const key = await Public.parse(i.recipient_pubkey);
    const wrapped = await key.wrap(unhex(i.k0), { secret: unhex(i.ephemeral_secret) });
    return { aes_key: b64(wrapped), recipient_x25519: hex(key.x25519()) };
  }
  const key = await Private.load(unhex(`302e020100300506032b657004220420${i.ed25519_seed}`));
  return { pubkey: b64(key.public.spki), uid: key.public.uid, x25519_public: hex(key.public.x25519()) };
}

async function ackCase(i) {
  shape(i, "initiator_pkcs8 responder_pubkey app now accept known_caps pending payload");
  shape(i.pending, "sid k0 aes_key esk caps");
  const key = await Private.load(unhex(i.initiator_pkcs8));
  const engine = new Engine(key, i.app, i.now, { strict: i.accept === "strict" });
  const peer = new Peer(await Public.parse(i.responder_pubkey));
  engine.peers.set(peer.fingerprint, peer);
  peer.locked = i.known_caps !== null;
  peer.caps = i.known_caps;
  const { sid, k0, aes_key: wrapped, esk, caps } = i.pending;
  const secret = esk ? unhex(esk) : null;
  peer.pending = {
    sid, k0: unhex(k0), wrapped: unhex(wrapped), caps, secret, started: i.now, sends: 1,
    epk: secret ? crypto.x25519Public(secret) : Buffer.alloc(0),
  };
  await engine.received(engine.inbox, Buffer.from(i.payload));
  const drop = eventsOf(engine).find(({ event }) => event === "dropped");
  if (drop) {
    if (!peer.pending || peer.sessions.length) throw new Error("a dropped ack changed the state");
    throw new Drop(drop.fields.reason);
  }
  return { auth: peer.sessions[0].auth(), d1: peer.sessions[0].d1 };
}

async function sessionCase(i) {
  shape(i, "receiver_pkcs8 sender_pubkey app topic sid d1 frames proven key_recv own_prefix events");
  const engine = new Engine(await Private.load(unhex(i.receiver_pkcs8)), i.app, 0);
  const peer = new Peer(await Public.parse(i.sender_pubkey));
  engine.peers.set(peer.fingerprint, peer);
  peer.sessions.push(new Session({
    sid: i.sid, role: "responder", send: Buffer.alloc(32), recv: unhex(i.key_recv), prefix: unhex(i.own_prefix),
    created: 0, d1: i.d1, a1: i.frames, proven: i.proven, fs: true,
  }));
  const outcomes = [];
  for (const event of i.events) {
    shape(event, "at payload");
    engine.now = event.at;
    await engine.received(i.topic, Buffer.from(event.payload));
    for (const { event: name, fields } of eventsOf(engine)) {
      if (name === "deliver") outcomes.push({ plaintext: fields.hex, auth: fields.auth });
      if (name === "dropped") outcomes.push({ drop: fields.reason });
    }
  }
  return { outcomes };
}

async function channelCase(i, expect) {
  if ("events" in i) return sequenceCase(i, expect);
  const form = shape(
    i, "passphrase app channel", "root sender_spki topic timestamp nonce plaintext",
    "root sender_spki topic timestamp data",
  );
  if (form === 0) return { root: hex(await crypto.channelRoot(i.app, i.channel, i.passphrase)) };
  const [key, spki] = [unhex(i.root), unhex(i.sender_spki)];
  if (form === 2) return { value: plain(await crypto.channelOpen(key, spki, i.topic, i.timestamp, i.data)) };
  return {
    key: hex(await crypto.channelKey(key, spki)),
    aad: hex(await crypto.channelAad(i.topic, i.timestamp, spki)),
    enc: await crypto.channelSeal(key, spki, i.topic, i.timestamp, Buffer.from(i.plaintext), unhex(i.nonce)),
  };
}

async function presenceCase(i) {
  shape(i, "app channels events");
  const base = 1704214799;
  const engine = new Engine(await Private.generate("ed25519"), i.app, base);
  for (const name of i.channels) await engine.join(name);
  const senders = {};
  const names = {};
  for (const name of "AB") {
    senders[name] = new Engine(await Private.generate("ed25519"), i.app, base);
    names[senders[name].me.fingerprint] = name;
  }
  const introduction = { ...INTRODUCE, channel: murmur3(i.channels[0]) };
  const values = {
    join: JOIN, beat: HEARTBEAT, leave: LEAVE, introduce: INTRODUCE, "introduce+channel": introduction,
    app: { say: "hi" },
  };
  const outcomes = [];
  for (const event of i.events) {
    engine.take();
    engine.now = base + event.at;
    if (shape(event, "at tick", "at peer data channel timestamp") === 0) {
      await engine.tick();
    } else {
      const topic = event.channel === null ? engine.inbox : channelTopic(i.app, event.channel);
      const [sender, t] = [senders[event.peer], base + event.timestamp];
      const to = event.channel === null ? { key: engine.me } : undefined;
      sender.publish(topic, "x", false, t, { jwt: await sender.token(topic, t, values[event.data], to) });
      await engine.received(topic, sender.take()[0].payload);
    }
    outcomes.push(eventsOf(engine).flatMap(({ event: name, fields }) => {
      const { uid, ...rest } = fields;
      if (name === "presence") return [{ ...rest, peer: names[rest.peer] }];
      return name === "dropped" ? [{ drop: fields.reason }] : [];
    }));
  }
  return { outcomes };
}

const FILES = {
  murmur3: murmur3Case, keys: keysCase, jwt: jwtCase, envelopes: envelopesCase, handshake: handshakeCase,
  derive: deriveCase, ack: ackCase, session: sessionCase, channel: channelCase, frames: framesCase,
  replay: sequenceCase, presence: presenceCase,
};

async function run({ input, expect, error }, check) {
  let found;
  try {
    found = await check(input, expect ?? {});
  } catch (thrown) {
    if (!(thrown instanceof Drop)) throw thrown;
    if (thrown.reason !== error) throw new Error(`expected ${error ?? "no error"}, dropped as ${thrown.reason}`);
    return;
  }
  if (error) throw new Error(`expected ${error}, found ${JSON.stringify(found)}`);
  for (const [name, value] of Object.entries(expect)) {
    if (!(name in found)) throw new Error(`nothing computes ${name}`);
    if (!isDeepStrictEqual(plain(found[name] ?? null), value)) {
      throw new Error(`${name}: expected ${JSON.stringify(value)}, found ${JSON.stringify(found[name])}`);
    }
  }
}

let [passed, failed] = [0, 0];
const chosen = process.argv.slice(2);
for (const name of chosen.length ? chosen : Object.keys(FILES)) {
  const { cases } = JSON.parse(fs.readFileSync(`${root}/proofpeer/${name}.json`));
  let good = 0;
  for (const item of cases) {
    try {
      const { id, clause, status, input, expect, error, note, ...rest } = item;
      const whole = id && clause && status && input && Boolean(expect) !== Boolean(error);
      if (!whole || Object.keys(rest).length) throw new Error(`unknown shape: ${Object.keys(item)}`);
      await run({ input, expect, error }, FILES[name]);
      good += 1;
    } catch (thrown) {
      failed += 1;
      console.log(`${name}/${item.id}: ${String(thrown.stack ?? thrown).slice(0, 600)}`);
    }
  }
  passed += good;
  console.log(`${name}: ${good} of ${cases.length}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
