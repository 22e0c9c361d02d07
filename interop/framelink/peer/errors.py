"""What can go wrong, by the names of the profile."""


class Refused(Exception):
    """An establishment, a file, a setting or a local send was refused. `kind` is the profile's name for it; `reason`
    is the number of the REJECT that BOTTOM answers, None if it answers nothing (TOP: the number it was given)."""

    def __init__(self, kind, reason=None, why=""):
        super().__init__(f"{kind}: {why}" if why else kind)
        self.kind, self.reason = kind, reason


class Broken(Exception):
    """A received frame breaks the rules; `kind` says which one."""

    def __init__(self, kind):
        super().__init__(kind)
        self.kind = kind
