"""The voices of a folder of weights, and the model card's claims about the data."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.training import voices
from models.training.bundle import finish_bundle
from models.training.corpus import Corpus
from models.training.job import Job
from models.training.loop import Budget
from models.training.voices import VoicesRecipe, make_voices
from models.voice import load_voices


def test_unnamed_voices_are_those_with_most_speech(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    make_voices(Job(root, corpus, weights, tmp_path, 1, Budget(0)), VoicesRecipe(voices=1))
    seconds = {
        voice: sum(len(corpus.utterances[row].samples) for row in rows)
        for voice, rows in corpus.by_voice.items()
    }
    found = load_voices(weights)
    assert list(found) == [max(seconds, key=seconds.get)]
    style = next(iter(found.values())).style.numpy()
    assert np.isfinite(style).all() and style.std() > 0.5


def test_named_voices_keep_their_names(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "NAMED", {"v1": ("anna", "a woman"), "nobody": ("x", "y")})
    make_voices(Job(root, corpus, weights, tmp_path, 1, Budget(0)), VoicesRecipe())
    assert {name: v.description for name, v in load_voices(weights).items()} == {"anna": "a woman"}


def test_the_model_card_claims_only_known_facts(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    def card() -> str:
        (tmp_path / "acoustic").mkdir(exist_ok=True)
        (tmp_path / "acoustic" / "log.jsonl").write_text('{"level": 1, "used": 1.0}\n')
        finish_bundle(weights, tmp_path, corpus, root, seed=1)
        return (weights / "MODEL_CARD.md").read_text()

    assert "weights or recordings" not in card() and "Licence" not in card()
    assert "(k-means)" in card() and "English by gpt-talker, English by ham-tts" in card()
    config = weights / "ham-tts.json"
    both = json.loads(config.read_text()) | {"languages": ["en-us", "zh"]}
    config.write_text(json.dumps(both))
    assert "English by gpt-talker, English and Mandarin by ham-tts" in card()
    made = root / "corpus.json"
    made.write_text(json.dumps({"command": "launch.py data synthetic"}))
    try:
        assert "weights or recordings" in card() and "`launch.py data synthetic`" in card()
        (weights / "encodec.safetensors").write_bytes((weights / "style.safetensors").read_bytes())
        assert "weights or recordings" not in card() and "holds third-party weights" in card()
    finally:
        made.unlink()
        (weights / "encodec.safetensors").unlink(missing_ok=True)
