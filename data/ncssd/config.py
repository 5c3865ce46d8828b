"""All settings of the dataset builder, with units and defaults."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import InputError


@dataclass(frozen=True)
class DecodeConfig:
    """Decoding of media files."""

    keep_damaged: bool = False  # use the readable part of damaged or truncated files
    channels: str = "auto"  # detect files with one speaker per channel; "mix" always downmixes
    max_clipped: float = 0.05  # fraction of a file's samples at full scale


@dataclass(frozen=True)
class ActivityConfig:
    """Voice activity detection (silero-vad) and scenes."""

    threshold: float = 0.5  # speech probability at which speech begins
    min_speech_s: float = 0.1
    min_silence_s: float = 0.2  # shorter silences do not split a span of speech
    scene_silence_s: float = 4.0  # longer silences end a scene (NCSSD, section 3)
    min_scene_s: float = 15.0
    min_speech_share: float = 0.3  # fraction of a scene's duration
    max_scene_s: float = 600.0  # longer scenes are split at a pause, to bound memory


@dataclass(frozen=True)
class BackgroundConfig:
    """Noise and source separation."""

    separation: str = "none"  # or "demucs", which must be installed with its model
    min_snr_db: float = 4.0  # NCSSD keeps vocals at least 4 dB above the background


@dataclass(frozen=True)
class SpeakersConfig:
    """Diarisation."""

    split_distance: float = 0.055  # embedding distance above which a stretch is split
    window_s: float = 1.2  # window of an embedding
    hop_s: float = 0.4
    min_cluster_s: float = 4.0  # smaller clusters join the nearest
    bridge_s: float = 0.3  # shorter pauses of a speaker do not split a segment
    switch_cost: float = 8.0  # penalty in nats for a change of speakers
    overlap_gain: float = -1.0  # bonus in nats per frame of overlap; higher finds more overlaps


@dataclass(frozen=True)
class TurnsConfig:
    """Two-speaker windows and turns."""

    merge_s: float = 2.0  # segments of a speaker with a shorter gap form one turn
    min_turn_s: float = 0.15
    min_inside_s: float = 0.4  # of a turn inside another's; shorter ones are mostly false
    min_turns: int = 4
    min_turns_each: int = 2
    min_dialogue_s: float = 8.0
    min_two_people: float = 0.8  # probability that the speakers are two people, not one


@dataclass(frozen=True)
class OverlapsConfig:
    """Separation of overlapping speech."""

    separate: bool = True
    faint_db: float = 12.0  # predicted SDR of the mixture from which it is kept as it is
    min_sdr_db: float = 5.0  # predicted SDR of separated speech below which it stays mixed


@dataclass(frozen=True)
class RecogniseConfig:
    """Transcription."""

    recogniser: str = "auto"  # Whisper, else pocketsphinx; or "endpoint", "none"
    language: str = "auto"  # detected per dialogue, or a language code
    model: str = ""  # Whisper model (folder or name), or the endpoint's model
    endpoint: str = ""  # base URL of an OpenAI-compatible API, ending in /v1
    device: str = "cpu"  # Whisper's device: "cpu", "cuda" or "auto"
    batch: int = 8  # turns that Whisper decodes at once
    second: str = "none"  # a second recogniser, to measure how far both agree
    second_model: str = ""  # its model, as `model`
    max_hmm: int = 3000  # pocketsphinx: active HMM states per frame
    max_words: int = 10  # pocketsphinx: word exits per frame


@dataclass(frozen=True)
class QualityConfig:
    """The quality filter: mean DNSMOS and SNR of a dialogue, and its share of failed turns."""

    dnsmos: bool = True
    min_dnsmos: float = 1.3  # overall score, 1 to 5; room recordings have 1.5 to 2, Emilia needs 3
    min_snr_db: float = 4.0
    max_clipped: float = 0.001  # fraction of a turn's samples at full scale
    min_bandwidth_hz: float = 3000.0
    min_rate: float = 0.3  # words (Chinese: characters) per second
    max_rate: float = 12.0
    min_confidence: float = 0.0  # of the recogniser, 0 to 1
    min_agreement: float = 0.0  # of two recognisers, 0 to 1
    max_failed_turns: float = 0.5  # fraction of a dialogue's turns


@dataclass(frozen=True)
class ExportConfig:
    """Audio of the exported dialogues."""

    level_dbfs: float = -23.0  # speech level of a dialogue or of each of its channels; 0 keeps it
    pad_s: float = 0.06  # audio kept before and after a turn


@dataclass(frozen=True)
class BuildConfig:
    """All settings, by stage; `--config FILE.json` overrides any of them.

    `device` is where the builder's networks run. It belongs to no stage, and so to no cache key:
    results of another device are used again, though they may differ in the last bits.
    """

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    activity: ActivityConfig = field(default_factory=ActivityConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    speakers: SpeakersConfig = field(default_factory=SpeakersConfig)
    turns: TurnsConfig = field(default_factory=TurnsConfig)
    overlaps: OverlapsConfig = field(default_factory=OverlapsConfig)
    recognise: RecogniseConfig = field(default_factory=RecogniseConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    device: str = "cpu"  # or "cuda", "cuda:N"; found by data.device

    def settings(self, stage: str) -> dict[str, Any]:
        """The settings of `stage`, part of its cache key; empty for a stage without settings."""
        part = getattr(self, stage, None)
        return {} if part is None else dataclasses.asdict(part)

    def replace(self, stage: str, **values: Any) -> "BuildConfig":
        """A copy with some settings of one stage changed."""
        part = dataclasses.replace(getattr(self, stage), **values)
        return dataclasses.replace(self, **{stage: part})


def read_config(path: Path | None) -> BuildConfig:
    """Reads `{"turns": {"min_turns": 6}, ...}`; missing settings keep their defaults.

    Raises:
        InputError: not JSON, an unknown stage or setting, or a value of the wrong type.
    """
    config = BuildConfig()
    if path is None:
        return config
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a JSON configuration ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f'{path}: expected {{"stage": {{"setting": value}}}}')
    for stage, values in content.items():
        if stage not in _STAGES or not isinstance(values, dict):
            raise InputError(f"{path}: unknown stage {stage!r}; known: {', '.join(_STAGES)}")
        config = config.replace(stage, **_checked(path, stage, getattr(config, stage), values))
    return config


def recogniser_of(summary: dict[str, Any]) -> RecogniseConfig:
    """The recogniser's settings of a build, from its `build.json`; settings that the build did not
    have yet get their defaults."""
    stored = summary["config"].get("recognise", {})
    names = _names(RecogniseConfig)
    return RecogniseConfig(**{name: value for name, value in stored.items() if name in names})


def _names(part: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(part)]


_STAGES = [name for name in _names(BuildConfig) if name != "device"]


def _checked(path: Path, stage: str, part: Any, values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if name not in _names(part):
            raise InputError(
                f"{path}: unknown setting {stage}.{name}; known: {', '.join(_names(part))}"
            )
        kind = type(getattr(part, name))
        number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not kind and not number:
            raise InputError(f"{path}: {stage}.{name} is {value!r}; expected {kind.__name__}")
    return values
