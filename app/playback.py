"""The server's estimate of the listener's playback position.

It follows the page's reports, and the clock between them. The clock stands still while playback is
held.
"""

from data.audio import SAMPLE_RATE

_START_UP_S = 0.1  # assumed start-up buffer and network delay, until the page reports


class Playback:
    """Playback of one reply. Times are in seconds."""

    def __init__(self) -> None:
        self.sent = 0
        self.complete = False  # everything has been sent
        self.finished = False  # the page has reported the end
        self.late = 0  # chunks sent after their deadline
        self.first_sent_at: float | None = None
        self._reported: int | None = None
        self._reported_at = 0.0
        self._held_at: float | None = None
        self._held_s = 0.0  # in all, before

    def hold(self, now: float) -> None:
        """The listener pauses."""
        if self._held_at is None:
            self._held_at = now

    def resume(self, now: float) -> None:
        """The listener plays on."""
        if self._held_at is not None:
            self._held_s += now - self._held_at
            self._held_at = None

    def _clock(self, now: float) -> float:
        return (now if self._held_at is None else self._held_at) - self._held_s

    @property
    def begun(self) -> bool:
        return self.first_sent_at is not None

    def send(self, num_samples: int, now: float) -> None:
        """Counts samples that are sent now."""
        now = self._clock(now)
        if self.first_sent_at is None:
            self.first_sent_at = now
        elif now - self.first_sent_at > self.sent / SAMPLE_RATE:
            self.late += 1
            # the listener waited; the schedule begins anew
            self.first_sent_at = now - self.sent / SAMPLE_RATE
        self.sent += num_samples

    def report(self, played: int, now: float, finished: bool) -> None:
        """Takes the page's report of samples played."""
        self._reported = max(self._reported or 0, min(played, self.sent))
        self._reported_at = self._clock(now)
        self.finished = self.finished or finished

    def position(self, now: float) -> int:
        """Samples played, at most what was sent."""
        now = self._clock(now)
        if self.first_sent_at is None:
            return 0
        if self._reported is not None:
            guess = self._reported + (now - self._reported_at) * SAMPLE_RATE
        else:
            guess = (now - self.first_sent_at - _START_UP_S) * SAMPLE_RATE
        return int(max(0, min(self.sent, guess)))

    @property
    def reported(self) -> int | None:
        """The last reported position."""
        return self._reported

    def lead_s(self, now: float) -> float:
        """Seconds of audio sent but not played."""
        return (self.sent - self.position(now)) / SAMPLE_RATE

    def over(self, now: float, patience_s: float = 1.5) -> bool:
        """Whether all has been played, or must have been if the page does not report."""
        if not self.complete or self.first_sent_at is None:
            return False
        if self.finished and (self._reported or 0) >= self.sent:
            return True
        now = self._clock(now)
        since = self.first_sent_at if self._reported is None else self._reported_at
        left = self.sent - (self._reported or 0)
        return now - since > left / SAMPLE_RATE + patience_s
