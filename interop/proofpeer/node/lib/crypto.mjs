// Key schedule, AES-GCM, AAD, encrypted channels.

import { Drop, F, b64, compact, isObject, parse, random, sha256, subtle, uint, unb64 } from "./codec.mjs";
import { sodium } from "./keys.mjs";

export async function hkdf(ikm, salt, info) {
  const key = await subtle.importKey("raw", ikm, "HKDF", false, ["deriveBits"]);
  const rule = { name: "HKDF", hash: "SHA-256", salt, info: Buffer.from(info) };
  return Buffer.from(await subtle.deriveBits(rule, key, 256));
}

const NOTHING = new Uint8Array();

export async function gcmSeal(key, nonce, plain, aad = NOTHING) {
  const imported = await subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const sealed = await subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, imported, plain);
  return Buffer.concat([nonce, Buffer.from(sealed)]);
}

/** null if it fails. */
export async function gcmOpen(key, sealed, aad = NOTHING) {
  if (sealed.length < 28) return null;
  const imported = await subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  const rule = { name: "AES-GCM", iv: sealed.subarray(0, 12), additionalData: aad };
  try {
    return Buffer.from(await subtle.decrypt(rule, imported, sealed.subarray(12)));
  } catch {
    return null;
  }
}

export const x25519Public = (secret) => Buffer.from(sodium.crypto_scalarmult_base(secret));

/** Throws for an all-zero result. */
export function x25519(secret, point) {
  const shared = Buffer.from(sodium.crypto_scalarmult(secret, point));
  if (shared.every((byte) => byte === 0)) throw new RangeError("zero");
  return shared;
}

export class Schedule {
  static async begin({ sid, initiator, responder, wrapped, k0, epk, caps }) {
    const made = new Schedule();
    made.k0 = k0;
    made.th = await sha256(F("ProofPeer/1 hs", sid, initiator, responder, wrapped, epk, caps.join(",")));
    made.kx = await hkdf(k0, made.th, "ProofPeer/1 ack");
    return made;
  }

  async finish(epk, caps, dh) {
    const ikm = Buffer.concat([this.k0, dh]);
    this.th2 = await sha256(F("ProofPeer/1 ack", this.th, epk, caps.join(",")));
    this.i2r = await hkdf(ikm, this.th2, "ProofPeer/1 i2r");
    this.r2i = await hkdf(ikm, this.th2, "ProofPeer/1 r2i");
  }
}

export function messageAad(topic, t, r, sender, sid) {
  const fixed = Buffer.concat([uint(t, 8), uint(r ? 1 : 0, 1), uint(sender, 4)]);
  return Buffer.concat([F("ProofPeer/1 msg", topic), fixed, F(sid)]);
}

export async function channelRoot(app, channel, passphrase) {
  const salt = (await sha256(F("ProofPeer/1 channel", app, channel))).subarray(0, 16);
  const password = Buffer.from(passphrase.normalize("NFC"));
  return Buffer.from(
    sodium.crypto_pwhash(32, password, salt, 3, 65536 * 1024, sodium.crypto_pwhash_ALG_ARGON2ID13),
  );
}

export async function channelKey(root, spki) {
  return hkdf(root, await sha256(spki), "ProofPeer/1 channel");
}

export async function channelAad(topic, timestamp, spki) {
  return Buffer.concat([F("ProofPeer/1 chan", topic), uint(timestamp, 8), await sha256(spki)]);
}

export async function channelSeal(root, spki, topic, timestamp, plain, nonce = random(12)) {
  const aad = await channelAad(topic, timestamp, spki);
  return b64(await gcmSeal(await channelKey(root, spki), nonce, plain, aad));
}

export async function sealValue(root, spki, topic, timestamp, value) {
  return { enc: await channelSeal(root, spki, topic, timestamp, compact(value)) };
}

export async function channelOpen(root, spki, topic, timestamp, data) {
  if (!isObject(data) || Object.keys(data).join() !== "enc" || typeof data.enc !== "string") {
    throw new Drop("plain_in_encrypted");
  }
  try {
    const aad = await channelAad(topic, timestamp, spki);
    return parse(await gcmOpen(await channelKey(root, spki), unb64(data.enc), aad));
  } catch {
    throw new Drop("bad_enc");
  }
}
