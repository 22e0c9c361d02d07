"""Who is online and where: the presence table of the profile."""


class Channel:
    def __init__(self):
        self.member = False
        self.seen = 0.0
        self.last_ts = -1
        self.leave_ts = -1


class Presence:
    """Of one key. Every method gives the list of changes."""

    def __init__(self):
        self.online = False
        self.last_seen = 0.0
        self.leave_ts = -1
        self.channels = {}

    def sign_of_life(self, now):
        self.last_seen = now
        if self.online:
            return []
        self.online = True
        return [{"state": "online", "reason": "seen"}]

    def on_channel(self, now, channel, ts):
        changes = []
        if ts > self.leave_ts:
            changes = self.sign_of_life(now)
            place = self.channels.setdefault(channel, Channel())
            if ts > place.leave_ts:
                place.last_ts = max(place.last_ts, ts)
                place.seen = now
                if not place.member:
                    place.member = True
                    changes.append({"state": "joined", "channel": channel, "reason": "seen"})
        return changes

    def channel_leave(self, channel, ts):
        place = self.channels.setdefault(channel, Channel())
        if ts < place.last_ts:
            return []
        place.leave_ts = max(place.leave_ts, ts)
        return self._left(channel, "leave")

    def on_inbox(self, now, ts):
        return self.sign_of_life(now) if ts > self.leave_ts else []

    def inbox_leave(self, ts):
        self.leave_ts = ts
        changes = [c for channel in sorted(self.channels) for c in self._left(channel, "leave")]
        if self.online:
            self.online = False
            changes.append({"state": "offline", "reason": "leave"})
        return changes

    def tick(self, now):
        changes = []
        for channel in sorted(self.channels):
            if now - self.channels[channel].seen > 60:
                changes += self._left(channel, "timeout")
        if self.online and now - self.last_seen > 60:
            self.online = False
            changes.append({"state": "offline", "reason": "timeout"})
        return changes

    def forget_channel(self, channel):
        changes = self._left(channel, "self")
        self.channels.pop(channel, None)
        return changes

    def _left(self, channel, reason):
        place = self.channels[channel] if channel in self.channels else Channel()
        if not place.member:
            return []
        place.member = False
        return [{"state": "left", "channel": channel, "reason": reason}]
