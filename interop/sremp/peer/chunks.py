"""CHUNKED_MESSAGE: splitting and putting together (profile: Limits)."""

from dataclasses import dataclass, field

from .wire import Refused, encode

CHUNK_SIZE = 61440
MAX_CHUNKS = 64
IDLE_S = 30
WHOLE_S = 120


def split(message, chunk_id):
    """The encoded CHUNKED_MESSAGEs that carry an encoded message."""
    parts = [message[at : at + CHUNK_SIZE] for at in range(0, len(message), CHUNK_SIZE)]
    return [
        encode("CHUNKED_MESSAGE", {
            "header": {"message_id": chunk_id, "chunk_index": index, "total_chunks": len(parts), "chunk_size": len(part)},
            "payload": part,
        })
        for index, part in enumerate(parts)
    ]


@dataclass
class _Transfer:
    total: int
    started: float
    last: float
    parts: dict = field(default_factory=dict)

    def size(self):
        return sum(map(len, self.parts.values()))


class Reassembler:
    def __init__(self, known_peer):
        self.max_size = 1048576 if known_peer else 65536
        self.max_transfers = 4 if known_peer else 1
        self.max_bytes = 4 * 1048576
        self.transfers = {}

    def check_timers(self, now):
        for transfer in self.transfers.values():
            if now - transfer.last > IDLE_S or now - transfer.started > WHOLE_S:
                raise Refused("timeout", "chunk timer")

    def add(self, now, body):
        """The whole message if this chunk completes it. `now` in seconds."""
        self.check_timers(now)
        header, payload = body["header"], body["payload"]
        number, index, total = header["message_id"], header["chunk_index"], header["total_chunks"]
        if index >= total or not payload or header["chunk_size"] != len(payload):
            raise Refused("malformed", "chunk header")
        if total > MAX_CHUNKS:
            raise Refused("limit", f"{total} chunks")
        transfer = self.transfers.get(number)
        if transfer is None:
            if len(self.transfers) >= self.max_transfers:
                raise Refused("limit", "too many transfers")
            transfer = _Transfer(total, now, now)
        if transfer.total != total or index in transfer.parts:
            raise Refused("malformed", "chunk total changed or index repeated")
        held = sum(other.size() for other in self.transfers.values())
        if transfer.size() + len(payload) > self.max_size or held + len(payload) > self.max_bytes:
            raise Refused("limit", "chunks too large")
        transfer.parts[index] = payload
        transfer.last = now
        self.transfers[number] = transfer
        if len(transfer.parts) < total:
            return None
        del self.transfers[number]
        return b"".join(transfer.parts[at] for at in range(total))
