"""Devices: their names, and clear errors where they are not there."""

import numpy as np
import onnxruntime
import pytest
import torch

from data.audio import models
from data.device import PROVIDER, check_whisper_device, find_device, providers
from data.errors import InputError, MissingModelError

CPU_PROVIDER = "CPUExecutionProvider"


def pretend(monkeypatch: pytest.MonkeyPatch, gpus: int, *there: str) -> None:
    """A machine with GPUs, and ONNX Runtime's providers."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*there, CPU_PROVIDER])


def test_a_gpu_is_used_only_where_there_is_one(monkeypatch):
    pretend(monkeypatch, 2, PROVIDER)
    assert [find_device(name) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda:1"]
    assert find_device("auto") == "cuda"
    with pytest.raises(InputError, match="2 CUDA GPUs; choose one of cuda:0 to cuda:1, or use cpu"):
        find_device("cuda:2")
    pretend(monkeypatch, 0, PROVIDER)
    assert find_device("auto") == "cpu"
    with pytest.raises(InputError, match="no CUDA GPU; check the driver"):
        find_device("cuda")


def test_onnxruntime_without_cuda_is_an_error(monkeypatch):
    pretend(monkeypatch, 1)
    assert find_device("auto") == "cpu"
    with pytest.raises(InputError, match="pip install onnxruntime-gpu"):
        find_device("cuda")


@pytest.mark.parametrize("name", ["", "tpu", "cuda:", "cuda:x", "cpu:0", "meta"])
def test_an_unknown_device_is_named(name):
    with pytest.raises(InputError, match="choose cpu, cuda, cuda:N or auto"):
        find_device(name)


def test_whispers_device_is_checked_too(monkeypatch):
    for name in ("cpu", "auto"):
        check_whisper_device(name)
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 0)
    with pytest.raises(InputError, match=r"CTranslate2 finds no CUDA GPU.*--asr-device cpu"):
        check_whisper_device("cuda")
    with pytest.raises(InputError, match="choose cpu, cuda or auto"):
        check_whisper_device("cuda:1")
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 1)
    check_whisper_device("cuda")


def test_sessions_ask_for_the_devices_provider(monkeypatch):
    asked = []

    class Session:
        def __init__(self, path: str, options: object, providers: list) -> None:
            asked.append(providers)

        def get_providers(self) -> list[str]:
            return [asked[-1][0][0]]

    pretend(monkeypatch, 2, PROVIDER)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    models.onnx_session(models.silero_path())
    models.onnx_session(models.silero_path(), "cuda:1")
    assert asked == [[(CPU_PROVIDER, {})], [(PROVIDER, {"device_id": 1})]]


@pytest.mark.skipif(PROVIDER in onnxruntime.get_available_providers(), reason="it has CUDA")
def test_a_session_never_falls_back_to_the_cpu(monkeypatch):
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    with pytest.raises(MissingModelError, match=f"cannot load its {PROVIDER}"):
        models.onnx_session(models.silero_path(), "cuda")
    # it offers the provider, but cannot load it, and takes another by itself
    offered = onnxruntime.get_available_providers()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDER, *offered])
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, providers: real(path, options, providers=[CPU_PROVIDER]),
    )
    with pytest.raises(MissingModelError, match=f"cannot load its {PROVIDER}"):
        models.onnx_session(models.silero_path(), "cuda")


def test_the_cpu_is_what_it_was():
    assert providers("cpu") == [(CPU_PROVIDER, {})]
    session = models.onnx_session(models.dnsmos_path())
    assert session.get_providers() == [CPU_PROVIDER]
    quiet = np.zeros((1, models.MOS_SAMPLES), np.float32)
    assert models.dnsmos_overall(quiet, "cpu") == models.dnsmos_overall(quiet)
