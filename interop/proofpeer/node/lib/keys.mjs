// Identity keys: RSA and Ed25519. Forms, signatures, key wrapping.

import sodium from "libsodium-wrappers-sumo";
import { Drop, hex, murmur3, same, sha256, subtle, unb64, unhex } from "./codec.mjs";

await sodium.ready;
export { sodium };

const ED_SPKI = unhex("302a300506032b6570032100");
const ED_PKCS8 = unhex("302e020100300506032b657004220420");
const RSA_ALGORITHM = unhex("300d06092a864886f70d0101010500");
const SIGN = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

function der(tag, ...contents) {
  const content = Buffer.concat(contents);
  const size = [];
  for (let n = content.length; n > 0; n >>= 8) size.unshift(n & 0xff);
  const head = content.length < 128 ? [tag, content.length] : [tag, 0x80 | size.length, ...size];
  return Buffer.concat([Buffer.from(head), content]);
}

function integer(bytes) {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const bare = bytes.subarray(start);
  return der(2, bare[0] & 0x80 ? Buffer.from([0]) : Buffer.alloc(0), bare);
}

/** [tag, content, rest] of the first element. */
function element(data) {
  let size = data[1];
  let at = 2;
  if (size & 0x80) {
    const count = size & 0x7f;
    if (count < 1 || count > 3) throw new Drop("bad_key");
    size = 0;
    for (let i = 0; i < count; i += 1) size = size * 256 + data[at + i];
    at += count;
  }
  if (!(at + size <= data.length)) throw new Drop("bad_key");
  return [data[0], data.subarray(at, at + size), data.subarray(at + size)];
}

function rsaNumbers(data) {
  let [tag, content] = element(data);
  if (tag !== 0x30) throw new Drop("bad_key");
  let first = element(content);
  if (first[0] === 0x30) {
    const bits = element(first[2]);
    if (bits[0] !== 3 || bits[1][0] !== 0) throw new Drop("bad_key");
    [tag, content] = element(bits[1].subarray(1));
    if (tag !== 0x30) throw new Drop("bad_key");
    first = element(content);
  }
  const second = element(first[2]);
  if (first[0] !== 2 || second[0] !== 2) throw new Drop("bad_key");
  return [first[1], second[1]];
}

function rsaForms(n, e) {
  const pkcs1 = der(0x30, integer(n), integer(e));
  return { pkcs1, spki: der(0x30, RSA_ALGORITHM, der(3, Buffer.from([0]), pkcs1)) };
}

export class Public {
  constructor(type, fields) {
    this.type = type;
    Object.assign(this, fields);
    this.uid = murmur3(this.carried);
  }

  static async rsa(n, e, carried) {
    const forms = rsaForms(n, e);
    if (carried && !same(carried, forms.spki) && !same(carried, forms.pkcs1)) throw new Drop("bad_key");
    const modulus = BigInt(`0x${hex(n)}`);
    const bits = modulus.toString(2).length;
    const negative = Boolean(n[0] & 0x80);
    if (negative || bits < 2048 || bits > 4096 || !(modulus & 1n)) throw new Drop("bad_key");
    if (BigInt(`0x${hex(e)}`) !== 65537n) throw new Drop("bad_key");
    const { spki, pkcs1 } = forms;
    const fingerprint = hex(await sha256(spki));
    return new Public("rsa", { spki, pkcs1, size: Math.ceil(bits / 8), carried: carried ?? spki, fingerprint });
  }

  static async ed(raw, carried) {
    if (!sodium.crypto_core_ed25519_is_valid_point(raw)) throw new Drop("bad_key");
    const spki = Buffer.concat([ED_SPKI, raw]);
    const fingerprint = hex(await sha256(spki));
    return new Public("ed25519", { spki, raw, carried: carried ?? spki, fingerprint });
  }

  static async parse(text) {
    let data;
    try {
      data = text.length > 800 ? null : unb64(text);
    } catch {
      data = null;
    }
    if (!data?.length) throw new Drop("bad_key");
    if (data.length === 32) return Public.ed(data, data);
    if (data.length === 44 && same(data.subarray(0, 12), ED_SPKI)) return Public.ed(data.subarray(12), data);
    return Public.rsa(...rsaNumbers(data), data);
  }

