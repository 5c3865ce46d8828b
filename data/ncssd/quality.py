"""Stage 8: measures the audio quality of turns and filters dialogues."""

import numpy as np

from data.audio import models, resample
from data.audio.models import MOS_SAMPLES
from data.audio.snr import frame_power
from data.ncssd.config import QualityConfig
from data.ncssd.stage import Context, drop, under
from data.ncssd.store import Row
from data.ncssd.texts import units

VERSION = 5
_RATE = 16_000
_COPY_RATE = 24_000
_FLAGS = {
    "snr": "--min-snr",
    "clipped": "--max-clipped",
    "bandwidth": "--min-bandwidth",
    "rate": "quality.min_rate, quality.max_rate",
    "confidence": "--min-confidence",
    "agreement": "--min-agreement",
}
_BAND_DROP_DB = 45.0  # bands further below the level at 300 to 3000 Hz count as empty


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `snr_db`, `dnsmos`, `clipped`, `bandwidth_hz` and `rate` to turns; drops dialogues that
    fail."""
    config = context.config.quality
    samples = context.read(row["audio"], row["start"], row["end"])
    scores = None
    if config.dnsmos:
        scores = mos_windows(resample(samples, _COPY_RATE, _RATE), context.config.device)
    language = row.get("language", "en")
    sounds: dict[int | None, tuple[np.ndarray, float]] = {}
    for channel in {turn.get("channel") for turn in row["turns"]}:
        own = context.read(row["audio"], row["start"], row["end"], channel=channel)
        sounds[channel] = own, noise_floor(own, row)
    turns = []
    for turn in row["turns"]:
        whole, floor = sounds[turn.get("channel")]
        first, last = (round((turn[k] - row["start"]) * _COPY_RATE) for k in ("start", "end"))
        own = whole[first:last]
        if "separated" in turn:
            own = context.read_turn(row, turn, turn["start"], turn["end"])
        turns.append(_measure(turn, row, own, floor, scores, language))
    for turn in turns:
        turn["failed"] = failures(turn, config)
    row = {**row, "turns": turns}
    if scores is not None:
        row["dnsmos"] = round(float(np.mean(scores)), 3)
        if row["dnsmos"] < config.min_dnsmos:
            why = under("DNSMOS", row["dnsmos"], config.min_dnsmos, "--min-dnsmos")
            return [drop(row, "low DNSMOS", why)]
    if row["snr_db"] < config.min_snr_db:
        return [drop(row, "low SNR", under("SNR", row["snr_db"], config.min_snr_db, "--min-snr"))]
    failed = [turn["failed"] for turn in turns if turn["failed"]]
    if len(failed) > config.max_failed_turns * len(turns):
        names = [name for names in failed for name in names]
        worst = max(sorted(set(names)), key=names.count)
        share = f"{names.count(worst)} of {len(turns)} turns fail by their {worst}"
        why = f"{share} ({_FLAGS[worst]}, --max-failed)"
        return [drop(row, f"turns fail: {worst}", why)]
    return [row]


def failures(turn: Row, config: QualityConfig) -> list[str]:
    """Names of the turn's measurements that are outside the limits."""
    found = []
    if turn["snr_db"] < config.min_snr_db:
        found.append("snr")
    if turn["clipped"] > config.max_clipped:
        found.append("clipped")
    if turn["bandwidth_hz"] < config.min_bandwidth_hz:
        found.append("bandwidth")
    if turn["rate"] is not None and not config.min_rate <= turn["rate"] <= config.max_rate:
        found.append("rate")
    if turn["confidence"] is not None and turn["confidence"] < config.min_confidence:
        found.append("confidence")
    if turn.get("agreement") is not None and turn["agreement"] < config.min_agreement:
        found.append("agreement")
    return found


def mos_windows(samples: np.ndarray, device: str = "cpu") -> np.ndarray:
    """DNSMOS overall score of each 9.01 s window, `[N]`, of samples `[T]` at 16 kHz.

    The last window ends with the samples; shorter samples are repeated, as in the original code.
    """
    if samples.shape[0] < MOS_SAMPLES:
        samples = np.tile(samples, -(-MOS_SAMPLES // max(1, samples.shape[0])))[:MOS_SAMPLES]
    starts = list(range(0, samples.shape[0] - MOS_SAMPLES + 1, MOS_SAMPLES))
    if samples.shape[0] - starts[-1] - MOS_SAMPLES > _RATE:
        starts.append(samples.shape[0] - MOS_SAMPLES)
    windows = np.stack([samples[s : s + MOS_SAMPLES] for s in starts]).astype(np.float32)
    return models.dnsmos_overall(windows, device)


def noise_floor(samples: np.ndarray, row: Row) -> float:
    """Mean square of the audio between turns; without pauses, the 5 % quantile."""
    power = frame_power(samples, _COPY_RATE)
    time = row["start"] + (np.arange(power.shape[0]) + 0.5) * 0.02
    spoken = np.zeros(power.shape[0], bool)
    for turn in row["turns"]:
        spoken |= (time >= turn["start"] - 0.05) & (time < turn["end"] + 0.05)
    pause = power[~spoken]
    return float(pause.mean() if pause.shape[0] >= 15 else np.quantile(power, 0.05))


def bandwidth(samples: np.ndarray) -> float:
    """The highest frequency in Hz with energy, of samples `[T]` at 24 kHz."""
    size = 1024
    num = max(1, samples.shape[0] // size)
    frames = np.resize(samples, num * size).reshape(num, size) * np.hanning(size)
    spectrum = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0) + 1e-20
    level = 10 * np.log10(np.convolve(spectrum, np.ones(9) / 9, mode="same"))
    hz = np.arange(size // 2 + 1) * _COPY_RATE / size
    speech = level[(hz >= 300) & (hz <= 3000)].max()
    return float(hz[np.flatnonzero(level > speech - _BAND_DROP_DB)[-1]])


def _measure(
    turn: Row,
    row: Row,
    own: np.ndarray,
    floor: float,
    scores: np.ndarray | None,
    language: str,
) -> Row:
    power = max(float((own**2).mean()) - floor, 1e-12) if own.shape[0] else 1e-12
    seconds = max(turn["end"] - turn["start"], 1e-3)
    spoken = len(units(turn.get("text", ""), language))
    mos = None
    if scores is not None:
        middle = (turn["start"] + turn["end"]) / 2 - row["start"]
        mos = round(float(scores[min(int(middle / 9.01), len(scores) - 1)]), 3)
    return {
        **turn,
        "snr_db": round(float(np.clip(10 * np.log10(power / max(floor, 1e-12)), -60, 60)), 2),
        "dnsmos": mos,
        "clipped": round(float((np.abs(own) >= 0.999).mean()) if own.shape[0] else 0.0, 6),
        "bandwidth_hz": round(bandwidth(own)) if own.shape[0] else 0,
        "rate": round(spoken / seconds, 3) if spoken else None,
    }
