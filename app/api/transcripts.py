"""Transcripts in the formats of OpenAI's API: JSON, text, SRT and WebVTT."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from data.languages import OPENAI_NAMES
from data.recognition.recognizer import TimedWord
from data.recognition.recordings import Passage, joined

_PAUSE_S = 0.6  # between two segments
_MAX_SEGMENT_S = 6.0
_MAX_SPEECH_S = 30.0  # of one speaker's segment
_LEAST = 1e-10  # probability
TYPES = {"text": "text/plain", "srt": "text/plain", "vtt": "text/vtt"}


class Segment(NamedTuple):
    """A part of a transcript; `speaker` is "A", "B", ..., or "" if speakers are not told apart."""

    text: str
    start: float
    end: float
    speaker: str = ""


@dataclass(frozen=True)
class Transcript:
    """A transcript of a recording of `seconds`.

    Attributes:
        passages: its passages.
        seconds: duration of the recording.
        asked_language: the client's language code, if any.
        turns: who speaks when (start, end, speaker); empty if speakers are not told apart.
    """

    passages: list[Passage]
    seconds: float
    asked_language: str | None = None
    turns: Sequence[tuple[float, float, int]] = ()

    @property
    def text(self) -> str:
        return joined([passage.text for passage in self.passages])

    @property
    def language(self) -> str:
        """The language of most of it."""
        lengths: Counter[str] = Counter()
        for passage in self.passages:
            lengths[passage.language or ""] += len(passage.text)
        found = max(lengths, key=lambda name: lengths[name], default="")
        return found or self.asked_language or "en"

    @property
    def segments(self) -> list[Segment]:
        return [segment for passage in self.passages for segment in segments_of(passage)]

    @property
    def speeches(self) -> list[Segment]:
        """Segments of one speaker each, in order."""
        return [one for passage in self.passages for one in speeches_of(passage, self.turns)]


def segments_of(passage: Passage) -> list[Segment]:
    """Segments between pauses; a single one without word timestamps."""
    if not passage.words:
        return [Segment(passage.text, passage.start, passage.end)]
    groups: list[list[int]] = []
    for at, (_, start, end) in enumerate(passage.words):
        last = [passage.words[number] for number in groups[-1]] if groups else []
        if last and start - last[-1][2] < _PAUSE_S and end - last[0][1] < _MAX_SEGMENT_S:
            groups[-1].append(at)
        else:
            groups.append([at])
    return [_segment(passage, group) for group in groups]


def speeches_of(passage: Passage, turns: Sequence[tuple[float, float, int]]) -> Iterator[Segment]:
    """Segments of one speaker each; a word is of whoever speaks most during it, or nearest."""
    words, begun, speaker = passage.words or (), list[int](), 0
    for at, word in enumerate(words):
        who = _speaker_of(word, turns, speaker)
        if begun and (who != speaker or word[2] - words[begun[0]][1] > _MAX_SPEECH_S):
            yield _segment(passage, begun, _name(speaker))
            begun = []
        speaker = who
        begun.append(at)
    if begun:
        yield _segment(passage, begun, _name(speaker))


def _segment(passage: Passage, group: list[int], speaker: str = "") -> Segment:
    """The segment of some consecutive words, by index."""
    words = passage.words or ()
    text = "".join(_slices(passage)[group[0] : group[-1] + 1]).strip()
    return Segment(text, words[group[0]][1], words[group[-1]][2], speaker)


def _slices(passage: Passage) -> list[str]:
    """The text cut at the end of each word; words may not be parted by spaces."""
    words = [word for word, _, _ in passage.words or ()]
    found, at = [], 0
    for word in words:
        start = passage.text.find(word, at)
        if start < 0:  # the words are not those of the text
            starts = [joined(words[:number]) for number in range(len(words) + 1)]
            return [b[len(a) :] for a, b in itertools.pairwise(starts)]
        found.append(passage.text[at : start + len(word)])
        at = start + len(word)
    return [*found[:-1], found[-1] + passage.text[at:]] if found else []


def _speaker_of(word: TimedWord, turns: Sequence[tuple[float, float, int]], before: int) -> int:
    _, start, end = word
    shared: Counter[int] = Counter()
    for first, last, who in turns:
        if first < end and last > start:
            shared[who] += min(end, last) - max(start, first)  # type: ignore[assignment]
    if shared:
        return max(shared, key=lambda who: (shared[who], who == before))
    middle = (start + end) / 2
    distances = [(max(a - middle, middle - b), who) for a, b, who in turns]
    return min(distances, default=(0.0, before))[1]


def _name(speaker: int) -> str:
    """A, B, ..., Z, AA, ..."""
    name, number = "", speaker + 1
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def logprobs_of(passage: Passage, leading: str = "") -> list[dict[str, Any]]:
    """Log probabilities by word, with the spaces before it: the tokens make up the text.

    Args:
        passage: with words and confidences.
        leading: what stands before it in the transcript.
    """
    found = []
    for token, confidence in zip(_slices(passage), passage.confidences or (), strict=True):
        token = token if found else leading + token
        logprob = round(math.log(max(confidence, _LEAST)), 4)
        found.append({"token": token, "logprob": logprob, "bytes": list(token.encode())})
    return found


def written(
    transcript: Transcript,
    kind: str,
    granularities: Sequence[str] = (),
    more: dict[str, Any] | None = None,
) -> bytes:
    """The response body in a `response_format`; `more` are further fields of JSON."""
    if kind == "text":
        return (transcript.text + "\n").encode()
    if kind == "srt":
        return _srt(transcript.segments).encode()
    if kind == "vtt":
        return _vtt(transcript.segments).encode()
    body: dict[str, Any] = {"text": transcript.text}
    if kind == "diarized_json":
        body = {"task": "transcribe", "duration": round(transcript.seconds, 3), **body}
        body["segments"] = [
            diarized(segment, number) for number, segment in enumerate(transcript.speeches)
        ]
    if kind == "verbose_json":
        body = {
            "task": "transcribe",
            "language": OPENAI_NAMES[transcript.language],
            "duration": round(transcript.seconds, 3),
            **body,
        }
        if "segment" in granularities:
            body["segments"] = [
                {"id": number, **_times(one.start, one.end), "text": one.text}
                for number, one in enumerate(transcript.segments)
            ]
        if "word" in granularities:
            body["words"] = [
                {"word": word, **_times(start, end)}
                for passage in transcript.passages
                for word, start, end in passage.words or ()
            ]
    return json.dumps({**body, **(more or {}), "usage": usage(transcript)}).encode()


def usage(transcript: Transcript) -> dict[str, Any]:
    """The duration of the audio."""
    return {"type": "duration", "seconds": round(transcript.seconds, 3)}


def diarized(segment: Segment, number: int) -> dict[str, Any]:
    """A speaker's segment, also as an event."""
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number}",
        **_times(segment.start, segment.end),
        "speaker": segment.speaker,
        "text": segment.text,
    }


def _times(start: float, end: float) -> dict[str, float]:
    return {"start": round(start, 3), "end": round(end, 3)}


def _srt(segments: list[Segment]) -> str:
    return "".join(
        f"{number}\n{_clock(one.start, ',')} --> {_clock(one.end, ',')}\n{one.text}\n\n"
        for number, one in enumerate(segments, 1)
    )


def _vtt(segments: list[Segment]) -> str:
    return "WEBVTT\n\n" + "".join(
        f"{_clock(one.start, '.')} --> {_clock(one.end, '.')}\n{one.text}\n\n" for one in segments
    )


def _clock(seconds: float, mark: str) -> str:
    whole, ms = divmod(round(1000 * seconds), 1000)
    minutes, s = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{s:02}{mark}{ms:03}"
