// The peer without I/O: what comes in gives actions.
//
// Actions: {do: "subscribe", topic, broker}, {do: "unsubscribe", topic},
// {do: "publish", topic, payload, qos, broker, kind}, {do: "event", event, ...}.

import { isUtf8 } from "node:buffer";
import {
  Drop, F, b64, b64u, channelTopic, compact, hex, inboxTopic, isInt, isObject, murmur3, random, sha256,
} from "./codec.mjs";
import * as crypto from "./crypto.mjs";
import * as frames from "./frames.mjs";
import { Presence } from "./presence.mjs";
import { Session } from "./session.mjs";
import * as wire from "./wire.mjs";

const CACHE_S = 125;
const RETRIES = [2, 4, 8];
const HANDSHAKE_S = 10;
const IN_FLIGHT = 16;
const PER_ROLE = 4;
const EMPTY = Buffer.alloc(0);
export const JOIN = { type: "announce", action: "join" };
export const LEAVE = { type: "announce", action: "leave" };
export const INTRODUCE = { type: "announce", action: "introduce" };
export const HEARTBEAT = { type: "heartbeat" };
const HANDSHAKE = { type: "handshake" };

export const SETTINGS = {
  alg: null, // header of Ed25519 tokens
  oaep: "sha256",
  ok: "OK", // plaintext of acks
  caps: "d1,a1",
  epk: true,
  ack: true, // answer handshakes
  ack_x: true,
  pp: true,
  msid: true,
  receipts: true,
  skew: 0, // seconds added to sent times
  heartbeat: 30,
  introduce: true,
  chunk: 32768,
};

function presenceKind(data) {
  if (!isObject(data)) return null;
  if (data.type === "heartbeat") return "heartbeat";
  const known = data.type === "announce" && ["join", "leave", "introduce"].includes(data.action);
  return known ? data.action : null;
}

export class Peer {
  uids = new Set();
  formTs = -1;
  presence = new Presence();
  locked = false;
  caps = null;
  capsTs = -1;
  boot = null;
  newestTs = -1;
  sessions = [];
  pending = null;
  queue = [];
  outbox = new Map();
  frames = new frames.Receiver();
  sids = new Map(); // sid -> {digest, ended}
  wrapped = new Set();
  lastReverse = -1e9;
  retryAfter = -1e9;
  introduced = new Map();
  follow = { sid: null, count: 0 };

  constructor(key) {
    this.key = key;
    this.uid = key.uid;
    this.uids.add(key.uid);
    this.fingerprint = key.fingerprint;
  }
}

export class Engine {
  channels = new Map(); // topic -> {name, hash, root, beat}
  peers = new Map();
  cache = new Map();
  timers = [];
  actions = [];
  live = new Set();
  nextId = 1;
  last = {};
  set = { ...SETTINGS };
  boot = random(8);

  constructor(key, app, now, { literal = false, strict = false, limit = 65536, allowUnproven = false } = {}) {
    Object.assign(this, { key, app, now, literal, strict, limit, allowUnproven });
    this.me = key.public;
    this.inbox = inboxTopic(app, this.me.uid);
    if (literal) this.set.alg = "ES256";
  }

  // --- going out

  take() {
    const { actions } = this;
    this.actions = [];
    return actions;
  }

  event(event, fields) {
    this.actions.push({ do: "event", event, fields });
  }

  clock() {
    return Math.floor(this.now) + this.set.skew;
  }

  caps() {
    return this.set.caps.split(",").filter(Boolean);
  }

  publish(topic, kind, r, t, { jwt, m, broker } = {}) {
    const payload = compact({ v: 1, t, r, jwt, m });
    if (payload.length > this.limit) return false;
    this.last[kind] = { topic, payload, qos: r ? 1 : 0 };
    this.last.any = this.last[kind];
    this.actions.push({ do: "publish", topic, payload, qos: r ? 1 : 0, broker, kind });
    return true;
  }

  async token(topic, t, data, to, extra) {
    let pp;
    if (!this.literal && this.set.pp) {
      pp = { t: topic, n: b64u(random(16)), c: this.caps(), b: b64u(this.boot) };
      if (to) pp.to = b64u(await sha256(to.key.spki));
      Object.assign(pp, extra);
    }
    return wire.makeToken(this.key, t, data, pp, this.set.alg);
  }

