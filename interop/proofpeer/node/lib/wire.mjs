// Envelopes, tokens, the binding claim.

import { Drop, b64, b64u, compact, isInt, isObject, parse, same, sha256, unb64, unb64u } from "./codec.mjs";
import { Public } from "./keys.mjs";

export function sidFits(sid) {
  if (typeof sid !== "string") return false;
  const size = Buffer.byteLength(sid);
  return size >= 1 && size <= 64 && !/[\u0000-\u001f\u007f]/.test(sid);
}

function valueBytes(value, least) {
  let data = null;
  try {
    data = typeof value === "string" ? unb64(value) : null;
  } catch {
    data = null;
  }
  if (data === null || data.length < least) throw new Drop("bad_shape");
  return data;
}

const check = (fits, reason) => {
  if (!fits) throw new Drop(reason);
};

/** Steps 2 to 9. */
export function openEnvelope(payload, now, topicKind, limit = 65536) {
  check(payload.length <= limit, "too_large");
  let top;
  try {
    top = parse(payload);
  } catch {
    throw new Drop("bad_json");
  }
  check(isObject(top), "bad_json");
  check(isInt(top, "v") && top.v === 1, "bad_version");
  const { t, jwt } = top;
  check(isInt(top, "t") && t >= 0 && Number.isSafeInteger(t), "bad_time");
  check(t < 1e11, "ms_time");
  const clock = Math.floor(now);
  check(clock - t <= 60, "stale");
  check(t - clock <= 60, "future");
  check(!("r" in top) || typeof top.r === "boolean", "bad_envelope");
  check(!("jwt" in top) || typeof jwt === "string", "bad_envelope");
  check(!("m" in top) || isObject(top.m), "bad_envelope");
  check("jwt" in top || "m" in top, "bad_envelope");
  const r = top.r ?? false;
  const m = top.m ?? {};
  const hasAes = "aes" in m;
  const hasHandshake = "handshake" in m;
  if (topicKind === "channel") {
    check(jwt !== undefined && !hasAes && !hasHandshake, "misplaced");
    return { kind: "broadcast", t, r, jwt };
  }
  check(topicKind === "inbox", "misplaced");
  if (jwt !== undefined) {
    check(!hasAes, "bad_shape");
    if (!hasHandshake) return { kind: "introduction", t, r, jwt };
    const inner = m.handshake;
    check(isObject(inner) && sidFits(inner.sid), "bad_shape");
    return { kind: "handshake", t, r, jwt, sid: inner.sid, wrapped: valueBytes(inner.aes_key, 1) };
  }
  const { aes, sender_id: sender } = m;
  check(!hasHandshake && isObject(aes), "bad_shape");
  check(isInt(m, "sender_id") && sender >= 0 && sender <= 0xffffffff, "bad_shape");
  const data = valueBytes(aes.data, 28);
  if (!("sid" in aes)) {
    check(!("sid" in m) || sidFits(m.sid), "bad_shape");
    return { kind: "session", t, r, sender, sid: m.sid, data };
  }
  check(sidFits(aes.sid), "bad_shape");
  let x;
  if ("x" in m) {
    check(isObject(m.x), "bad_shape");
    if ("d" in m.x) x = valueBytes(m.x.d, 28);
  }
  return { kind: "ack", t, r, sender, sid: aes.sid, data, x };
}

/** Steps 10 to 12. */
export async function openToken(text, t) {
  const parts = text.split(".");
  let header, payload, signature;
  try {
    if (parts.length !== 3) throw new SyntaxError("segments");
    const bytes = parts.map(unb64u);
    header = parse(bytes[0]);
    payload = parse(bytes[1]);
    signature = bytes[2];
  } catch {
    throw new Drop("bad_jwt");
  }
  check(isObject(header) && typeof header.alg === "string" && !("crit" in header), "bad_jwt");
  check(isObject(payload) && typeof payload.pubkey === "string" && isInt(payload, "timestamp"), "bad_jwt");
  check(payload.timestamp === t, "ts_mismatch");
  const key = await Public.parse(payload.pubkey);
  const signed = Buffer.from(`${parts[0]}.${parts[1]}`);
  const data = payload.data ?? null;
  return { alg: header.alg, signed, signature, timestamp: t, data, hasPp: "pp" in payload, pp: payload.pp, key };
}

export function checkAlg(token) {
  const allowed = token.key.type === "rsa" ? ["RS256"] : ["EdDSA", "Ed25519", "ES256"];
  check(allowed.includes(token.alg), "bad_alg");
}

export async function checkSignature(token) {
  check(await token.key.verify(token.signature, token.signed), "bad_sig");
}

export async function makeToken(key, timestamp, data, pp, edAlg) {
  const alg = key.public.type === "rsa" ? "RS256" : edAlg ?? "EdDSA";
  const payload = { pubkey: b64(key.public.carried), timestamp, data };
  if (pp) payload.pp = pp;
  const signed = `${b64u(compact({ alg, typ: "JWT" }))}.${b64u(compact(payload))}`;
  return `${signed}.${b64u(await key.sign(Buffer.from(signed)))}`;
}

function exact(value, size) {
  const data = typeof value === "string" ? unb64u(value) : null;
  if (data?.length !== size) throw new SyntaxError("size");
  return data;
}

function capsOf(value) {
  const fits = Array.isArray(value) && value.length <= 16;
  if (!fits || !value.every((item) => typeof item === "string" && /^[a-z0-9]{1,8}$/.test(item))) {
    throw new SyntaxError("c");
  }
  return value;
}

function epkOf(value) {
  const epk = exact(value, 32);
  if (epk.every((byte) => byte === 0)) throw new SyntaxError("epk");
  return epk;
}

/** The pp claim of a token that came on that topic; `spki` is the receiver's. Throws. */
export async function openClaim(pp, topic, envelope, spki) {
  const need = (fits) => {
    if (!fits) throw new SyntaxError("claim");
  };
  need(isObject(pp) && pp.t === topic);
  exact(pp.n, 16);
  const caps = "c" in pp ? capsOf(pp.c) : [];
  const boot = "b" in pp ? exact(pp.b, 8).toString("hex") : null;
  let epk = Buffer.alloc(0);
  if (envelope.kind !== "broadcast") need(same(exact(pp.to, 32), await sha256(spki)));
  if (envelope.kind === "handshake") {
    need(pp.sid === envelope.sid && same(exact(pp.k, 32), await sha256(envelope.wrapped)));
    if ("epk" in pp) epk = epkOf(pp.epk);
  }
  return { caps, boot, epk };
}

/** J of an ack. Throws. */
export function openExtension(plain, hadEpk) {
  const value = parse(plain);
  if (!isObject(value)) throw new SyntaxError("J");
  const caps = "c" in value ? capsOf(value.c) : [];
  if (!("epk" in value)) return { caps, epk: Buffer.alloc(0) };
  if (!hadEpk) throw new SyntaxError("epk");
  return { caps, epk: epkOf(value.epk) };
}
