"""Smart Turn v3: end-of-turn detection from the last 8 s of audio.

A small Whisper encoder with a classification head, trained by Daily on human and synthetic turns in
23 languages (github.com/pipecat-ai/smart-turn). It needs no transcript.
"""

from pathlib import Path

import numpy as np

from data.audio.models import onnx_session

TURN_HZ = 16_000
_WINDOW_S = 8


class SmartTurn:
    """Args:
    path: path of the weights, from `find_smart_turn`.
    """

    def __init__(self, path: Path) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor

        self._mel = FeatureExtractor(chunk_length=_WINDOW_S)
        self._session = onnx_session(path)

    def finished(self, samples: np.ndarray) -> float:
        """The probability, 0 to 1, that a turn is over.

        Args:
            samples: `[T]` at 16 kHz, the turn so far including the current silence; only the last
                8 s are used.
        """
        window = np.zeros(_WINDOW_S * TURN_HZ, np.float32)
        last = samples[-len(window) :]
        if len(last):
            window[-len(last) :] = last
        # Normalised over the whole window including leading silence, as in training.
        window = (window - window.mean()) / np.sqrt(window.var() + 1e-7)
        found = self._session.run(None, {"input_features": self._mel(window, padding=0)[None]})
        return float(found[0][0, 0])
