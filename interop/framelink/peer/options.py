"""Settings of a link. Both agree on `align`, `mac_init`, `seq_wrap` beforehand; the others are each side's own."""

import dataclasses

from .errors import Refused

UNLIMITED = 0xFFFFFFFF


@dataclasses.dataclass
class Options:
    align: str = "block"
    mac_init: str = "secret"
    seq_wrap: int = 0
    max_frame: int = 1 << 20
    credit: int = 4 << 20
    rekey_frames: int = 1 << 24
    rekey_blocks: int = 1 << 32
    start_seq: int = 1
    """SEQ of the first frame of both directions; a hook of the vectors."""
    grant: str = "auto"
    """`manual` sends no CREDIT of its own accord."""
    keepalive: float = 60.0
    """Seconds, 0 is off."""
    cut: int = 65536
    """Payload of the largest DATA frame sent."""

    def check(self, mode):
        """Refuses what the profile calls `bad-config` in that mode."""

        def demand(holds, why):
            if not holds:
                raise Refused("bad-config", why=why)

        keyed = mode != "raw"
        demand(self.align in ("block", "stream"), "align is block or stream")
        demand(self.mac_init in ("secret", "standard"), "mac_init is secret or standard")
        demand(self.seq_wrap in (0, 1), "seq_wrap is 0 or 1")
        demand(self.grant in ("auto", "manual"), "grant is auto or manual")
        demand(not (keyed and self.mac_init == "standard"), "mac_init=standard is for raw")
        demand(not (keyed and self.seq_wrap), "seq_wrap=1 is for raw")
        demand((1024 if keyed else 0) <= self.max_frame <= 0xFFFFFFFF, "max_frame")
        demand(1 <= self.credit <= 0x7FFFFFFF or self.credit == UNLIMITED, "credit")
        demand(2 <= self.rekey_frames <= 1 << 24, "rekey_frames")
        demand(1 << 17 <= self.rekey_blocks <= 1 << 32, "rekey_blocks")
        demand(1 <= self.cut <= 1 << 20, "cut")

    def next_seq(self, seq):
        following = (seq + 1) & 0xFFFFFFFF
        return following or self.seq_wrap

    @property
    def preamble_bits(self):
        return 1 if self.align == "stream" else 0
