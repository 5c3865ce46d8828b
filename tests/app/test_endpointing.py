"""Voice activity detection and ends of turns, to the sample."""

import numpy as np
import pytest

from app.endpointing import FRAME_MS, AudioInputSettings, Endpointer, RingBuffer, SpeechEventKind
from app.voice_activity import SileroActivity
from data.audio import SAMPLE_RATE
from data.errors import InputError
from tests.app.user_sound import silence, speechlike
from tests.app.voice_sound import espeak_voice

FLOOR = 10 ** (-65 / 20)


def listen(
    sound: np.ndarray, step: int = 480, **settings: float
) -> list[tuple[SpeechEventKind, float]]:
    endpointer = Endpointer(AudioInputSettings(**settings))
    events = []
    for start in range(0, len(sound), step):
        events += endpointer.push(sound[start : start + step])
    return [(event.kind, event.at / SAMPLE_RATE) for event in events]


def assert_one_second_is_heard(events: list[tuple[SpeechEventKind, float]]) -> None:
    """Speech from 1 to 2 s."""
    assert [kind for kind, _ in events] == [
        SpeechEventKind.STARTED,
        SpeechEventKind.PAUSED,
        SpeechEventKind.ENDED,
    ]
    assert abs(events[0][1] - 1.0) <= 0.06
    # webrtcvad holds on to speech for a few frames
    assert -0.06 <= events[2][1] - 2.0 <= 0.16


def test_start_and_end_are_accurate_to_60_ms() -> None:
    events = listen(np.concatenate([silence(1.0), speechlike(1.0), silence(1.0)]))
    assert_one_second_is_heard(events)


TIME = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE


@pytest.mark.parametrize(
    "below",
    [
        np.full(len(TIME), 0.1),
        np.full(len(TIME), -0.3),
        0.1 * np.sin(2 * np.pi * 20 * TIME),
        0.1 * np.sin(2 * np.pi * 30 * TIME),
        0.2 * np.sin(2 * np.pi * 45 * TIME),
        0.2 + 0.1 * np.sin(2 * np.pi * 37 * TIME),
    ],
)
def test_offset_and_rumble_are_not_speech(below: np.ndarray) -> None:
    sound = np.concatenate([silence(1.0), speechlike(1.0), silence(1.0)])
    events = listen((sound + below).astype(np.float32))
    assert_one_second_is_heard(events)


@pytest.mark.parametrize("step", [1, 7, 481, 960, 24_000])
def test_the_size_of_pieces_does_not_change_events(step: int) -> None:
    sound = np.concatenate([silence(0.2), speechlike(0.4), silence(0.7)])
    assert listen(sound, step) == listen(sound, len(sound))


def test_a_pause_is_not_an_end() -> None:
    sound = np.concatenate([speechlike(0.6), silence(0.45), speechlike(0.6), silence(0.8)])
    assert [kind for kind, _ in listen(sound)] == [
        SpeechEventKind.STARTED,
        SpeechEventKind.PAUSED,
        SpeechEventKind.RESUMED,
        SpeechEventKind.PAUSED,
        SpeechEventKind.ENDED,
    ]


@pytest.mark.parametrize("silence_ms", [200, 240, 300, 500])
def test_a_turn_ends_after_the_configured_silence(silence_ms: int) -> None:
    """Less than 300 ms once did not work, as a pause had to come first."""
    endpointer = Endpointer(AudioInputSettings(silence_ms=silence_ms))
    sound = np.concatenate([silence(0.3), speechlike(1.0), silence(1.0)])
    waited_ms = []
    for start in range(0, len(sound), 480):
        for event in endpointer.push(sound[start : start + 480]):
            if event.kind is SpeechEventKind.ENDED:
                waited_ms.append((endpointer.num_samples - event.at) * 1000 / SAMPLE_RATE)
    assert len(waited_ms) == 1
    assert 0 <= waited_ms[0] - silence_ms < FRAME_MS + 32  # silero judges 32 ms at once


def test_noise_silence_and_tiny_sounds_are_not_speech() -> None:
    noise = (0.001 * np.random.default_rng(0).standard_normal(72_000)).astype(np.float32)
    assert listen(noise) == []
    assert listen(np.zeros(48_000, np.float32)) == []
    assert listen(1e-3 * speechlike(1.0)) == []  # far below the floor


def test_an_endless_turn_ends() -> None:
    events = listen(speechlike(63.0), step=4800)
    assert events[0][0] is SpeechEventKind.STARTED
    assert SpeechEventKind.ENDED in [kind for kind, _ in events]


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="silence_ms is 9000"):
        AudioInputSettings(silence_ms=9000)


def test_memory_is_addressed_by_sample_and_forgets() -> None:
    memory = RingBuffer(1.0)
    sound = np.arange(60_000, dtype=np.float32)
    for start in range(0, 60_000, 500):
        memory.push(sound[start : start + 500])
    assert np.array_equal(memory.read(40_000, 40_010), sound[40_000:40_010])
    assert np.array_equal(memory.read(59_000), sound[59_000:])
    forgotten = memory.read(0)
    assert 24_000 <= len(forgotten) <= 24_500
    assert np.array_equal(forgotten, sound[-len(forgotten) :])


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_a_network_that_rests_in_silence_detects_the_same(
    noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(3)
    gap = noise * random.standard_normal(3 * SAMPLE_RATE).astype(np.float32)
    voice = espeak_voice()[: 9 * SAMPLE_RATE]
    sound = np.concatenate([part for third in np.split(voice, 3) for part in (third, gap)])
    pieces = np.split(sound, np.cumsum(random.integers(1, 3000, size=400)))
    activity = SileroActivity(0.5, FLOOR)
    rested = [flag for piece in pieces for flag in activity.push(piece)]
    monkeypatch.setattr("app.voice_activity._SILENT_WINDOWS", 10**9)
    activity = SileroActivity(0.5, FLOOR)
    frames = np.split(sound, range(480, len(sound), 480))
    awake = [flag for frame in frames for flag in activity.push(frame)]
    assert 0.2 < np.mean(awake) < 0.8
    assert np.sum(np.array(rested) != awake) <= 2