  async verify(signature, signed) {
    if (this.type === "rsa") {
      if (signature.length !== this.size) return false;
      const key = await subtle.importKey("spki", this.spki, SIGN, false, ["verify"]);
      return subtle.verify(SIGN, key, signature, signed);
    }
    if (signature.length !== 64) return false;
    const key = await subtle.importKey("raw", this.raw, "Ed25519", false, ["verify"]);
    return subtle.verify("Ed25519", key, signature, signed);
  }

  x25519() {
    return Buffer.from(sodium.crypto_sign_ed25519_pk_to_curve25519(this.raw));
  }

  async wrap(k0, { secret, sha1 } = {}) {
    if (this.type === "rsa") {
      const oaep = { name: "RSA-OAEP", hash: sha1 ? "SHA-1" : "SHA-256" };
      const key = await subtle.importKey("spki", this.spki, oaep, false, ["encrypt"]);
      return Buffer.from(await subtle.encrypt(oaep, key, k0));
    }
    const to = this.x25519();
    if (!secret) return Buffer.from(sodium.crypto_box_seal(k0, to));
    const ephemeral = sodium.crypto_scalarmult_base(secret);
    const nonce = sodium.crypto_generichash(24, Buffer.concat([ephemeral, to]));
    return Buffer.concat([ephemeral, sodium.crypto_box_easy(k0, nonce, to, secret)]);
  }
}

export class Private {
  static async load(input, form = "spki") {
    const text = input.toString("latin1").trim();
    const data = text.startsWith("-----")
      ? Buffer.from(text.replace(/-----[^-]*-----/g, ""), "base64")
      : input;
    const key = new Private();
    key.pkcs8 = data;
    if (data.length === 48 && same(data.subarray(0, 16), ED_PKCS8)) {
      key.seed = data.subarray(16);
      const pair = sodium.crypto_sign_seed_keypair(key.seed);
      const raw = Buffer.from(pair.publicKey);
      key.secret = Buffer.from(sodium.crypto_sign_ed25519_sk_to_curve25519(pair.privateKey));
      key.signer = await subtle.importKey("pkcs8", data, "Ed25519", false, ["sign"]);
      key.public = await Public.ed(raw, form === "raw" ? raw : undefined);
    } else {
      key.signer = await subtle.importKey("pkcs8", data, SIGN, true, ["sign"]);
      const jwk = await subtle.exportKey("jwk", key.signer);
      const [n, e] = [jwk.n, jwk.e].map((part) => Buffer.from(part, "base64url"));
      const padded = n[0] & 0x80 ? Buffer.concat([Buffer.from([0]), n]) : n;
      key.public = await Public.rsa(padded, e, form === "pkcs1" ? rsaForms(n, e).pkcs1 : undefined);
    }
    return key;
  }

  static async generate(type, form = "spki") {
    const rsa = { ...SIGN, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
    const pair = await subtle.generateKey(type === "rsa" ? rsa : "Ed25519", true, ["sign", "verify"]);
    return Private.load(Buffer.from(await subtle.exportKey("pkcs8", pair.privateKey)), form);
  }

  async sign(data) {
    return Buffer.from(await subtle.sign(this.public.type === "rsa" ? SIGN.name : "Ed25519", this.signer, data));
  }

  /** Throws `bad_wrap`. */
  async unwrap(wrapped) {
    const k0 = this.public.type === "rsa" ? await this.unwrapRsa(wrapped) : this.unseal(wrapped);
    if (k0?.length !== 32) throw new Drop("bad_wrap");
    return Buffer.from(k0);
  }

  async unwrapRsa(wrapped) {
    if (wrapped.length !== this.public.size) return null;
    for (const hash of ["SHA-256", "SHA-1"]) {
      const oaep = { name: "RSA-OAEP", hash };
      const key = await subtle.importKey("pkcs8", this.pkcs8, oaep, false, ["decrypt"]);
      try {
        return Buffer.from(await subtle.decrypt(oaep, key, wrapped));
      } catch {
        // the other hash
      }
    }
    return null;
  }

  unseal(wrapped) {
    if (wrapped.length !== 80) return null;
    try {
      return sodium.crypto_box_seal_open(wrapped, this.public.x25519(), this.secret);
    } catch {
      return null;
    }
  }
}
