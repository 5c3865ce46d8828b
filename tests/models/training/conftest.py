"""Small dialogues of noise and a folder of tiny weights, for the recipes."""

from pathlib import Path

import numpy as np
import pytest

from data.audio import SAMPLE_RATE
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from models.training.corpus import Corpus, prepare
from tests.tiny import save_tiny

TEXTS = ("Who baked the onion?", "The baker did.", "Did you taste the pudding in the canteen?")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dialogues of noise; one claims to be synthetic and has phone times."""
    where = tmp_path_factory.mktemp("dialogues")
    generator = np.random.default_rng(0)
    for number, extra in enumerate(({"topic": "cooking"}, {})):
        turns = []
        for index, text in enumerate(TEXTS):
            seconds = 1.0 + 0.3 * index
            sound = 0.1 * generator.standard_normal(round(seconds * SAMPLE_RATE))
            # the maximum number of phones; their positions do not matter here
            phones = [["ah", i * seconds / 12, (i + 1) * seconds / 12] for i in range(12)]
            more = {"voice": f"v{index % 2}", **({"phones": phones} if extra else {})}
            turns.append(Turn(index % 2, text, samples=sound.astype(np.float32), extra=more))
        write_ncssd_dialogue(where, Dialogue(str(number), turns, extra))
    return where


@pytest.fixture(scope="module")
def corpus(root: Path) -> Corpus:
    return Corpus(prepare(root, workers=1))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("weights"))
