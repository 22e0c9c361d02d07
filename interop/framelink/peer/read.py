"""Sanctified reads: `recv` of the profile, as it is written there (profile: Reads)."""


def recv(link, size):
    """One read of `size` bytes whose timeout passes when the bytes fed so far are used up."""
    data, frames = b"", []

    def result(status, **more):
        return {"n": len(data), "data": data, "frames": frames, "status": status, **more}

    while True:
        if len(data) == size:
            return result("Full")
        header = link.header()
        if header is not None and not link.is_control(header.code) and header.length > size - len(data):
            return result("Boundary") if frames else result("TooSmall", len=header.length)
        frame = link.advance() if header is not None else None
        if frame is None and link.end is not None:
            end = link.end
            return result(end.name, **({"kind": end.kind} if end.name in ("Violation", "PeerError", "Timeout") else {}))
        if frame is None:
            return result("Slow")
        if not link.is_control(frame.code):
            data += frame.payload
            frames.append((frame.code, frame.seq, len(frame.payload)))
            link.taken(len(frame.payload))
