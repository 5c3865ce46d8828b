"""Every setting of the dataset builder, in one place, with units and defaults."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import InputError


@dataclass(frozen=True)
class DecodeConfig:
    """Reading media."""

    keep_damaged: bool = False  # use what is there of a file that is damaged or ends early
    channels: str = "auto"  # use a speaker a channel where that is so; "mix" never looks


@dataclass(frozen=True)
class ActivityConfig:
    """Speech activity (silero-vad) and scenes."""

    threshold: float = 0.5  # speech probability at which speech begins
    min_speech_s: float = 0.1
    min_silence_s: float = 0.2  # shorter silences do not end a stretch of speech
    scene_silence_s: float = 4.0  # a longer silence ends the scene (NCSSD, section 3)
    min_scene_s: float = 15.0
    min_speech_share: float = 0.3
    max_scene_s: float = 600.0  # a longer scene is cut at its longest pause; bounds memory


@dataclass(frozen=True)
class BackgroundConfig:
    """What lies behind the speech."""

    separation: str = "none"  # or "demucs", where it is installed with its model
    min_snr_db: float = 4.0  # the paper keeps vocals that exceed the background by 4 dB


@dataclass(frozen=True)
class SpeakersConfig:
    """Who speaks when."""

    split_distance: float = 0.55  # where voices differ by more, a stretch is cut
    window_s: float = 1.2  # of an embedding
    hop_s: float = 0.4
    min_cluster_s: float = 4.0  # voices with less speech join their nearest
    bridge_s: float = 0.3  # shorter pauses of one speaker lie inside a segment
    switch_cost: float = 8.0  # nats that a change of who speaks must explain
    overlap_gain: float = -1.5  # nats a frame, for two at once; more finds more overlaps


@dataclass(frozen=True)
class TurnsConfig:
    """Two-speaker windows and turns."""

    merge_s: float = 2.0  # one speaker's segments with a shorter gap are one turn
    min_turn_s: float = 0.15
    min_turns: int = 4
    min_turns_each: int = 2
    min_dialogue_s: float = 8.0
    min_two_people: float = 0.8  # chance that its speakers are two people and not one


@dataclass(frozen=True)
class OverlapsConfig:
    """Two who speak at once, apart."""

    separate: bool = False  # needs weights by `build train-separator`; none are bundled
    min_sdr_db: float = 6.0  # that the network expects of itself; below it the mixture stays


@dataclass(frozen=True)
class RecogniseConfig:
    """What was said."""

    recogniser: str = "auto"  # Whisper, or pocketsphinx; "endpoint", "none"
    language: str = "auto"  # found in each dialogue; or a code
    model: str = ""  # Whisper's, a folder or a name; the endpoint's
    endpoint: str = ""  # an OpenAI-compatible /v1 address
    device: str = "cpu"  # of Whisper: "cpu", "cuda", "auto"
    max_hmm: int = 3000  # pocketsphinx: states a frame
    max_words: int = 10  # pocketsphinx: word exits a frame


@dataclass(frozen=True)
class QualityConfig:
    """The filter. Of a dialogue: mean DNSMOS, SNR, and the share of turns that fail."""

    dnsmos: bool = True
    min_dnsmos: float = 1.3  # overall score, 1 to 5; a room has 1.5 to 2, Emilia wants 3
    min_snr_db: float = 4.0
    max_clipped: float = 0.001  # share of samples at full scale
    min_bandwidth_hz: float = 3000.0
    min_rate: float = 0.3  # words (characters in Chinese) a second
    max_rate: float = 12.0
    min_confidence: float = 0.0
    max_failed_turns: float = 0.5


@dataclass(frozen=True)
class ExportConfig:
    """The sound of the dialogues that are kept."""

    level_dbfs: float = -23.0  # of the speech of a dialogue or, of its channels, each; 0 leaves it
    pad_s: float = 0.06  # sound kept before and after a turn


@dataclass(frozen=True)
class BuildConfig:
    """The whole builder; `--config FILE.json` holds any part of it."""

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    activity: ActivityConfig = field(default_factory=ActivityConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    speakers: SpeakersConfig = field(default_factory=SpeakersConfig)
    turns: TurnsConfig = field(default_factory=TurnsConfig)
    overlaps: OverlapsConfig = field(default_factory=OverlapsConfig)
    recognise: RecogniseConfig = field(default_factory=RecogniseConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    export: ExportConfig = field(default_factory=ExportConfig)

    def settings(self, stage: str) -> dict[str, Any]:
        """What the results of `stage` depend on; empty for a stage without settings."""
        part = getattr(self, stage, None)
        return {} if part is None else dataclasses.asdict(part)

    def replace(self, stage: str, **values: Any) -> "BuildConfig":
        """A copy with some values of one stage changed."""
        part = dataclasses.replace(getattr(self, stage), **values)
        return dataclasses.replace(self, **{stage: part})


def read_config(path: Path | None) -> BuildConfig:
    """Reads `{"turns": {"min_turns": 6}, ...}`; what is absent keeps its default.

    Raises:
        InputError: not JSON, an unknown stage or setting, or a value of another type.
    """
    config = BuildConfig()
    if path is None:
        return config
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a configuration in JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f'{path}: expected {{"stage": {{"setting": value}}}}')
    for stage, values in content.items():
        if stage not in _names(config) or not isinstance(values, dict):
            raise InputError(f"{path}: no stage {stage!r}; there are {', '.join(_names(config))}")
        config = config.replace(stage, **_checked(path, stage, getattr(config, stage), values))
    return config


def _names(part: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(part)]


def _checked(path: Path, stage: str, part: Any, values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if name not in _names(part):
            raise InputError(
                f"{path}: {stage} has no setting {name!r}; there are {', '.join(_names(part))}"
            )
        kind = type(getattr(part, name))
        number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not kind and not number:
            raise InputError(f"{path}: {stage}.{name} is {value!r}; expected {kind.__name__}")
    return values