  async signed(topic, kind, data, { r = false, to, broker } = {}) {
    const t = this.clock();
    return this.publish(topic, kind, r, t, { jwt: await this.token(topic, t, data, to), broker });
  }

  inboxOf(peer) {
    return inboxTopic(this.app, peer.uid);
  }

  // --- connections and channels

  connected(broker) {
    this.live.add(broker);
    for (const topic of [this.inbox, ...this.channels.keys()]) this.actions.push({ do: "subscribe", topic, broker });
  }

  disconnected(broker) {
    this.live.delete(broker);
  }

  async subscribed(topic, broker) {
    const channel = this.channels.get(topic);
    if (!channel) return;
    await this.signed(topic, "join", JOIN, { broker });
    channel.beat ??= this.beatTime();
    this.event("joined", { channel: channel.name });
  }

  beatTime() {
    const period = this.set.heartbeat;
    return this.now + period - (Math.random() * period) / 10;
  }

  async join(name, passphrase, key) {
    const topic = channelTopic(this.app, name);
    const root = passphrase === undefined ? key ?? null : await crypto.channelRoot(this.app, name, passphrase);
    const known = this.channels.has(topic);
    this.channels.set(topic, { name, hash: murmur3(name), root, beat: null });
    if (known) return;
    for (const broker of this.live) this.actions.push({ do: "subscribe", topic, broker });
  }

  async leave(name) {
    const topic = channelTopic(this.app, name);
    const channel = this.channels.get(topic);
    if (!channel) throw new Drop("not_joined");
    if (!this.literal) await this.signed(topic, "leave", LEAVE);
    this.actions.push({ do: "unsubscribe", topic });
    for (const peer of this.peers.values()) await this.changes(peer, peer.presence.forget(channel.hash));
    this.channels.delete(topic);
  }

  async broadcast(name, data, r = false) {
    const topic = channelTopic(this.app, name);
    const channel = this.channels.get(topic);
    if (!channel) throw new Drop("not_joined");
    const t = this.clock();
    const value = channel.root ? await crypto.sealValue(channel.root, this.me.spki, topic, t, data) : data;
    if (!this.publish(topic, "broadcast", r, t, { jwt: await this.token(topic, t, value) })) {
      throw new Drop("too_large");
    }
  }

  async shutdown() {
    if (!this.literal) {
      for (const topic of this.channels.keys()) await this.signed(topic, "leave", LEAVE);
      for (const peer of this.peers.values()) {
        if (peer.sessions.length) await this.signed(this.inboxOf(peer), "leave", LEAVE, { to: peer });
      }
    }
    for (const topic of [...this.channels.keys(), this.inbox]) this.actions.push({ do: "unsubscribe", topic });
  }

  // --- sending to a peer

  find(to) {
    const known = this.peers.get(String(to));
    if (known) return known;
    const found = [...this.peers.values()].filter((peer) => peer.uids.has(Number(to)));
    if (found.length !== 1) throw new Drop(found.length ? "ambiguous_peer" : "unknown_peer");
    return found[0];
  }

  /** The session that sends. */
  sender(peer) {
    let usable = peer.sessions;
    if (this.literal) return usable.at(-1);
    const proven = usable.filter((session) => session.proven);
    usable = proven.length || !this.allowUnproven ? proven : usable;
    const { sid, count } = peer.follow;
    const followed = count >= 3 ? usable.find((session) => session.sid === sid) : undefined;
    if (followed) return followed;
    const best = usable.at(-1);
    if (!best) return undefined;
    const rival = usable.find((session) => session.sid === best.rival);
    return rival && Buffer.compare(Buffer.from(rival.sid), Buffer.from(best.sid)) < 0 ? rival : best;
  }

  async send(to, data, r = false, given = undefined) {
    const peer = this.find(to);
    const id = given ?? this.nextId++;
    const session = this.sender(peer);
    if (session) return this.transmit(peer, session, { id, data, r });
    if (peer.queue.length >= 64) throw new Drop("queue_full");
    peer.queue.push({ id, data, r });
    this.event("status", { id, status: "queued" });
    if (!peer.pending) await this.handshake(peer);
    return undefined;
  }

