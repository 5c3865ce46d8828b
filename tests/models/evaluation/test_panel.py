"""Judges run once per sound, whatever the order, the processes and a killed run."""

from pathlib import Path

import numpy as np

from models.evaluation.panel import Panel

_ASKED: list[int] = []


def length_of(samples: np.ndarray, text: str = "") -> list:
    _ASKED.append(len(samples))
    return [len(samples), text, round(float(np.abs(samples).max(initial=0)), 3)]


def sounds(num: int) -> list[tuple]:
    rng = np.random.default_rng(0)
    return [(rng.uniform(-0.5, 0.5, 100 + i).astype(np.float32), f"t{i}") for i in range(num)]


def test_cached_scores_are_reused(tmp_path: Path) -> None:
    _ASKED.clear()
    first = Panel(1, tmp_path).ask(length_of, sounds(3))
    assert len(_ASKED) == 3 and first[2][:2] == [102, "t2"]
    again = Panel(1, tmp_path).ask(length_of, [*sounds(3)[::-1], *sounds(3)])
    assert len(_ASKED) == 3
    assert again == first[::-1] + first
    Panel(1, tmp_path).ask(length_of, [(sounds(1)[0][0], "another text")])
    assert len(_ASKED) == 4


def test_without_a_cache_every_panel_recomputes() -> None:
    _ASKED.clear()
    for _ in range(2):
        Panel(1).ask(length_of, sounds(2))
    assert len(_ASKED) == 4


def test_a_truncated_cache_line_is_recomputed(tmp_path: Path) -> None:
    Panel(1, tmp_path).ask(length_of, sounds(2))
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:-20])
    _ASKED.clear()
    assert len(Panel(1, tmp_path).ask(length_of, sounds(2))) == 2
    assert len(_ASKED) == 1


def test_sounds_are_scored_as_16_bits() -> None:
    samples = np.array([2.0, -3.0, 0.1], np.float32)
    assert Panel(1).ask(length_of, [(samples,)])[0][2] == 1.0
