// One session: keys, nonces, what was seen.

import { Drop, same, uint } from "./codec.mjs";
import { gcmOpen, gcmSeal, messageAad } from "./crypto.mjs";

const WINDOW = 1024;

export class Session {
  counter = 0;
  theirPrefix = null;
  high = -1;
  seen = new Set();
  wrappedHash = null;
  ack = null;
  ackAt = -1e9;
  rival = null;

  /** sid, role, send, recv (keys), prefix, created, d1, a1, proven, fs */
  constructor(fields) {
    Object.assign(this, { d1: false, a1: false, proven: false, fs: false }, fields);
  }

  auth() {
    return { proven: this.proven, bound: this.d1, forward_secret: this.d1 && this.fs };
  }

  nonce() {
    this.counter += 1;
    return Buffer.concat([this.prefix, uint(this.counter - 1, 6)]);
  }

  seal(plain, topic, t, r, sender) {
    const aad = this.d1 ? messageAad(topic, t, r, sender, this.sid) : undefined;
    return gcmSeal(this.send, this.nonce(), plain, aad);
  }

  async open(data, topic, t, r, sender, naive) {
    const nonce = data.subarray(0, 12);
    const prefix = hexOf(nonce.subarray(0, 6));
    const counter = nonce.readUIntBE(6, 6);
    if (!naive) {
      if (same(nonce.subarray(0, 6), this.prefix)) throw new Drop("reflected");
      const old = this.d1
        ? prefix === this.theirPrefix && (this.seen.has(counter) || counter <= this.high - WINDOW)
        : this.seen.has(hexOf(nonce));
      if (old) throw new Drop("replay");
    }
    const plain = await gcmOpen(this.recv, data, this.d1 ? messageAad(topic, t, r, sender, this.sid) : undefined);
    if (plain === null) throw new Drop("bad_cipher");
    if (naive) return plain;
    if (!this.d1) {
      this.seen.add(hexOf(nonce));
      return plain;
    }
    this.theirPrefix ??= prefix;
    if (this.theirPrefix !== prefix) throw new Drop("replay");
    this.high = Math.max(this.high, counter);
    this.seen.add(counter);
    if (this.seen.size > 4 * WINDOW) {
      for (const value of this.seen) if (value <= this.high - WINDOW) this.seen.delete(value);
    }
    return plain;
  }
}

const hexOf = (data) => data.toString("hex");