  async transmit(peer, session, { id, data, r }) {
    if (!session.a1) {
      const fits = await this.sessionMessage(peer, session, data, r);
      this.event("status", { id, status: fits ? (r ? "unconfirmed" : "sent") : "too_large" });
      return;
    }
    if (data.length > frames.MESSAGE_LIMIT) {
      this.event("status", { id, status: "too_large" });
      return;
    }
    const mid = random(8);
    const parts = frames.cut(data, this.set.chunk);
    this.event("status", { id, status: "sent" });
    if (r) {
      const open = new Set(parts.keys());
      peer.outbox.set(hex(mid), { id, mid, parts, open, flight: new Map(), deadline: this.now + 24 * 3600 });
      await this.pump(peer);
      return;
    }
    for (const [idx, part] of parts.entries()) {
      await this.sessionMessage(peer, session, frames.build(0, mid, idx, parts.length, part), false);
    }
  }

  async sessionMessage(peer, session, plain, r) {
    const topic = this.inboxOf(peer);
    const t = this.clock();
    const data = b64(await session.seal(plain, topic, t, r, this.me.uid));
    const sid = !this.literal && this.set.msid ? session.sid : undefined;
    return this.publish(topic, "session", r, t, { m: { sender_id: this.me.uid, aes: { data }, sid } });
  }

  async pump(peer, anew = false) {
    const session = this.sender(peer);
    if (!session?.a1 || !peer.presence.online) return;
    const all = [...peer.outbox.values()];
    if (anew) for (const out of all) out.flight.clear();
    let flying = all.reduce((sum, out) => sum + out.flight.size, 0);
    const part = (out, idx) => {
      const frame = frames.build(1, out.mid, idx, out.parts.length, out.parts[idx]);
      return this.sessionMessage(peer, session, frame, true);
    };
    for (const out of all) {
      if (!out.open.size && !out.flight.has(0)) out.flight.set(0, { due: this.now + 3, delay: 3 });
      for (const flight of out.flight) {
        const [idx, { due, delay }] = flight;
        if (due > this.now) continue;
        const next = Math.min(60, delay * 2);
        out.flight.set(idx, { due: this.now + next * (0.9 + Math.random() / 5), delay: next });
        await part(out, idx);
      }
      for (const idx of out.open) {
        if (flying >= IN_FLIGHT) break;
        if (out.flight.has(idx)) continue;
        flying += 1;
        out.flight.set(idx, { due: this.now + 3, delay: 3 });
        await part(out, idx);
      }
    }
  }

  // --- handshake

  async handshake(peer) {
    const k0 = random(32);
    const secret = !this.literal && this.set.epk ? random(32) : null;
    peer.pending = {
      sid: hex(random(4)), k0, wrapped: await peer.key.wrap(k0, { sha1: this.set.oaep === "sha1" }),
      caps: this.caps(), secret, epk: secret ? crypto.x25519Public(secret) : EMPTY, started: this.now, sends: 0,
      rival: null,
    };
    await this.sendHandshake(peer);
    return peer.pending.sid;
  }

  async sendHandshake(peer) {
    const { pending } = peer;
    pending.sends += 1;
    const topic = this.inboxOf(peer);
    const t = this.clock();
    const extra = { c: pending.caps, sid: pending.sid, k: b64u(await sha256(pending.wrapped)) };
    if (pending.epk.length) extra.epk = b64u(pending.epk);
    const jwt = await this.token(topic, t, HANDSHAKE, peer, extra);
    const m = { handshake: { aes_key: b64(pending.wrapped), sid: pending.sid } };
    this.publish(topic, "handshake", true, t, { jwt, m });
  }

  async established(peer, session) {
    peer.sessions.push(session);
    const quota = peer.sessions.filter(({ proven }) => proven === session.proven);
    if (quota.length > PER_ROLE) this.close(peer, quota[0], "displaced");
    const { sid, role, proven, d1, a1 } = session;
    this.event("session", { peer: peer.fingerprint, sid, role, proven, d1, a1, auth: session.auth() });
    if (!this.sender(peer)) return;
    for (const item of peer.queue.splice(0)) await this.transmit(peer, this.sender(peer), item);
    await this.pump(peer, true);
  }

  close(peer, session, reason) {
    peer.sessions.splice(peer.sessions.indexOf(session), 1);
    const known = peer.sids.get(session.sid);
    if (known) known.ended = this.now;
    this.event("closed", { peer: peer.fingerprint, sid: session.sid, reason });
  }

