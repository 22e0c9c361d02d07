"""Flow control of application bytes (profile: Credit)."""

from .errors import Broken
from .options import UNLIMITED

MOST = 0x7FFFFFFF


class Allowance:
    """What we may send. No limit before `start`, which is right for raw."""

    def __init__(self):
        self.left = None
        self.initial = UNLIMITED

    def start(self, credit):
        self.initial = credit
        self.left = None if credit == UNLIMITED else credit

    def add(self, amount):
        if self.left is not None:
            self.left += amount
            if self.left > MOST:
                raise Broken("credit-overflow")

    def lift(self):
        """The peer's CLOSE."""
        self.left = None

    def covers(self, length):
        return self.left is None or length <= self.left

    def ever_fits(self, length):
        """Whether a frame that is not cut is sure to be covered one day."""
        return self.left is None or length <= self.initial // 2

    def part(self, size, left):
        """How much of `size` may go now of a message of which `left` bytes are left; None is not even a frame."""
        if self.left is None:
            return size
        return None if left and not self.left else min(size, self.left)

    def use(self, length):
        if self.left is not None:
            self.left -= length


class Window:
    """What the peer may send to us."""

    def __init__(self, options):
        self.credit = options.credit if options else UNLIMITED
        self.left = None if self.credit == UNLIMITED else self.credit
        self.ungranted = 0

    def covers(self, length):
        return self.left is None or length <= self.left

    def charge(self, length):
        if self.left is not None:
            self.left -= length

    def take(self, length):
        """The application took that much; how much to grant now."""
        if self.left is None:
            return 0
        self.ungranted += length
        return self.ungranted if 2 * self.ungranted >= self.credit else 0

    def granted(self):
        self.ungranted = 0

    def open(self, amount):
        if self.left is not None:
            self.left += amount

    def lift(self):
        """Our CLOSE."""
        self.left = None
