"""Controls in the audio: pauses, rates and times across passages."""

import numpy as np
import pytest

from data.errors import InputError
from models.delivery.lexicon import Lexicon
from models.reply import Reply
from models.speak_options import SpeakOptions
from models.speaker import Speaker
from tests.tiny import tiny_speaker

FRAME = 960


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return tiny_speaker("gpt-talker", "flow-omni")


def said(speaker: Speaker, text: str, predictor: str = "gpt-talker", **options: object) -> Reply:
    dialogue = speaker.open_dialogue(predictor)
    given = SpeakOptions(seed=1, **options)  # pyright: ignore
    reply = speaker.speak(dialogue, text, speaker.voices["one"], given)
    for _ in reply:
        pass
    return reply


@pytest.mark.parametrize("predictor", ["gpt-talker", "flow-omni"])
def test_a_pause_is_silence_of_its_length(speaker: Speaker, predictor: str) -> None:
    reply = said(speaker, "Yes. [pause 600ms] No.", predictor)
    samples = reply.samples()
    words = {word: start for word, start, _ in reply.words}
    end = round(words["No"] * 24_000)
    silent = np.flatnonzero(samples != 0)
    gaps = np.diff(silent)
    assert gaps.max() >= 0.6 * 24_000 - 1
    at = silent[gaps.argmax()]
    assert at < end <= at + gaps.max() + 2 * FRAME
    assert reply.text == "Yes. No."


@pytest.mark.parametrize("control", ["[rate 50%]", '<prosody rate="x-slow">', "[slow]", "[fast]"])
def test_a_rate_applies_to_its_content_only(speaker: Speaker, control: str) -> None:
    rate = {"[slow]": 0.8, "[fast]": 1.25, "[rate 50%]": 0.5}.get(control, 0.6)
    before = said(speaker, "The baker is in. I see the oven.")
    after = said(speaker, f"The baker is in. {control}I see the oven.")
    [*_, (_, start, _), _, _, _] = before.words
    [*_, (_, start_after, _), _, _, _] = after.words
    assert start_after == pytest.approx(start, abs=0.05)  # the preceding silence may change
    expected = start_after + (before.duration_s - start) / rate
    assert after.duration_s == pytest.approx(expected, abs=0.08)
    assert after.words[-1][2] <= after.duration_s + 1e-6


def test_a_rate_control_equals_the_rate_option(speaker: Speaker) -> None:
    one = said(speaker, "[rate 0.8]The baker is in.")
    other = said(speaker, "The baker is in.", rate=0.8)
    assert one.words == other.words
    np.testing.assert_allclose(one.samples(), other.samples(), atol=1e-4)


def test_a_volume_applies_to_its_content_only(speaker: Speaker) -> None:
    before = said(speaker, "Yes. No.").samples()
    after = said(speaker, "Yes. [volume 0.5]No.").samples()
    start = round(said(speaker, "Yes. No.").words[1][1] * 24_000)
    np.testing.assert_allclose(after[: start - FRAME], before[: start - FRAME], atol=1e-4)
    np.testing.assert_allclose(after[start + FRAME :], before[start + FRAME :] / 2, atol=1e-3)


def test_streaming_equals_the_whole(speaker: Speaker) -> None:
    text = "Yes, [pause 0.2s] the [slow]baker[/] is in. [excited]I see![/]"
    whole = said(speaker, text)
    dialogue = speaker.open_dialogue("gpt-talker")
    pieces = speaker.speak(dialogue, iter(text), speaker.voices["one"], SpeakOptions(seed=1))
    for _ in pieces:
        pass
    assert pieces.words == whole.words
    np.testing.assert_array_equal(pieces.samples(), whole.samples())


def test_phones_lie_inside_their_words(speaker: Speaker) -> None:
    reply = said(speaker, "The baker [pause 0.3s] is in, [slow]I see.")
    assert [word.word for word in reply.timed_words] == ["The", "baker", "is", "in", "I", "see"]
    last = 0.0
    for word in reply.timed_words:
        assert word.phones
        assert last <= word.start <= word.end <= reply.duration_s + 1e-6
        times = [time for _, start, end in word.phones for time in (start, end)]
        assert times == sorted(times)
        assert word.start <= times[0] and times[-1] <= word.end
        last = word.end


def test_a_manner_changes_the_plan(speaker: Speaker) -> None:
    plain = said(speaker, "The baker is in.")
    wide = said(speaker, "[monotone]The baker is in.")  # affects the plan alone
    assert plain.samples().shape != wide.samples().shape or not np.allclose(
        plain.samples(), wide.samples()
    )


@pytest.mark.parametrize("text", ["[pause 1s]", "<break/>", "[laughs]", "[slow] [/]"])
def test_controls_without_text_are_refused(speaker: Speaker, text: str) -> None:
    with pytest.raises(InputError, match="nothing to speak"):
        said(speaker, text)


@pytest.mark.parametrize("text", ["Yes [pause potato] no", "[rate 0.1]No", "<sub>No</sub>"])
def test_invalid_controls_are_refused_at_once(speaker: Speaker, text: str) -> None:
    with pytest.raises(InputError, match=r"potato|rate|alias"):
        speaker.speak(speaker.open_dialogue(), text, speaker.voices["one"])


def test_lexicons_of_speaker_and_reply(speaker: Speaker) -> None:
    asked = said(speaker, "see see")
    speaker.lexicon = Lexicon.of({"oven": "see", "baker": "no"})
    try:
        reply = said(speaker, "oven baker", lexicon=Lexicon.of({"baker": "see"}))
    finally:
        speaker.lexicon = Lexicon()
    np.testing.assert_array_equal(reply.samples(), asked.samples())
    assert [word for word, _, _ in reply.words] == ["oven", "baker"]


def test_history_has_no_controls(speaker: Speaker) -> None:
    dialogue = speaker.open_dialogue()
    reply = speaker.speak(dialogue, "Yes, [slow]I[/] see.", speaker.voices["one"])
    for _ in reply:
        pass
    reply.commit()
    assert dialogue.turns[-1].text == "Yes, I see."
