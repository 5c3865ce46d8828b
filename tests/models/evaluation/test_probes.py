"""Linear probes find what is encoded, and nothing else."""

import numpy as np
import pytest

from models.evaluation.codecs import CodecFacts
from models.evaluation.probes import Probed, code_use, phone_labels, probe
from models.evaluation.tokenizers import _codec_figures


def made(with_phones: bool, with_voices: bool) -> dict:
    rng = np.random.default_rng(0)
    directions = rng.normal(0, 3, (4, 6))
    features, phones, voices, texts = [], [], [], []
    for number in range(48):
        told = rng.integers(0, 2, 20)
        voice = number % 2
        rows = rng.normal(0, 1, (20, 6))
        rows += directions[told] if with_phones else 0
        rows += directions[2 + voice] if with_voices else 0
        features.append(rows)
        phones.append([("ab"[p], i / 25, (i + 1) / 25) for i, p in enumerate(told)])
        voices.append(f"v{voice}")
        texts.append(f"sentence {number // 2}")
    return {"features": features, "frame_hz": 25.0, "phones": phones, "voices": voices,
            "texts": texts}  # fmt: skip


def test_phones_and_voices_are_found_where_they_are() -> None:
    phones_only = probe(**made(True, False))
    assert phones_only.phone_error < 0.1
    assert phones_only.num_frames == [20] * 24 and phones_only.texts[:3] == [
        "sentence 1", "sentence 1", "sentence 3"
    ]  # fmt: skip
    assert 0.15 < phones_only.voice_accuracy < 0.85 and phones_only.voice_chance == 0.5
    voices_only = probe(**made(False, True))
    assert voices_only.voice_accuracy == 1
    assert voices_only.phone_error > 0.35


def test_frames_of_a_sentence_are_not_independent() -> None:
    """Eight sentences, each in two voices: four are classified correctly throughout, four
    wrongly."""
    wrong = [0, 0, 40, 40] * 4
    texts = [f"sentence {i // 2}" for i in range(16)]
    found = Probed(wrong, [40] * 16, [not errors for errors in wrong], 0.1, texts)
    facts = CodecFacts("Codec", 25.0, 0.1, 0, "yes")
    figures = {f.key: f for f in _codec_figures(facts, [], found, None)}
    phones, voices = figures["codec_phone_error"], figures["codec_voice_accuracy"]
    assert phones.value == voices.value == 50 and phones.num == 16
    for figure in (phones, voices):  # 8 if each frame were drawn by itself, 50 if each utterance
        assert figure.high - figure.low > 55


def test_labels_lie_at_frame_middles() -> None:
    phones = [("pau", 0.0, 0.05), ("a", 0.05, 0.1), ("b", 0.1, 0.2)]
    assert phone_labels(phones, 6, 25.0).tolist() == ["pau", "a", "b", "b", "b", "b"]


def test_code_use_and_entropy() -> None:
    even = np.arange(8)[:, None]
    assert code_use([even], 16) == (0.5, 3.0)
    assert code_use([np.zeros((8, 1), int)], 16) == (1 / 16, 0.0)


def test_codecs_of_the_speaker_keep_the_interface(speaker) -> None:
    from models.evaluation.codecs import LatentCodec, SemanticCodec
    from models.evaluation.sets import say
    from models.mel import num_frames

    item = say("espeak-en-us", "Two boats left the harbour.")
    import torch

    sig = torch.from_numpy(item.samples)[None]
    for codec in (SemanticCodec(speaker), LatentCodec(speaker)):
        tokens = codec.sig_to_tokens(sig)
        assert tokens.ndim == 3 and tokens.shape[:2] == (1, num_frames(len(item.samples)))
        made_samples = codec.tokens_to_sig(tokens, item)
        assert made_samples.ndim == 1
        assert abs(len(made_samples) - len(item.samples)) <= 960
        assert codec.features(tokens).shape[0] == tokens.shape[1]
    assert SemanticCodec(speaker).facts.kbps == pytest.approx(0.1)
