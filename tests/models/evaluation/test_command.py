"""`launch.py eval`: options of each measure, and devices."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from app.cli import eval as command
from app.cli.eval import COUNTS, main, make_parser
from data.errors import InputError
from models.device import parse_device
from models.evaluation.codecs import AcousticCodec, LatentCodec, SemanticCodec
from models.evaluation.sets import Item
from models.speaker import Speaker
from models.vocoder.acoustic_decoder import AcousticDecoder
from tests.tiny import tiny_speaker

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "options",
    [
        ["speed", "--no-cache"],
        ["speed", "--jobs", "2"],
        ["robustness", "--voices", "slt"],
        ["robustness", "--card"],
        ["vocoder", "--temperature", "1"],
        ["vocoder", "--predictor", "ham-tts"],
        ["tokenizers", "--seed", "1"],
        ["tokenizers", "--data", "d"],
        ["speech", "--encodec", "e.th"],
        ["speech", "--main-only"],
        ["dialogue", "--voices", "slt"],
        ["robustness", "--data", "d"],
        ["clone", "--resume"],
        ["compare", "--predictor", "ham-tts"],
        ["report", "--count", "3"],
        ["report", "--device", "cpu"],
    ],
    ids=" ".join,
)
def test_options_without_effect_are_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert f"unrecognized arguments: {options[1]}" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*COUNTS, "all", "report"])
def test_help_shows_defaults(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    said = capsys.readouterr().out
    assert stopped.value.code == 0 and "(default: bundled)" in said
    if name in COUNTS:
        assert f"(default: {COUNTS[name][0]})" in said and "(default: cpu)" in said


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "meta", "mps"])
def test_a_missing_device_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"there is no device '{name}'; available: cpu"):
        parse_device(name)
    with pytest.raises(InputError, match="there is no device"):
        main(["speed", "--device", name])


def test_the_models_run_on_the_requested_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def load(*arguments: object) -> None:
        asked.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(command.Speaker, "load", load)
    for options in (["speed", "--device", "cuda:1"], ["vocoder", "--no-cache"]):
        with pytest.raises(KeyboardInterrupt):
            main(options)
    assert [device for _, device, _ in asked] == ["cuda:1", "cpu"]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def speaker(request: pytest.FixtureRequest) -> Speaker:
    made = tiny_speaker()
    parts = (made.tokenizer, made.style, made.posterior, made.prior, made.decoder)
    models = [made._talkers[name] for name in made.predictors]
    where = torch.device(request.param)
    return Speaker(*parts, models, made.voices, where, made.acoustic_decoder)


def test_codecs_return_cpu_tensors(speaker: Speaker) -> None:
    """Judges run on the CPU, whatever the models' device."""
    assert isinstance(speaker.acoustic_decoder, AcousticDecoder)
    generator = torch.Generator().manual_seed(1)
    samples = (0.1 * torch.randn(30_000, generator=generator)).numpy()
    item = Item("Pick a cat.", "one", samples, [])
    for codec in (
        SemanticCodec(speaker),
        LatentCodec(speaker),
        AcousticCodec(speaker, speaker.acoustic_decoder.acoustic),
    ):
        tokens = codec.sig_to_tokens(torch.from_numpy(samples)[None])
        assert tokens.device.type == "cpu" and tokens.shape[1] == 32
        assert len(codec.tokens_to_sig(tokens, item)) >= 30_000
        assert len(codec.features(tokens)) == 32


def test_readme_commands_parse() -> None:
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"python3 launch\.py eval ([^`\n]+)", text)
    commands += re.findall(r"`eval ([^`\n]+)`", text)
    assert len(commands) >= 3
    # `eval hearing` has a parser of its own; tests/test_documents.py knows its options.
    for line in (line for line in commands if not re.search(r"WHAT|^hearing\b", line)):
        make_parser().parse_args(shlex.split(line))
