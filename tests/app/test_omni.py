"""Speech-to-speech in the chat answers audio without a recogniser."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from app.history import AGENT, USER
from app.omni import OmniResponder
from app.replies import ChatMessage
from app.speech_worker import SpeechWorker
from data.errors import InputError, MissingModelError
from models.speaker import Speaker
from tests.app.stage import Stage
from tests.app.user_sound import silence, speechlike
from tests.tiny import save_tiny, tiny_speaker


class Hears:
    """A responder that answers with the length of the audio."""

    name = "speech-to-speech"
    takes_audio = True

    def __init__(self) -> None:
        self.seen: list[list[ChatMessage]] = []

    def reply(self, history: Sequence[ChatMessage]) -> Iterator[str]:
        self.seen.append(list(history))
        yield "I heard"
        yield " a sound."


def test_audio_is_answered_without_recognition() -> None:
    hears = Hears()
    stage = Stage("these words are for nobody", responder=hears)
    sound = speechlike(1.2)
    stage.say(np.concatenate([silence(0.6), sound, silence(3.0)]))
    stage.wait(3.0)
    user, agent = stage.of("turn")
    assert user["text"] == "" and user["wordless"] and not agent["wordless"]
    assert agent["text"] == "I heard a sound."
    assert not stage.recognizer.opened and not stage.of("partial")
    heard = hears.seen[0][-1].sound()
    assert 1.2 <= len(heard) / 24_000 < 2.2
    # the speech models hear the turn too, without words
    (who, text, samples), *_ = stage.speaker.dialogues[-1].turns
    assert (who, text) == (USER, "") and len(samples) == len(heard)


def test_short_turns_are_accepted() -> None:
    """Without recognition, missing words are no reason to drop a short turn."""
    stage = Stage(responder=Hears())
    stage.say(np.concatenate([silence(0.6), speechlike(0.3), silence(2.0)]))
    stage.wait(2.0)
    assert [turn["who"] for turn in stage.of("turn")] == ["user", "agent"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return tiny_speaker("flow-omni")


def test_history_has_audio_of_the_user_and_text_of_the_agent(
    speaker: Speaker, weights: Path
) -> None:
    responder = OmniResponder(speaker, weights)
    listened: list[int] = []
    sounds = [speechlike(0.5, seed=seed) for seed in (1, 2)]
    history = [
        ChatMessage(USER, "", sound=lambda: sounds[0]),
        ChatMessage(AGENT, "I see.", sound=lambda: pytest.fail("its own words are known")),
        ChatMessage(USER, "is the baker in"),
        ChatMessage(AGENT, ""),
        ChatMessage(USER, "", sound=lambda: sounds[1]),
    ]
    exchange = responder._loaded().exchange

    def watch(who: int, text: str, samples: np.ndarray | None):
        listened.append(0 if samples is None else len(samples))
        return exchange(who, text, samples)

    responder._loaded().exchange = watch  # type: ignore[method-assign]
    assert "".join(responder.reply(history))
    assert listened == [12_000, 0, 0, 12_000]
    assert "".join(responder.reply(history))
    assert listened[4:] == [0, 0]  # what was heard once is not heard again


SIGNS = (":-)", "🙂", "...")


@pytest.mark.parametrize("signs", SIGNS)
def test_a_typed_turn_without_words_is_skipped(speaker: Speaker, weights: Path, signs: str) -> None:
    """It has nothing to speak; every answer failed while it was in the context."""
    responder = OmniResponder(speaker, weights)
    asked = [ChatMessage(USER, "is the baker in"), ChatMessage(AGENT, "I see.")]
    with pytest.raises(InputError, match="neither audio nor text"):
        list(responder.reply([*asked, ChatMessage(USER, signs)]))
    later = [ChatMessage(USER, signs), *asked, ChatMessage(USER, "yes")]
    assert "".join(responder.reply(later))


def test_turns_without_words_do_not_break_other_predictors(speaker: Speaker) -> None:
    """The turns after them were lost."""
    speech_worker = SpeechWorker(speaker, lambda: None, time.monotonic, "flow-omni")
    turns = [
        (USER, "Hello.", None),
        *[(USER, signs, None) for signs in SIGNS],
        (AGENT, "Hi.", None),
    ]
    speech_worker.rebuild(turns, "flow-omni")
    done = threading.Event()
    speech_worker._submit(done.set)
    assert done.wait(60)
    assert [turn.text for turn in speech_worker._dialogue.turns] == ["Hello.", "Hi."]
    speech_worker.close()


def test_missing_weights_are_reported_on_use(speaker: Speaker, tmp_path: Path) -> None:
    responder = OmniResponder(speaker, tmp_path)
    with pytest.raises(MissingModelError, match=r"launch\.py train omni-thinker"):
        list(responder.reply([ChatMessage(USER, "hello")]))
