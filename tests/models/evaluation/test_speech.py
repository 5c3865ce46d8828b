"""Figures of spoken sentences: missing scores are excluded, sentences resampled as a whole."""

import numpy as np

from models.evaluation.figures import Figure
from models.evaluation.replies import SpokenReply
from models.evaluation.speech import _COLUMNS, _figures

TEXTS = [f"sentence {i // 3}" for i in range(30)]  # each in three voices
BY_SENTENCE = np.repeat(np.arange(10.0), 3)
SILENT = 4


def figures(**columns: np.ndarray) -> dict[str, Figure]:
    """Figures of replies whose scores depend on the sentence alone; one is silent."""
    whole = [i for i in range(30) if i != SILENT]
    rows = {key: columns.get(key, np.ones(30))[whole] for key in _COLUMNS}
    sound = np.zeros(0, np.float32)
    spoken = [
        SpokenReply(sound, retries=int(i % 2), fault="cut off" if i % 2 else None)
        for i in BY_SENTENCE
    ]
    return {figure.key: figure for figure in _figures(rows, spoken, whole, TEXTS)}


def test_bootstrap_resamples_whole_sentences() -> None:
    found = figures(duration=BY_SENTENCE % 2)
    for key in ("duration", "failures", "retries"):
        assert 45 < found[key].value < 55
        # ten sentences; thirty independent replies would give 37
        assert found[key].high - found[key].low > 50, key
    assert found["duration"].num == 29 and found["failures"].num == 30


def test_unknown_pitch_is_excluded() -> None:
    pitch = np.where(BY_SENTENCE < 2, np.nan, 12.0)
    found = figures(f0_rmse_hz=pitch, pitch_dtw_hz=np.full(30, np.nan))
    assert found["f0_rmse_hz"].value == 12 and found["f0_rmse_hz"].num == 24
    assert found["pitch_dtw_hz"].num == 0 and found["pitch_dtw_hz"].note
