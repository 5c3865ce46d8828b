"""Stage 3: the background of a scene.

By default this only estimates the signal-to-noise ratio, from speech and pauses. If configured,
demucs separates the speech first.
"""

from data.audio.features import RATE
from data.audio.snr import estimate_snr
from data.ncssd.separation import separate
from data.ncssd.stage import Context, drop, under
from data.ncssd.store import Row

VERSION = 2


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `snr_db` to a scene, and `audio` if speech was separated."""
    config = context.config.background
    if config.separation == "demucs":
        row = separate(row, context, key)
    samples = context.read(row["audio"], row["start"], row["end"], RATE)
    spans = [[a - row["start"], b - row["start"]] for a, b in row["speech"]]
    row = {**row, "snr_db": round(estimate_snr(samples, spans), 2)}
    if row["snr_db"] >= config.min_snr_db:
        return [row]
    why = under("SNR", row["snr_db"], config.min_snr_db, "--min-snr")
    return [drop(row, "low SNR", why)]
