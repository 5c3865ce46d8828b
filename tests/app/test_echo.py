"""The echo canceller subtracts the agent's own voice, as it was played, from the microphone."""

import numpy as np
import pytest

from app.echo import EchoCanceller
from data.audio import SAMPLE_RATE
from data.synthetic import espeak

STEP = SAMPLE_RATE // 50
DELAY = round(0.15 * SAMPLE_RATE)
ADAPTED_S = 0.8
AUDIBLE_DB = -48.0


def voice(name: str, text: str) -> np.ndarray:
    said = espeak.speak(name, text)
    at = np.arange(0, len(said.samples), said.sample_rate / SAMPLE_RATE)
    return (0.5 * np.interp(at, np.arange(len(said.samples)), said.samples)).astype(np.float32)


def num_audible(
    played: np.ndarray,
    gains: dict[float, float] | None = None,
    told: bool = True,
    obeys: bool = True,
) -> int:
    """How many steps of 20 ms of the echo remain audible, once it has adapted.

    Args:
        played: the agent's samples [T].
        gains: by second, the gain that the client is asked for.
        told: whether the canceller knows of it.
        obeys: whether the client plays at it, a little later.
    """
    canceller, volume = EchoCanceller(), np.ones(len(played) + DELAY, np.float32)
    for second, gain in (gains or {}).items():
        volume[round(second * SAMPLE_RATE) + DELAY :] = gain if obeys else 1.0
    echo = 0.5 * np.concatenate([np.zeros(DELAY, np.float32), played]) * volume
    noise = 4e-4 * np.random.default_rng(3).standard_normal(len(echo)).astype(np.float32)
    asked = {round(second * SAMPLE_RATE) // STEP: gain for second, gain in (gains or {}).items()}
    audible = 0
    for number in range(len(played) // STEP):
        at = number * STEP
        canceller.sent(played[at : at + STEP], anew=at == 0)
        if told and number in asked:
            canceller.duck(asked[number])
        left = canceller.clean((echo + noise)[at : at + STEP])
        is_adapted = at > ADAPTED_S * SAMPLE_RATE
        audible += is_adapted and 20 * np.log10(np.sqrt(np.mean(left**2)) + 1e-9) > AUDIBLE_DB
    return audible


def test_it_remembers_the_filter_through_sounds_that_do_not_excite_it() -> None:
    """It was fitted anew to the last 0.4 s, and after a vowel the next consonant passed."""
    assert not num_audible(voice("cmn+f2", "我来告诉你，这张专辑是她的首张专辑，非常好听。"))


@pytest.mark.parametrize("until_s", [2.0, 1.16])
def test_it_knows_at_which_gain_the_agent_was_played(until_s: float) -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal(3 * SAMPLE_RATE).astype(np.float32)
    gains = {1.0: 0.25, until_s: 1.0}
    assert num_audible(noise, gains) <= 2 < num_audible(noise, gains, told=False)


def test_a_client_that_does_not_duck_is_cancelled_as_before() -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal(3 * SAMPLE_RATE).astype(np.float32)
    assert not num_audible(noise, {1.0: 0.25, 2.0: 1.0}, obeys=False)


@pytest.mark.parametrize("pause_s", [0.3, 0.6, 1.2])
@pytest.mark.parametrize("text", ["Or is there anything else?", "Movies like that are good."])
def test_it_keeps_the_filter_through_a_pause_of_the_agent(pause_s: float, text: str) -> None:
    """It was fitted to the noise of the room, and the first word behind the pause passed."""
    pause = np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
    said = [voice("en-us", "I found the second one for you."), pause, voice("en-us", text)]
    assert not num_audible(np.concatenate(said))
