// Frames (a1): parsing, cutting, reassembly.

import { Drop, same, uint } from "./codec.mjs";

const HEADER = 13;
const IDLE = 60;
const KEPT = 48 * 3600;
export const MESSAGE_LIMIT = 16 << 20;

export function build(type, mid, idx = 0, count = 0, body = Buffer.alloc(0)) {
  return Buffer.concat([Buffer.from([type]), mid, uint(idx, 2), uint(count, 2), body]);
}

export function split(frame) {
  if (frame.length < HEADER) throw new Drop("bad_frame");
  const [type, mid, body] = [frame[0], frame.subarray(1, 9), frame.subarray(HEADER)];
  const [idx, count] = [frame.readUInt16BE(9), frame.readUInt16BE(11)];
  const bare = idx === 0 && count === 0;
  const fits = [
    idx < count,
    idx < count,
    count === 0 && body.length === 0,
    bare && body.length === 0,
    bare && body.length === 1 && body[0] >= 1 && body[0] <= 3,
  ][type];
  if (!fits || mid.every((byte) => byte === 0)) throw new Drop("bad_frame");
  return { type, mid, idx, count, body };
}

export function cut(data, size) {
  const parts = [];
  for (let at = 0; at < data.length; at += size) parts.push(data.subarray(at, at + size));
  return parts.length ? parts : [Buffer.alloc(0)];
}

class Partial {
  constructor(type, count) {
    this.type = type;
    this.count = count;
    this.parts = new Map();
    this.full = null;
    this.last = 0;
  }

  fits({ type, idx, count, body }) {
    if (type !== this.type || count !== this.count) return false;
    const known = this.parts.get(idx);
    if (known) return same(known, body);
    const tail = this.parts.get(count - 1);
    if (idx === count - 1) return this.full === null || body.length <= this.full;
    if (this.full !== null) return this.full === body.length;
    return !tail || tail.length <= body.length;
  }

  add(now, { idx, body }) {
    if (idx !== this.count - 1) this.full = body.length;
    this.parts.set(idx, body);
    this.last = now;
  }

  whole() {
    return Buffer.concat(Array.from({ length: this.count }, (_, idx) => this.parts.get(idx)));
  }
}

/** Of one peer, over all its sessions. */
export class Receiver {
  constructor() {
    this.partial = new Map();
    this.delivered = new Map();
    this.dropped = new Map();
  }

  tick(now) {
    for (const [id, partial] of this.partial) {
      if (now - partial.last < IDLE) continue;
      this.partial.delete(id);
      this.dropped.set(id, { code: 1, until: partial.last + 2 * IDLE });
    }
    for (const [id, { until }] of this.dropped) if (now > until) this.dropped.delete(id);
    for (const [id, at] of this.delivered) {
      if (this.delivered.size <= 65536 && now - at <= KEPT) break;
      this.delivered.delete(id);
    }
  }

  /** A list of {deliver, mid} and {reply}. */
  receive(now, frame) {
    this.tick(now);
    const { mid, idx, count, body } = frame;
    const id = mid.toString("hex");
    const reply = (...rest) => (frame.type === 1 ? [{ reply: build(...rest) }] : []);
    if (this.delivered.has(id)) return reply(3, mid);
    if (this.dropped.has(id)) return reply(4, mid, 0, 0, Buffer.from([this.dropped.get(id).code]));
    if (count === 1) {
      if (this.partial.has(id)) throw new Drop("bad_frame");
      this.delivered.set(id, now);
      return [{ deliver: body, mid }, ...reply(3, mid)];
    }
    const partial = this.partial.get(id) ?? new Partial(frame.type, count);
    if (!partial.fits(frame)) throw new Drop("bad_frame");
    if (idx !== count - 1 && (count - 1) * body.length > MESSAGE_LIMIT) {
      this.partial.delete(id);
      this.dropped.set(id, { code: 2, until: now + IDLE });
      return reply(4, mid, 0, 0, Buffer.from([2]));
    }
    this.partial.set(id, partial);
    partial.add(now, frame);
    if (partial.parts.size < count) return reply(2, mid, idx);
    this.partial.delete(id);
    this.delivered.set(id, now);
    return [{ deliver: partial.whole(), mid }, ...reply(2, mid, idx), ...reply(3, mid)];
  }
}
