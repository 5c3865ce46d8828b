"""Free-form instructions: what is recognised and what is ignored."""

import pytest

from models.delivery.delivery import LIMITS, MANNERS, NEUTRAL
from models.delivery.instructions import understand


@pytest.mark.parametrize(
    ("instructions", "manners"),
    [
        ("cheerful, a little slower", ("cheerful", "slow*0.5")),
        ("Speak in a cheerful and positive tone.", ("cheerful",)),
        ("Sound very sad and quiet", ("sad*1.5", "soft")),
        ("Voice Affect: Calm, composed. Tone: sincere. Pacing: slowly.", ("calm", "slow")),
        ("whisper", ("soft",)),
        ("Read it quickly with a deep voice!", ("fast", "low")),
        ("less excited", ("excited*-0.5",)),
        ("Talk slightly faster, much louder", ("fast*0.5", "loud*1.5")),
        ("ANGRY", ("angry",)),
        ("not too fast, friendly", ("cheerful",)),
    ],
)
def test_manners_are_recognised(instructions: str, manners: tuple[str, ...]) -> None:
    assert understand(instructions).manners == manners


@pytest.mark.parametrize(
    "instructions", ["", "like a pirate", "don't shout", "Use high standards.", "🙂", "说中文"]
)
def test_unknown_instructions_are_ignored(instructions: str) -> None:
    found = understand(instructions)
    assert found.delivery == NEUTRAL
    assert found.summary == "nothing"


@pytest.mark.parametrize(
    ("instructions", "field", "value"),
    [
        ("speed 0.9", "rate", 0.9),
        ("rate: 80%", "rate", 0.8),
        ("pitch +10%", "pitch", 1.1),
        ("volume of 50%", "energy", 0.5),
        ("at pace 1.2x", "rate", 1.2),
    ],
)
def test_factors_are_parsed(instructions: str, field: str, value: float) -> None:
    found = understand(instructions)
    assert getattr(found.delivery, field) == pytest.approx(value)
    assert f"{field}={value:.2f}" in found.summary


@pytest.mark.parametrize(
    "instructions",
    ["speed 99", "slow, very slow speech at speed 0.3", "pitch 900%", "volume 0.01", "rate -300%"],
)
def test_factors_are_clamped(instructions: str) -> None:
    delivery = understand(instructions).delivery
    for name, (low, high) in LIMITS.items():
        assert low <= getattr(delivery, name) <= high


def test_modifiers_scale_manners() -> None:
    rates = [understand(f"{modifier} slow").delivery.rate for modifier in ("a little", "", "very")]
    assert rates[1] == MANNERS["slow"].rate
    assert rates[0] > rates[1] > rates[2]


def test_the_summary_can_be_a_header() -> None:
    summary = understand("überschwänglich fröhlich, cheerful, a little slower").summary
    assert summary == "manner=cheerful+slow*0.5; pitch=1.05; rate=0.92; energy=1.05"
    assert summary.isascii()
