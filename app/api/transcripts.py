"""Transcripts in the formats of OpenAI's API: JSON, text, SRT and WebVTT."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data.recognition.recognizer import TimedWord

LANGUAGES = {"en": "english", "zh": "chinese"}
_PAUSE_S = 0.6  # between two segments
_MAX_SEGMENT_S = 6.0
TYPES = {"text": "text/plain", "srt": "text/plain", "vtt": "text/vtt"}


@dataclass(frozen=True)
class Transcript:
    """A transcript, with word timestamps if the recogniser has them, of a recording of `seconds`,
    and its language code."""

    text: str
    words: Sequence[TimedWord] | None
    seconds: float
    language: str = "en"

    @property
    def segments(self) -> list[TimedWord]:
        """Segments (text, start, end) between pauses; a single one without word timestamps."""
        if not self.text:
            return []
        if not self.words:
            return [(self.text, 0.0, self.seconds)]
        found: list[list[TimedWord]] = []
        for word in self.words:
            last = found[-1] if found else []
            if last and word[1] - last[-1][2] < _PAUSE_S and word[2] - last[0][1] < _MAX_SEGMENT_S:
                last.append(word)
            else:
                found.append([word])
        space = "" if self.language == "zh" else " "
        return [(space.join(w for w, _, _ in one), one[0][1], one[-1][2]) for one in found]


def written(transcript: Transcript, kind: str, granularities: Sequence[str]) -> bytes:
    """The response body in a `response_format`."""
    if kind == "text":
        return (transcript.text + "\n").encode()
    if kind == "srt":
        return _srt(transcript.segments).encode()
    if kind == "vtt":
        return _vtt(transcript.segments).encode()
    body: dict[str, Any] = {"text": transcript.text}
    usage = {"type": "duration", "seconds": round(transcript.seconds, 3)}
    if kind == "verbose_json":
        body = {
            "task": "transcribe",
            "language": LANGUAGES[transcript.language],
            "duration": round(transcript.seconds, 3),
            **body,
        }
        if "segment" in granularities:
            body["segments"] = [
                {"id": number, "start": round(start, 3), "end": round(end, 3), "text": text}
                for number, (text, start, end) in enumerate(transcript.segments)
            ]
        if "word" in granularities:
            body["words"] = [
                {"word": word, "start": round(start, 3), "end": round(end, 3)}
                for word, start, end in transcript.words or ()
            ]
    return json.dumps({**body, "usage": usage}).encode()


def _srt(segments: list[TimedWord]) -> str:
    return "".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"
        for number, (text, start, end) in enumerate(segments, 1)
    )


def _vtt(segments: list[TimedWord]) -> str:
    return "WEBVTT\n\n" + "".join(
        f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n\n" for text, start, end in segments
    )


def _clock(seconds: float, mark: str) -> str:
    whole, ms = divmod(round(1000 * seconds), 1000)
    minutes, s = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{s:02}{mark}{ms:03}"
