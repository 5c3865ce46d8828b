"""Speech-to-speech with tiny models: from audio to an answer's text and speech."""

from pathlib import Path

import numpy as np
import pytest

from data.errors import InputError, MissingModelError
from models.omni import Omni
from models.predictors.thinker import AGENT, MAX_TOKENS, USER
from models.speaker import MAX_USER_AUDIO_S, Speaker, SpeakOptions
from tests.tiny import save_tiny, tiny_speaker, tiny_thinker

RATE = 24_000


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return tiny_speaker("flow-omni")


@pytest.fixture(scope="module")
def omni(speaker: Speaker) -> Omni:
    return Omni(tiny_thinker(), speaker)


def noise(seconds: float, level: float = 0.1, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (level * generator.standard_normal(round(seconds * RATE))).astype(np.float32)


def test_pieces_join_to_the_text_once_speech_may_start(omni: Omni) -> None:
    turns = [omni.exchange(USER, "", noise(1.0))]
    for seed in range(20):
        thought = omni.think(turns, seed)
        pieces = list(thought)
        assert "".join(pieces) == thought.text != ""
        steps = thought.states
        assert len(pieces) <= len(steps)
        assert thought.stopped or len(steps) == MAX_TOKENS


def test_a_seed_repeats_an_answer(speaker: Speaker) -> None:
    omni = Omni(tiny_thinker(seed=10), speaker)
    turns = [omni.exchange(USER, "", noise(1.5, seed=2))]
    first, again = omni.think(turns, 4), omni.think(turns, 4)
    assert list(first) == list(again)
    others = {"".join(omni.think(turns, seed)) for seed in range(12)}
    assert len(others) > 1


def test_speech_and_text_agree(omni: Omni, speaker: Speaker) -> None:
    """The text stream feeds the speech directly; both have the same words."""
    dialogue = speaker.open_dialogue()
    sound = noise(1.0, seed=5)
    speaker.add_turn(dialogue, USER, "", sound)
    thought = omni.think([omni.exchange(USER, "", sound)], 1)
    voice = next(iter(speaker.voices.values()))
    reply = speaker.speak(dialogue, thought, voice, SpeakOptions(seed=1))
    chunks = list(reply)
    assert chunks and reply.complete
    assert reply.text == thought.text
    reply.commit()
    assert dialogue.turns[-1].text == thought.text


@pytest.mark.parametrize("kind", ["silence", "noise", "short", "two hours"])
def test_odd_audio_is_answered(omni: Omni, kind: str) -> None:
    """Silence, noise, a click; of two hours only the end is encoded, as fast as thirty seconds."""
    sounds = {
        "silence": np.zeros(2 * RATE, np.float32),
        "noise": noise(2.0, 0.9),
        "short": noise(0.01),
        "two hours": np.zeros(7200 * RATE, np.float32),
    }
    sound = sounds[kind]
    turn = omni.exchange(USER, "", sound)
    assert turn.sound is not None and len(turn.sound) <= 25 * MAX_USER_AUDIO_S
    assert "".join(omni.think([turn], 0))


def test_only_the_end_of_a_long_turn_is_encoded(omni: Omni) -> None:
    end = noise(MAX_USER_AUDIO_S, seed=3)
    long = np.concatenate([noise(20.0, seed=4), end])
    whole, last = omni.exchange(USER, "", long), omni.exchange(USER, "", end)
    assert np.allclose(whole.sound, last.sound)


def test_user_turns_enter_as_audio_and_agent_turns_as_text(omni: Omni) -> None:
    """The user's text is ignored where there is audio; the agent's is used."""
    sound = noise(0.5)
    assert omni.exchange(USER, "The oven", sound).tokens == []
    assert omni.exchange(USER, "The oven", None).sound is None
    own = omni.exchange(AGENT, "I see.", sound)
    assert own.sound is None and omni.thinker.backbone.decode(own.tokens) == "I see."
    assert omni.exchange(AGENT, "", sound).sound is not None


def test_invalid_dialogues_are_refused(omni: Omni) -> None:
    with pytest.raises(InputError, match="neither"):
        omni.exchange(USER, " ", None)
    with pytest.raises(InputError, match="NaN"):
        omni.exchange(USER, "", np.full(RATE, np.nan, np.float32))
    with pytest.raises(InputError, match="user's"):
        omni.think([])
    with pytest.raises(InputError, match="user's"):
        omni.think([omni.exchange(AGENT, "I see.", None)])


def test_saved_weights_give_the_same_answer(omni: Omni, speaker: Speaker, tmp_path: Path) -> None:
    save_tiny(tmp_path)
    loaded = Omni.load(speaker, tmp_path)
    turns = [omni.exchange(USER, "Is the baker in?", None)]
    assert "".join(loaded.think(turns, 3))
    assert loaded.thinker.config == omni.thinker.config
    (tmp_path / "omni-thinker.safetensors").unlink()
    with pytest.raises(MissingModelError, match="train omni-thinker"):
        Omni.load(speaker, tmp_path)
