"""Token counts of answers, in the form of OpenAI's realtime API.

A text token is a word, number or sign, as speech-to-speech's thinker splits texts; an audio token
is a frame of 40 ms, as in `/v1/audio/speech`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.replies import Briefing, ChatMessage
from data.audio import SAMPLE_RATE
from models.text.words import num_pieces

FRAME = SAMPLE_RATE // 25
"""Samples of an audio token."""


@dataclass(frozen=True)
class Tokens:
    """Text and audio tokens."""

    text: int = 0
    audio: int = 0


def tokens_of(texts: Sequence[str], num_samples: int = 0) -> Tokens:
    """The tokens of texts and of 24 kHz audio."""
    return Tokens(sum(map(num_pieces, texts)), num_frames(num_samples))


def num_frames(num_samples: int) -> int:
    """The audio tokens of samples at 24 kHz; a started one counts."""
    return -(-num_samples // FRAME)


def tokens_read(messages: Sequence[ChatMessage], briefing: Briefing | None) -> Tokens:
    """The tokens of a conversation that is to be answered, with its audio, and of instructions."""
    texts = [one.call.arguments if one.call else one.text for one in messages]
    if briefing is not None:
        texts += [briefing.system_prompt, briefing.instructions]
    frames = [num_frames(round(one.seconds * SAMPLE_RATE)) for one in messages]
    return Tokens(tokens_of(texts).text, sum(frames))


def usage(read: Tokens, written: Tokens) -> dict[str, Any]:
    """The `usage` of a response."""
    inputs, outputs = read.text + read.audio, written.text + written.audio
    return {
        "total_tokens": inputs + outputs,
        "input_tokens": inputs,
        "output_tokens": outputs,
        "input_token_details": {
            "text_tokens": read.text,
            "audio_tokens": read.audio,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": written.text, "audio_tokens": written.audio},
    }
