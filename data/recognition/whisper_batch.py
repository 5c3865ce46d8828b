"""Whisper's first look at several utterances, decoded in one batch."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

_HZ = 16_000
_LONGER = 1.25  # longest window of a batch over its shortest: the encoder pays for the longest


def batches(windows: Sequence[int], size: int, longest: int) -> list[list[int]]:
    """Groups utterances of similar length, shortest first.

    Args:
        windows: of each utterance, in frames.
        size: most utterances of a group.
        longest: window of utterances that take several windows, and stay alone.

    Returns:
        Indices into `windows`, each once.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(windows)), key=lambda index: windows[index]):
        last = groups[-1] if groups else []
        fits = 0 < len(last) < size and windows[index] <= _LONGER * windows[last[0]]
        if fits and windows[index] < longest:
            last.append(index)
        else:
            groups.append([index])
    return groups


def decode_batch(model: Any, sounds: Sequence[np.ndarray], **options: Any) -> list[list[Any]]:
    """Segments of each utterance, in the window that is set, by greedy search.

    One pass: what an utterance has after Whisper's last timestamp is not decoded, unlike by
    `WhisperModel.transcribe`, which looks at it again.

    Args:
        model: faster-whisper's model.
        sounds: samples `[T]` at 16 kHz, each shorter than the window.
        options: of `BatchedInferencePipeline.transcribe`.
    """
    from faster_whisper import BatchedInferencePipeline

    # The pipeline takes clips of one recording. Whole seconds keep their starts exact.
    seconds = [math.ceil(len(sound) / _HZ) for sound in sounds]
    starts = np.concatenate([[0], np.cumsum(seconds)]).tolist()
    recording = np.zeros(starts[-1] * _HZ, np.float32)
    for start, sound in zip(starts, sounds, strict=False):
        recording[start * _HZ : start * _HZ + len(sound)] = sound
    lengths = [len(sound) / _HZ for sound in sounds]
    clips = [{"start": s, "end": s + t} for s, t in zip(starts, lengths, strict=False)]
    if options.get("initial_prompt"):
        options["initial_prompt"] = " " + options["initial_prompt"]  # as `transcribe` encodes it
    segments, _ = BatchedInferencePipeline(model).transcribe(
        recording,
        clip_timestamps=clips,
        batch_size=len(sounds),
        beam_size=1,
        temperature=0.0,
        **options,
    )
    found: list[list[Any]] = [[] for _ in sounds]
    for segment in segments:
        index = starts.index(segment.seek // 100)
        if segment.text.strip() and segment.start < segment.end:
            found[index].append(_moved(segment, starts[index], lengths[index]))
    return found


def _moved(segment: Any, start: float, length: float) -> Any:
    """A segment with times from the start of its utterance, and none beyond its end."""

    def within(time: float) -> float:
        return min(max(0.0, time - start), length)

    words = [
        dataclasses.replace(word, start=within(word.start), end=within(word.end))
        for word in segment.words or ()
    ]
    return dataclasses.replace(
        segment, start=within(segment.start), end=within(segment.end), words=words
    )
