"""Every network of the builder, and its input, goes to the device that is asked for."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from data.audio import models
from data.errors import InputError
from data.ncssd import activity, overlaps, quality, speakers
from data.ncssd.channel_speakers import channel_stretches, channel_tracks
from data.ncssd.config import BuildConfig, SpeakersConfig, read_config
from data.ncssd.overlap_separation import SeparatedDialogue
from data.ncssd.segmentation import Segmentation, load_segmentation, segment
from data.ncssd.separator import Separator, SeparatorConfig
from data.ncssd.stage import Context
from data.ncssd.store import Row, Store, read_rows
from data.ncssd.stretches import make_stretches
from data.ncssd.voice_encoder import VoiceEncoder, encode

META = dataclasses.replace(BuildConfig(), device="meta")  # holds no numbers, so nothing runs on it
SECOND = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)


class Reached(Exception):
    """A network was about to run: its kind, and the devices of its weights and inputs."""

    def __init__(self, network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self.network = network
        self.devices = {t.device.type for t in (*network.parameters(), *inputs)}


@pytest.fixture(autouse=True)
def stop() -> Iterator[None]:
    def reached(network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        raise Reached(network, inputs)

    handle = nn.modules.module.register_module_forward_pre_hook(reached)
    yield
    handle.remove()


@pytest.fixture
def context(built: Path) -> Context:
    return Context(META, Store(built / "work"))


def scene(built: Path) -> Row:
    return read_rows(built / "work" / "background.jsonl")[0]


def test_segmentation():
    with pytest.raises(Reached) as at:
        segment(load_segmentation(device="meta"), SECOND)
    assert isinstance(at.value.network, Segmentation) and at.value.devices == {"meta"}
    with pytest.raises(Reached) as at:
        segment(load_segmentation(), SECOND)
    assert at.value.devices == {"cpu"}


def test_the_voice_encoder():
    for device in ("meta", "cpu"):
        with pytest.raises(Reached) as at:
            encode(np.ones((2, 120, 40), np.float32), device)
        assert isinstance(at.value.network, VoiceEncoder) and at.value.devices == {device}
    with pytest.raises(Reached) as at:
        make_stretches(SECOND, [(0, [(0, 40)])], np.zeros(50), SpeakersConfig(), "meta")
    assert isinstance(at.value.network, VoiceEncoder) and at.value.devices == {"meta"}


def test_the_separator(monkeypatch):
    monkeypatch.setattr(
        "data.ncssd.overlap_separation.load_separator",
        lambda device: Separator(SeparatorConfig()).to(device),
    )
    samples = np.tile(SECOND, 20)
    segments = [[0.0, 6.0, 0], [5.0, 12.0, 1]]
    with pytest.raises(Reached) as at:
        SeparatedDialogue(samples, segments, "meta")
    assert at.value.devices == {"meta"}
    # masks: the voices are done
    monkeypatch.setattr(Separator, "profile", lambda self, frames: frames.mean(dim=1))
    with pytest.raises(Reached) as at:
        SeparatedDialogue(samples, segments, "meta")
    assert isinstance(at.value.network, Separator) and at.value.devices == {"meta"}


def test_the_stage_of_speakers(built, context):
    row = scene(built)
    with pytest.raises(Reached) as at:
        speakers.run(row, context, "key")
    assert isinstance(at.value.network, Segmentation) and at.value.devices == {"meta"}
    given = [[row["start"], row["start"] + 3.0, "a"], [row["start"] + 3.0, row["end"], "b"]]
    with pytest.raises(Reached) as at:
        speakers.run({**row, "given": given}, context, "key")
    assert isinstance(at.value.network, VoiceEncoder) and at.value.devices == {"meta"}


def test_speakers_by_channel(built, context, monkeypatch):
    row = scene(built)
    monkeypatch.setattr(Context, "read", lambda self, *_: SECOND)
    with pytest.raises(Reached) as at:
        channel_tracks({**row, "channel_speech": [[], []]}, context)
    assert isinstance(at.value.network, Segmentation) and at.value.devices == {"meta"}
    tracks = np.eye(2, dtype=bool).repeat(20, axis=1)
    with pytest.raises(Reached) as at:
        channel_stretches(tracks, [SECOND, SECOND], META, [0, 1])
    assert isinstance(at.value.network, VoiceEncoder) and at.value.devices == {"meta"}


def test_the_stage_of_overlaps(built, context, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "data.ncssd.overlap_separation.SeparatedDialogue",
        lambda *given: seen.append(given[2:]) or SeparatedDialogue(SECOND, []),
    )
    row = {**read_rows(built / "work" / "turns.jsonl")[0], "segments": []}
    context.config = META.replace("overlaps", separate=True)
    overlaps.run({**row, "turns": []}, context, "key")
    assert seen == [("meta",)]


def test_sessions_of_silero_and_dnsmos(built, context, monkeypatch):
    def opened(path: Path, device: str = "cpu") -> None:
        raise InputError(f"{path.name} on {device}")

    monkeypatch.setattr(models, "onnx_session", opened)
    with pytest.raises(InputError, match=r"silero_vad\.onnx on meta"):
        activity.run(read_rows(built / "work" / "decode.jsonl")[0], context, "key")
    with pytest.raises(InputError, match=r"sig_bak_ovr\.onnx on meta"):
        quality.run(read_rows(built / "work" / "recognise.jsonl")[0], context, "key")


def test_the_device_is_in_no_key(tmp_path):
    for name in ("decode", "activity", "speakers", "overlaps", "recognise", "quality"):
        assert META.settings(name) == BuildConfig().settings(name)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"device": {"cuda": 1}}))
    with pytest.raises(InputError, match="unknown stage 'device'"):
        read_config(path)