  closeAll(peer, reason, until = Infinity) {
    for (const session of [...peer.sessions]) if (session.created < until) this.close(peer, session, reason);
  }

  async onHandshake(peer, envelope, claim) {
    const digest = hex(await sha256(envelope.wrapped));
    const live = peer.sessions.find(({ role, sid }) => role === "responder" && sid === envelope.sid);
    if (live?.wrappedHash === digest) {
      this.again(peer, live);
      throw new Drop("duplicate");
    }
    const known = peer.sids.get(envelope.sid);
    if (!this.literal) {
      const taken = known && (known.digest !== digest || known.ended === null || this.now - known.ended < CACHE_S);
      if (taken || peer.wrapped.has(digest)) throw new Drop("sid_reuse");
    }
    const extended = claim !== null && !this.literal && this.set.ack_x;
    const caps = this.caps();
    const wants = !this.literal && claim !== null && claim.caps.includes("d1") && caps.includes("d1");
    if (this.strict && !wants) throw new Drop("unbound");
    const k0 = await this.key.unwrap(envelope.wrapped);
    const fields = { send: k0, recv: k0, d1: wants && extended };
    let x;
    if (extended) {
      const schedule = await crypto.Schedule.begin({
        sid: envelope.sid, initiator: peer.key.spki, responder: this.me.spki, wrapped: envelope.wrapped, k0,
        epk: claim.epk, caps: claim.caps,
      });
      let [epk, dh] = [EMPTY, EMPTY];
      if (claim.epk.length) {
        const secret = random(32);
        epk = crypto.x25519Public(secret);
        try {
          dh = crypto.x25519(secret, claim.epk);
        } catch {
          throw new Drop("bad_wrap");
        }
      }
      await schedule.finish(epk, caps, dh);
      if (fields.d1) {
        fields.recv = schedule.i2r;
        fields.send = schedule.r2i;
        fields.a1 = claim.caps.includes("a1") && caps.includes("a1");
        fields.fs = claim.epk.length > 0;
      }
      const inner = compact({ c: caps, epk: epk.length ? b64u(epk) : undefined });
      x = { d: b64(await crypto.gcmSeal(schedule.kx, random(12), inner, schedule.th)) };
    }
    const prefix = random(6);
    prefix[0] |= 0x80;
    const session = new Session({
      ...fields, sid: envelope.sid, role: "responder", prefix, created: this.now, proven: fields.d1,
    });
    session.wrappedHash = digest;
    const sealed = await crypto.gcmSeal(k0, session.d1 ? random(12) : session.nonce(), Buffer.from(this.set.ok));
    session.ack = { sender_id: this.me.uid, aes: { sid: envelope.sid, data: b64(sealed) }, x };
    peer.sids.set(envelope.sid, { digest, ended: null });
    peer.wrapped.add(digest);
    if (peer.pending) {
      session.rival = peer.pending.sid;
      peer.pending.rival = envelope.sid;
    }
    this.again(peer, session);
    await this.established(peer, session);
    const lonely = !peer.pending && !peer.sessions.some(({ proven }) => proven);
    if (!session.proven && !this.literal && lonely && this.now - peer.lastReverse >= 10) {
      peer.lastReverse = this.now;
      await this.handshake(peer);
    }
  }

  again(peer, session) {
    if (!this.set.ack || this.now - session.ackAt < 1) return;
    session.ackAt = this.now;
    this.publish(this.inboxOf(peer), "ack", true, this.clock(), { m: session.ack });
  }

