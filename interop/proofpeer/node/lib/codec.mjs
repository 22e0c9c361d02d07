// Strict JSON, base64, hashes and length prefixes.

import { webcrypto } from "node:crypto";

export const subtle = webcrypto.subtle;

/** A message is dropped, or a command refused, for `reason`. */
export class Drop extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

export const random = (size) => Buffer.from(webcrypto.getRandomValues(new Uint8Array(size)));
export const hex = (data) => Buffer.from(data).toString("hex");
export const unhex = (text) => Buffer.from(text, "hex");
export const same = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;

const integers = new WeakMap();

/** Was that member of a parsed object written as an integer? */
export function isInt(object, name) {
  return Boolean(integers.get(object)?.has(name));
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const DEPTH = 32;

class Parser {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.wasInt = false;
  }

  fail(why) {
    throw new SyntaxError(`${why} at ${this.at}`);
  }

  space() {
    while (" \t\n\r".includes(this.text[this.at] ?? "x")) this.at += 1;
  }

  eat(char) {
    this.space();
    if (this.text[this.at] !== char) return false;
    this.at += 1;
    return true;
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  whole() {
    const value = this.value(1);
    this.space();
    if (this.at !== this.text.length) this.fail("trailing");
    return value;
  }

  value(depth) {
    this.space();
    this.wasInt = false;
    const c = this.text[this.at];
    if (c === "{") return this.object(depth);
    if (c === "[") return this.array(depth);
    if (c === '"') return this.string();
    for (const [word, value] of [["true", true], ["false", false], ["null", null]]) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    const found = this.match(NUMBER);
    if (!found) this.fail("value");
    const number = Number(found[0]);
    if (!Number.isFinite(number)) this.fail("number");
    this.wasInt = found[1] === undefined && found[2] === undefined && found[0] !== "-0";
    return number;
  }

  object(depth) {
    if (depth > DEPTH) this.fail("depth");
    this.at += 1;
    const found = Object.create(null);
    const ints = new Set();
    if (!this.eat("}")) {
      do {
        this.space();
        if (this.text[this.at] !== '"') this.fail("name");
        const name = this.string();
        if (name in found) this.fail("duplicate member");
        if (!this.eat(":")) this.fail("colon");
        found[name] = this.value(depth + 1);
        if (this.wasInt) ints.add(name);
      } while (this.eat(","));
      if (!this.eat("}")) this.fail("object");
    }
    integers.set(found, ints);
    this.wasInt = false;
    return found;
  }

  array(depth) {
    if (depth > DEPTH) this.fail("depth");
    this.at += 1;
    const found = [];
    if (!this.eat("]")) {
      do found.push(this.value(depth + 1));
      while (this.eat(","));
      if (!this.eat("]")) this.fail("array");
    }
    this.wasInt = false;
    return found;
  }

  string() {
    this.at += 1;
    let out = "";
    for (;;) {
      out += this.match(PLAIN)[0];
      const c = this.text[this.at];
      this.at += 1;
      if (c === '"') break;
      if (c !== "\\") this.fail("string");
      const escape = this.text[this.at];
      this.at += 1;
      if (escape === "u") {
        const digits = this.text.slice(this.at, this.at + 4);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail("escape");
        out += String.fromCharCode(parseInt(digits, 16));
        this.at += 4;
      } else if (Object.hasOwn(ESCAPES, escape ?? "")) {
        out += ESCAPES[escape];
      } else {
        this.fail("escape");
      }
    }
    if (!out.isWellFormed()) this.fail("surrogate");
    return out;
  }
}

/** Strict JSON of bytes; throws. */
export function parse(data) {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  return new Parser(text).whole();
}

export const compact = (value) => Buffer.from(JSON.stringify(value));
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

export const b64 = (data) => Buffer.from(data).toString("base64");
export const b64u = (data) => Buffer.from(data).toString("base64url");

/** Base64 of a value: either alphabet, padded or not; throws. */
export function unb64(text) {
  const found = /^([A-Za-z0-9+/]*)(={0,2})$/.exec(text) ?? /^([A-Za-z0-9_-]*)(={0,2})$/.exec(text);
  if (!found || text.endsWith("\n")) throw new SyntaxError("base64");
  const want = (4 - (found[1].length % 4)) % 4;
  if (want === 3 || ![0, want].includes(found[2].length)) throw new SyntaxError("base64");
  const bare = found[1].replaceAll("+", "-").replaceAll("/", "_");
  const data = Buffer.from(bare, "base64url");
  if (b64u(data) !== bare) throw new SyntaxError("trailing bits");
  return data;
}

/** Base64url without padding; throws. */
export function unb64u(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new SyntaxError("base64url");
  const data = Buffer.from(text, "base64url");
  if (b64u(data) !== text) throw new SyntaxError("trailing bits");
  return data;
}

export async function sha256(data) {
  return Buffer.from(await subtle.digest("SHA-256", data));
}

const bytesOf = (data) => (typeof data === "string" ? Buffer.from(data) : data);

/** An unsigned big-endian integer. */
export function uint(value, size) {
  const out = Buffer.alloc(size);
  let rest = BigInt(value);
  for (let i = size - 1; i >= 0; i -= 1) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}

/** Each with its length in front. */
export function F(...items) {
  return Buffer.concat(items.flatMap((item) => [uint(bytesOf(item).length, 4), bytesOf(item)]));
}

export function murmur3(input) {
  const data = bytesOf(input);
  const rotate = (x, n) => (x << n) | (x >>> (32 - n));
  const mix = (k) => Math.imul(rotate(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593);
  const body = data.length - (data.length % 4);
  let h = 0;
  for (let i = 0; i < body; i += 4) {
    h ^= mix(data[i] | (data[i + 1] << 8) | (data[i + 2] << 16) | (data[i + 3] << 24));
    h = (Math.imul(rotate(h, 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = data.length - 1; i >= body; i -= 1) tail = (tail << 8) | data[i];
  if (data.length > body) h ^= mix(tail);
  h ^= data.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

export const channelTopic = (app, channel) => `/${murmur3(app)}/c/${murmur3(channel)}`;
export const inboxTopic = (app, uid) => `/${murmur3(app)}/u/${uid}`;
