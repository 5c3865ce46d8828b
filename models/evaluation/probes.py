"""Linear probes on tokens: phones (wanted) and speaker identity (unwanted)."""

from dataclasses import dataclass

import numpy as np

CONTEXT = 2  # frames on each side that the phone probe uses


@dataclass(frozen=True)
class Probed:
    """Probe results for each utterance of the test half.

    Attributes:
        phone_errors, num_frames: misclassified frames, and frames.
        voices_right: whether the speaker was classified correctly.
        voice_chance: chance level of the speaker probe.
        texts: texts of the utterances.
    """

    phone_errors: list[int]
    num_frames: list[int]
    voices_right: list[bool]
    voice_chance: float
    texts: list[str]

    @property
    def phone_error(self) -> float:
        return sum(self.phone_errors) / sum(self.num_frames)

    @property
    def voice_accuracy(self) -> float:
        return sum(self.voices_right) / len(self.voices_right)


def probe(
    features: list[np.ndarray],
    frame_hz: float,
    phones: list[list[tuple[str, float, float]]],
    voices: list[str],
    texts: list[str],
) -> Probed:
    """Trains linear discriminants on half of the sentences and tests them on the other half.

    Args:
        features: `[length, D]` per utterance, at `frame_hz`.
        phones: (phone, start, end) in seconds, per utterance.
        voices, texts: one per utterance.
    """
    order = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    train = np.array([order[text] % 2 == 0 for text in texts])
    frames = [_with_context(rows) for rows in features]
    labels = [
        phone_labels(spoken, len(rows), frame_hz)
        for spoken, rows in zip(phones, features, strict=True)
    ]
    own = [np.full(len(rows), is_train) for rows, is_train in zip(features, train, strict=True)]
    rightly = _classified(np.concatenate(frames), np.concatenate(labels), np.concatenate(own))
    means = np.stack([np.concatenate([rows.mean(0), rows.std(0)]) for rows in features])
    right = _classified(means, np.array(voices), train)
    tested = np.flatnonzero(~train)
    lengths = [len(features[i]) for i in tested]
    by_utterance = np.split(rightly, np.cumsum(lengths)[:-1])
    errors = [int((~one).sum()) for one in by_utterance]
    said = [texts[i] for i in tested]
    return Probed(errors, lengths, right.tolist(), 1 / len(set(voices)), said)


def phone_labels(
    phones: list[tuple[str, float, float]], num_frames: int, frame_hz: float
) -> np.ndarray:
    """The phone at the middle of each frame, `[num_frames]`."""
    middles = (np.arange(num_frames) + 0.5) / frame_hz
    ends = np.array([end for _, _, end in phones])
    index = np.minimum(np.searchsorted(ends, middles, side="right"), len(phones) - 1)
    return np.array([name for name, _, _ in phones])[index]


def _with_context(rows: np.ndarray) -> np.ndarray:
    padded = np.pad(rows, ((CONTEXT, CONTEXT), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + len(rows)] for i in range(2 * CONTEXT + 1)], axis=1)


def _classified(rows: np.ndarray, labels: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Whether each row outside the training half is classified correctly."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    probe = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    probe.fit(rows[train], labels[train])
    return np.asarray(probe.predict(rows[~train]) == labels[~train])


def code_use(codes: list[np.ndarray], num_codes: int) -> tuple[float, float]:
    """Share of codes in use, and entropy in bits, of codes `[length, heads]`, averaged over
    heads."""
    joined = np.concatenate(codes)
    shares, bits = [], []
    for head in range(joined.shape[1]):
        counts = np.bincount(joined[:, head], minlength=num_codes)
        likely = counts[counts > 0] / counts.sum()
        shares.append(len(likely) / num_codes)
        bits.append(-(likely * np.log2(likely)).sum())
    return float(np.mean(shares)), float(np.mean(bits))