  async onAck(envelope) {
    const all = [...this.peers.values()];
    const peer = all.find(({ pending }) => pending?.sid === envelope.sid);
    if (!peer) {
      const mine = all.some(({ sessions }) =>
        sessions.some(({ sid, role }) => sid === envelope.sid && role === "initiator"),
      );
      throw new Drop(mine ? "duplicate" : "no_session");
    }
    const { pending } = peer;
    if (!peer.uids.has(envelope.sender)) throw new Drop("bad_sender");
    const plain = await crypto.gcmOpen(pending.k0, envelope.data);
    if (plain === null) throw new Drop("bad_cipher");
    if (!["OK", '"OK"'].includes(plain.toString("latin1"))) throw new Drop("bad_ack");
    const fields = { send: pending.k0, recv: pending.k0, d1: false };
    if (envelope.x && !this.literal) Object.assign(fields, await this.extension(peer, pending, envelope));
    if (!fields.d1 && !this.literal) {
      if (!envelope.x && peer.caps?.includes("d1")) throw new Drop("bad_ack");
      if (this.strict) throw new Drop("unbound");
    }
    const prefix = random(6);
    prefix[0] &= 0x7f;
    const session = new Session({
      ...fields, sid: pending.sid, role: "initiator", prefix, created: this.now, proven: true,
    });
    if (!session.d1) session.seen.add(hex(envelope.data.subarray(0, 12)));
    session.rival = pending.rival;
    this.event("ack", { peer: peer.fingerprint, sid: session.sid });
    await this.changes(peer, peer.presence.alive(this.now));
    peer.pending = null;
    await this.established(peer, session);
  }

  async extension(peer, pending, envelope) {
    const schedule = await crypto.Schedule.begin({
      sid: pending.sid, initiator: this.me.spki, responder: peer.key.spki, wrapped: pending.wrapped, k0: pending.k0,
      epk: pending.epk, caps: pending.caps,
    });
    const inner = await crypto.gcmOpen(schedule.kx, envelope.x, schedule.th);
    if (inner === null) throw new Drop("bad_ack");
    let found, dh;
    try {
      found = wire.openExtension(inner, pending.epk.length > 0);
      dh = found.epk.length ? crypto.x25519(pending.secret, found.epk) : EMPTY;
    } catch {
      throw new Drop("bad_ack");
    }
    await schedule.finish(found.epk, found.caps, dh);
    const both = (name) => found.caps.includes(name) && pending.caps.includes(name);
    if (!both("d1")) return {};
    return { d1: true, a1: both("a1"), fs: found.epk.length > 0, send: schedule.i2r, recv: schedule.r2i };
  }

  // --- coming in

  async received(topic, payload, retain = false) {
    try {
      if (retain) throw new Drop("retained");
      const kind = topic === this.inbox ? "inbox" : this.channels.has(topic) ? "channel" : "other";
      const envelope = wire.openEnvelope(payload, this.now, kind, this.limit);
      if (envelope.kind === "ack") await this.onAck(envelope);
      else if (envelope.kind === "session") await this.onSession(topic, envelope);
      else await this.onToken(topic, envelope);
    } catch (error) {
      if (!(error instanceof Drop)) throw error;
      this.event("dropped", { reason: error.reason, topic });
    }
  }

  async onToken(topic, envelope) {
    const token = await wire.openToken(envelope.jwt, envelope.t);
    const { key } = token;
    if (key.fingerprint === this.me.fingerprint) throw new Drop("own");
    wire.checkAlg(token);
    const known = this.peers.get(key.fingerprint);
    const entry = this.literal ? null : await this.cacheEntry(topic, envelope, token);
    if (entry && this.cache.get(entry) > this.now) {
      if (envelope.kind === "handshake" && known) {
        const digest = hex(await sha256(envelope.wrapped));
        const live = known.sessions.find((s) => s.sid === envelope.sid && s.wrappedHash === digest);
        if (live) this.again(known, live);
      }
      throw new Drop("duplicate");
    }
    await wire.checkSignature(token);
    let claim = null;
    if (token.hasPp && !this.literal) {
      try {
        claim = await wire.openClaim(token.pp, topic, envelope, this.me.spki);
      } catch {
        throw new Drop("bad_bind");
      }
    }
    if (!claim && !this.literal && (known?.locked || this.strict)) {
      throw new Drop(known?.locked ? "downgrade" : "unbound");
    }
    if (entry) this.cache.set(entry, this.now + CACHE_S);
    const peer = known ?? new Peer(key);
    this.peers.set(key.fingerprint, peer);
    peer.uids.add(key.uid);
    if (envelope.t >= peer.formTs) {
      peer.formTs = envelope.t;
      peer.uid = key.uid;
    }
    const newest = peer.newestTs;
    peer.newestTs = Math.max(newest, envelope.t);
    if (claim) this.note(peer, claim, envelope.t);
    await this.dispatch({ peer, topic, envelope, token, claim, newest });
  }

