"""Extensions of `/v1/audio/speech`: timestamps, instructions, lexicons, several voices."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.app.fake_speaker import FakeReply, FakeSpeaker
from tests.app.live import engines, serving


class Watching(FakeSpeaker):
    """Records the options of each reply."""

    def __init__(self) -> None:
        super().__init__()
        self.options: list[Any] = []

    def speak(self, dialogue: Any, text: Any, voice: Any, options: Any = None) -> FakeReply:
        self.options.append(options)
        return super().speak(dialogue, text, voice, options)


SPEAKER = Watching()


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with serving(engines(speaker=SPEAKER)) as (place, _):
        yield place


@pytest.fixture(autouse=True)
def _fresh() -> None:
    SPEAKER.options.clear()
    SPEAKER.dialogues.clear()


def ask(place: str, **fields: Any) -> httpx.Response:
    asked = {"input": "one two three", "response_format": "pcm", **fields}
    return httpx.post(f"http://{place}/v1/audio/speech", json=asked, timeout=60)


def events(place: str, **fields: Any) -> list[dict[str, Any]]:
    lines = ask(place, stream_format="sse", **fields).text.splitlines()
    return [json.loads(line[6:]) for line in lines if line]


@pytest.mark.parametrize("speed", [1.0, 4.0, 0.25])
def test_events_have_word_timestamps(place: str, speed: float) -> None:
    told = events(place, speed=speed)
    words = [word for event in told if "words" in event for word in event["words"]]
    assert [word["word"] for word in words] == ["one", "two", "three"]
    assert told[-1]["type"] == "speech.audio.done"
    # The fake speaker knows no rate: what is beyond it is done by the tempo.
    tempo = speed / min(2.5, max(0.4, speed))
    assert words[1]["start"] == pytest.approx(0.2 / tempo, abs=2e-3)
    assert words[-1]["end"] == pytest.approx(0.6 / tempo, abs=2e-3)
    phones = [phone for word in words for phone in word["phones"]]
    assert phones[1] == {"phone": "x", "start": words[1]["start"], "end": words[1]["end"]}


@pytest.mark.parametrize(
    ("instructions", "header", "rate"),
    [
        ("cheerful, a little slower", "manner=cheerful+slow*0.5", 0.92),
        ("Speak slowly.", "manner=slow", 0.8),
        ("like a pirate", "nothing", 1.0),
        ("faster!", "manner=fast", 1.25),
        ("speed 50%", "rate=0.50", 0.5),
    ],
)
def test_instructions_are_followed_and_their_interpretation_returned(
    place: str, instructions: str, header: str, rate: float
) -> None:
    answer = ask(place, instructions=instructions)
    assert answer.headers["x-instructions-understood"].startswith(header)
    assert SPEAKER.options[-1].rate == pytest.approx(rate, abs=0.01)
    assert "x-instructions-understood" not in ask(place).headers


def test_a_requests_lexicon_is_used(place: str) -> None:
    assert ask(place, lexicon={"GIF": "/dʒɪf/"}).status_code == 200
    assert SPEAKER.options[-1].lexicon.entries == (("GIF", "/dʒɪf/"),)


@pytest.mark.parametrize(
    "text",
    [
        [{"voice": "kal", "text": "one two"}, {"voice": "awb", "text": "three four five"}],
        [{"voice": {"id": "kal"}, "text": "one two"}, {"text": "three four five"}],
        "[voice kal]one two[/][voice awb]three four five",
        '<voice name="kal">one two</voice> three four five',
        "<voice name='kal'>one two</voice><voice name='awb'>three four five</voice>",
    ],
)
def test_several_voices_speak_one_dialogue(place: str, text: Any) -> None:
    told = events(place, input=text, voice="awb")
    sound = b"".join(base64.b64decode(event["audio"]) for event in told if "audio" in event)
    samples = np.frombuffer(sound, "<i2")
    cut = 2 * 4800

    def hz(part: np.ndarray) -> int:
        return round(np.argmax(np.abs(np.fft.rfft(part))) * 24_000 / len(part))

    assert (hz(samples[:cut]), hz(samples[cut:])) == (220, 550)
    words = [word for event in told if "words" in event for word in event["words"]]
    assert [word["start"] for word in words] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    one, other = SPEAKER.dialogues  # each voice has heard the other as its partner
    assert [(who, said) for who, said, _ in one.turns] == [(1, "one two")]
    assert [(who, said.split()) for who, said, _ in other.turns] == [
        (0, ["one", "two"]),
        (1, ["three", "four", "five"]),
    ]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"input": "Wait [pause soon]."}, "600ms"),
        ({"input": "[voice nobody]Hello."}, "nobody"),
        ({"input": [{"voice": "nobody", "text": "a"}]}, "nobody"),
        ({"input": []}, "1 to 100"),
        ({"input": [{"text": "a" * 3000}, {"text": "b" * 3000}]}, "together"),
        ({"input": [{"text": "a", "tone": "b"}]}, "tone"),
        ({"lexicon": {"a": "/日/"}}, "IPA"),
        ({"lexicon": "a"}, "lexicon"),
        ({"input": '<phoneme ph="日">a</phoneme>'}, "IPA"),
        ({"input": "<prosody rate='9'>a</prosody>"}, "2.5"),
    ],
)
def test_invalid_requests_are_rejected(place: str, fields: dict[str, Any], complaint: str) -> None:
    answer = ask(place, **fields)
    assert answer.status_code == 400, answer.text
    assert complaint in answer.json()["error"]["message"]
