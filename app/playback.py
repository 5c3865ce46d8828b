"""What the listener is hearing now, as far as the server can know.

It goes by the page's reports, and by the clock between them.
"""

from data.audio import SAMPLE_RATE

_START_UP_S = 0.1  # a guess of the page's start-up buffer and the way, until it reports


class Playback:
    """One reply at the listener. Clock readings are seconds."""

    def __init__(self) -> None:
        self.sent = 0
        self.complete = False  # everything has been sent
        self.finished = False  # the page says that all was played
        self.late = 0  # chunks sent after the moment at which they were due
        self.first_sent_at: float | None = None
        self._reported: int | None = None
        self._reported_at = 0.0

    @property
    def begun(self) -> bool:
        return self.first_sent_at is not None

    def send(self, num_samples: int, now: float) -> None:
        """Counts samples that are sent now."""
        if self.first_sent_at is None:
            self.first_sent_at = now
        elif now - self.first_sent_at > self.sent / SAMPLE_RATE:
            self.late += 1
            # the listener waited; the schedule begins anew
            self.first_sent_at = now - self.sent / SAMPLE_RATE
        self.sent += num_samples

    def report(self, played: int, now: float, finished: bool) -> None:
        """Takes the page's word: it has played so many samples."""
        self._reported = max(self._reported or 0, min(played, self.sent))
        self._reported_at = now
        self.finished = self.finished or finished

    def position(self, now: float) -> int:
        """Samples played, at most what was sent."""
        if self.first_sent_at is None:
            return 0
        if self._reported is not None:
            guess = self._reported + (now - self._reported_at) * SAMPLE_RATE
        else:
            guess = (now - self.first_sent_at - _START_UP_S) * SAMPLE_RATE
        return int(max(0, min(self.sent, guess)))

    @property
    def reported(self) -> int | None:
        """What the page said last."""
        return self._reported

    def lead_s(self, now: float) -> float:
        """Seconds of sound that the listener has and has not played."""
        return (self.sent - self.position(now)) / SAMPLE_RATE

    def over(self, now: float, patience_s: float = 1.5) -> bool:
        """Whether all has been played, or must have been if the page is silent."""
        if not self.complete or self.first_sent_at is None:
            return False
        if self.finished and (self._reported or 0) >= self.sent:
            return True
        since = self.first_sent_at if self._reported is None else self._reported_at
        left = self.sent - (self._reported or 0)
        return now - since > left / SAMPLE_RATE + patience_s