  async cacheEntry(topic, envelope, token) {
    let scope = EMPTY;
    if (!token.hasPp) {
      scope = Buffer.from(envelope.kind === "handshake" ? `${topic}\0${envelope.sid}\0` : topic);
      if (envelope.kind === "handshake") scope = Buffer.concat([scope, await sha256(envelope.wrapped)]);
    }
    return hex(await sha256(F(token.key.spki, token.signed, scope)));
  }

  note(peer, claim, t) {
    peer.locked = true;
    if (t < peer.capsTs) return;
    if (claim.boot) {
      if (peer.boot && peer.boot !== claim.boot) this.closeAll(peer, "restarted", t + 1);
      peer.boot = claim.boot;
    }
    peer.caps = claim.caps;
    peer.capsTs = t;
  }

  async dispatch({ peer, topic, envelope, token, claim, newest }) {
    const { t } = envelope;
    const kind = presenceKind(token.data);
    if (envelope.kind === "handshake") {
      await this.changes(peer, peer.presence.onInbox(this.now, t));
      await this.onHandshake(peer, envelope, claim);
      return;
    }
    if (envelope.kind === "introduction") {
      if (kind === "leave") {
        if (!claim || t < newest) return;
        await this.changes(peer, peer.presence.inboxLeave(t));
        this.closeAll(peer, "leave");
        return;
      }
      await this.changes(peer, peer.presence.onInbox(this.now, t));
      const code = kind === "introduce" && isInt(token.data, "channel") ? token.data.channel : null;
      if (code !== null && [...this.channels.values()].some((channel) => channel.hash === code)) {
        await this.changes(peer, peer.presence.onChannel(this.now, code, t));
      }
      return;
    }
    const channel = this.channels.get(topic);
    if (kind === "leave" && !this.literal) {
      await this.changes(peer, peer.presence.channelLeave(channel.hash, t));
      return;
    }
    await this.changes(peer, peer.presence.onChannel(this.now, channel.hash, t));
    if (kind === "join") {
      if (!peer.locked) this.closeAll(peer, "restarted", this.now - 2);
      this.introduceLater(peer, channel);
    }
    if (kind || token.data === null) return;
    let { data } = token;
    if (channel.root) data = await crypto.channelOpen(channel.root, peer.key.spki, topic, t, data);
    this.event("deliver", {
      peer: peer.fingerprint, uid: peer.uid, channel: channel.name, t, r: envelope.r,
      auth: { proven: true, bound: claim !== null, forward_secret: false },
      encrypted: channel.root ? "channel" : "none", data,
    });
  }

  introduceLater(peer, { hash }) {
    if (!this.set.introduce || (peer.introduced.get(hash) ?? -1e9) > this.now - 30) return;
    peer.introduced.set(hash, this.now);
    const data = this.literal ? INTRODUCE : { ...INTRODUCE, channel: hash };
    const run = () => this.signed(this.inboxOf(peer), "introduction", data, { to: peer });
    this.timers.push({ at: this.now + Math.random() * 2, run });
  }

  async changes(peer, changes) {
    for (const change of changes) {
      const fields = { peer: peer.fingerprint, uid: peer.uid, ...change };
      if ("channel" in change) {
        const joined = [...this.channels.values()].find(({ hash }) => hash === change.channel);
        fields.channel = joined?.name ?? change.channel;
      }
      this.event("presence", fields);
      if (change.state === "offline") this.closeAll(peer, "offline");
      if (change.state === "online" && !this.literal) await this.pump(peer);
    }
    const waiting = peer.queue.length || peer.outbox.size;
    if (!waiting || this.literal || !peer.presence.online || this.sender(peer) || peer.pending) return;
    if (this.now >= peer.retryAfter) await this.handshake(peer);
  }

  candidates({ sender, sid }) {
    const peers = [...this.peers.values()].filter(({ uids }) => uids.has(sender));
    return peers.flatMap((peer) => {
      let fit;
      if (sid !== undefined && !this.literal) {
        fit = peer.sessions.filter((session) => session.sid === sid);
      } else {
        fit = peer.sessions.filter(({ d1 }) => !d1).reverse();
        fit = fit.sort((a, b) => Number(b.proven) - Number(a.proven)).slice(0, PER_ROLE);
      }
      return fit.map((session) => ({ peer, session }));
    });
  }

