// Who is online and where: the presence table of the profile, for one key.

export class Presence {
  online = false;
  lastSeen = 0;
  leaveTs = -1;
  channels = new Map();

  place(channel) {
    if (!this.channels.has(channel)) {
      this.channels.set(channel, { member: false, seen: 0, lastTs: -1, leaveTs: -1 });
    }
    return this.channels.get(channel);
  }

  alive(now) {
    this.lastSeen = now;
    if (this.online) return [];
    this.online = true;
    return [{ state: "online", reason: "seen" }];
  }

  onChannel(now, channel, ts) {
    if (ts <= this.leaveTs) return [];
    const changes = this.alive(now);
    const place = this.place(channel);
    if (ts <= place.leaveTs) return changes;
    place.lastTs = Math.max(place.lastTs, ts);
    place.seen = now;
    if (!place.member) {
      place.member = true;
      changes.push({ state: "joined", channel, reason: "seen" });
    }
    return changes;
  }

  channelLeave(channel, ts) {
    const place = this.place(channel);
    if (ts < place.lastTs) return [];
    place.leaveTs = Math.max(place.leaveTs, ts);
    return this.left(channel, "leave");
  }

  onInbox(now, ts) {
    return ts > this.leaveTs ? this.alive(now) : [];
  }

  inboxLeave(ts) {
    this.leaveTs = ts;
    const changes = this.sorted().flatMap((channel) => this.left(channel, "leave"));
    return changes.concat(this.offline("leave"));
  }

  tick(now) {
    const silent = this.sorted().filter((channel) => now - this.place(channel).seen > 60);
    const changes = silent.flatMap((channel) => this.left(channel, "timeout"));
    return now - this.lastSeen > 60 ? changes.concat(this.offline("timeout")) : changes;
  }

  forget(channel) {
    const changes = this.channels.has(channel) ? this.left(channel, "self") : [];
    this.channels.delete(channel);
    return changes;
  }

  sorted() {
    return [...this.channels.keys()].sort((a, b) => a - b);
  }

  left(channel, reason) {
    const place = this.place(channel);
    if (!place.member) return [];
    place.member = false;
    return [{ state: "left", channel, reason }];
  }

  offline(reason) {
    if (!this.online) return [];
    this.online = false;
    return [{ state: "offline", reason }];
  }
}