  async onSession(topic, envelope) {
    const { data, t, r, sender } = envelope;
    let reason = "no_session";
    for (const { peer, session } of this.candidates(envelope)) {
      try {
        const plain = await session.open(data, topic, t, r, sender, this.literal);
        await this.opened(peer, session, envelope, plain);
        return;
      } catch (error) {
        if (!(error instanceof Drop) || error.reason === "bad_frame") throw error;
        if (reason === "no_session" || error.reason !== "bad_cipher") ({ reason } = error);
      }
    }
    throw new Drop(reason);
  }

  async opened(peer, session, envelope, plain) {
    if (session.proven) {
      const count = peer.follow.sid === session.sid ? peer.follow.count + 1 : 1;
      peer.follow = { sid: session.sid, count };
    }
    await this.changes(peer, peer.presence.alive(this.now));
    if (!session.a1) {
      await this.deliver(peer, session, envelope, plain);
      return;
    }
    const frame = frames.split(plain);
    if (frame.type <= 1) {
      for (const { deliver, mid, reply } of peer.frames.receive(this.now, frame)) {
        if (deliver) await this.deliver(peer, session, envelope, deliver, mid);
        if (!reply || !this.set.receipts) continue;
        const best = this.sender(peer);
        await this.sessionMessage(peer, best?.a1 ? best : session, reply, false);
      }
      return;
    }
    const out = peer.outbox.get(hex(frame.mid));
    if (!out) return;
    if (frame.type === 2) {
      out.open.delete(frame.idx);
      out.flight.delete(frame.idx);
    } else {
      peer.outbox.delete(hex(frame.mid));
      this.event("status", { id: out.id, status: frame.type === 3 ? "delivered" : "refused" });
    }
    await this.pump(peer);
  }

  async deliver(peer, session, { t, r }, plain, mid) {
    const text = plain.length <= 4096 && isUtf8(plain) ? plain.toString() : undefined;
    this.event("deliver", {
      peer: peer.fingerprint, uid: peer.uid, t, r, sid: session.sid, auth: session.auth(), encrypted: "session",
      id: mid && hex(mid), len: plain.length, sha256: hex(await sha256(plain)), hex: hex(plain), text,
    });
  }

  // --- time

  async tick() {
    const { now } = this;
    const due = this.timers.filter(({ at }) => at <= now);
    this.timers = this.timers.filter(({ at }) => at > now);
    for (const { run } of due) await run();
    let beaten = false;
    for (const [topic, channel] of this.channels) {
      if (channel.beat === null || channel.beat > now || !this.live.size) continue;
      channel.beat = this.beatTime();
      beaten = true;
      await this.signed(topic, "heartbeat", HEARTBEAT);
    }
    for (const peer of this.peers.values()) {
      const apart = ![...peer.presence.channels.values()].some(({ member }) => member);
      if (beaten && apart && peer.sessions.length && !this.literal) {
        await this.signed(this.inboxOf(peer), "heartbeat", HEARTBEAT, { to: peer });
      }
      await this.changes(peer, peer.presence.tick(now));
      await this.tickPending(peer);
      peer.frames.tick(now);
      for (const [mid, { id, deadline }] of peer.outbox) {
        if (now < deadline) continue;
        peer.outbox.delete(mid);
        this.event("status", { id, status: "expired" });
      }
      if (peer.outbox.size) await this.pump(peer);
    }
    if (this.cache.size > 1000) {
      for (const [entry, until] of this.cache) if (until <= now) this.cache.delete(entry);
    }
  }

  async tickPending(peer) {
    const { pending } = peer;
    if (!pending) return;
    const age = this.now - pending.started;
    if (age >= HANDSHAKE_S) {
      peer.pending = null;
      peer.retryAfter = this.now + 10;
      this.event("handshake_timeout", { peer: peer.fingerprint, sid: pending.sid });
      const kept = peer.queue.filter(({ r }) => r && !this.literal);
      for (const item of peer.queue) {
        if (!kept.includes(item)) this.event("status", { id: item.id, status: "failed", reason: "handshake_timeout" });
      }
      peer.queue = kept;
    } else if (!this.literal && age >= (RETRIES[pending.sends - 1] ?? Infinity)) {
      await this.sendHandshake(peer);
    }
  }
}
