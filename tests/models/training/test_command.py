"""`launch.py train`: options, refusals, outputs, and restarting a bundle."""

import json
import re
import shlex
from pathlib import Path

import pytest

from app.cli import train as command
from app.cli.train import chosen_recipes, main, make_parser
from data.errors import InputError, MissingModelError
from models.checkpoint import WEIGHTS, load_config
from models.training.configuration import settings
from models.training.loop import CHECKPOINT
from models.training.recipes import RECIPES
from models.vocoder.style import StyleConfig

ROOT = Path(__file__).parents[3]
SOMEWHERE = ["--data", "d", "--out", "o"]


@pytest.mark.parametrize(
    "options",
    [
        ["tokenizer", "--further"],
        ["acoustic", "--further"],
        ["acoustic", "--steps", "3"],
        ["acoustic", "--resume"],
        ["voices", "--minutes", "1"],
        ["voices", "--further"],
        ["bundle", "--further"],
        ["bundle", "--order", "AABB"],
        ["prior", "--distill"],
        ["prior", "--hold"],
        ["style", "--latent-dim", "3"],
        ["gpt-talker", "--from-scratch"],
        ["gpt-talker", "--without", "lvs"],
        ["flow-omni", "--hubert", "h"],
        ["ham-tts", "--backbone", "b"],
        ["omni-thinker", "--encodec", "e"],
        ["vocoder", "--like", "l"],
    ],
    ids=" ".join,
)
def test_options_without_effect_are_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*options, *SOMEWHERE])
    assert stopped.value.code == 2
    assert f"unrecognized arguments: {options[1]}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["flow-omni", "--further", "--from-scratch"],
        ["flow-omni", "--further", "--distill"],
        ["flow-omni", "--distill", "--from-scratch"],
        ["ham-tts", "--further", "--from-scratch"],
        ["ham-tts", "--further", "--without", "lvs"],
        ["vocoder", "--further", "--hold"],
        ["vocoder", "--hold", "--latent-dim", "70"],
        ["acoustic", "--like", "old", "--encodec", "e.th"],
    ],
    ids=" ".join,
)
def test_conflicting_options_are_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*options, *SOMEWHERE])
    said = capsys.readouterr().err
    assert "mutually exclusive" in said and all(o in said for o in options if o.startswith("--"))


@pytest.mark.parametrize("model", [*RECIPES, "bundle"])
def test_out_has_no_default(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([model, "--data", "d"])
    assert stopped.value.code == 2
    assert "required: --out" in capsys.readouterr().err
    args = make_parser().parse_args([model, "--data", "d", "--out", str(WEIGHTS)])
    assert args.out == WEIGHTS


@pytest.mark.parametrize("model", RECIPES)
def test_help_shows_every_setting_and_its_default(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([model, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    for key, value in settings(RECIPES[model]()):
        line = re.search(rf"^  {re.escape(key)} +(\S.*)$", said, re.MULTILINE)
        assert line, key
        if isinstance(value, int | float):
            assert float(line[1].split()[0]) == pytest.approx(value)
    assert "(default: runs)" in said and "(default: 1)" in said and "(default: small)" in said


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        (["prior", "--set", "batch=32"], "batch", 32),
        (["prior", "--steps", "7"], "steps", 7),
        (["prior", "--steps", "7", "--set", "steps=9"], "steps", 9),
        (["prior", "--config", "base"], "model.dim", 320),
        (["prior", "--config", "base", "--set", "model.dim=64"], "model.dim", 64),
        (["flow-omni", "--config", "large"], "model.depth", 11),
        (["flow-omni", "--distill", "--steps", "5"], "distillation.steps", 5),
        (["gpt-talker", "--order", "AABB"], "model.order", "AABB"),
        (["tokenizer", "--set", "model.levels=[8, 5]"], "model.levels", (8, 5)),
    ],
)
def test_settings_reach_the_recipe(options: list[str], key: str, value: object) -> None:
    recipes = chosen_recipes(make_parser().parse_args([*options, *SOMEWHERE]))
    assert list(recipes) == [options[0]]
    assert dict(settings(recipes[options[0]]))[key] == value


def test_bundle_settings_are_per_recipe() -> None:
    options = ["--set", "prior.batch=3", "--set", "style.model.dim=8", "--steps", "4"]
    recipes = chosen_recipes(make_parser().parse_args(["bundle", *options, *SOMEWHERE]))
    assert list(recipes) == list(RECIPES)
    assert recipes["prior"].batch == 3 and recipes["style"].model.dim == 8
    assert {getattr(recipe, "steps", 4) for recipe in recipes.values()} == {4}
    for wrong in ("batch=3", "priors.batch=3", "prior=3"):
        with pytest.raises(InputError, match=r"RECIPE\.NAME=VALUE"):
            chosen_recipes(make_parser().parse_args(["bundle", "--set", wrong, *SOMEWHERE]))


def test_a_recipe_is_recorded_beside_the_weights(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "weights"
    sizes = ["--set", "model.dim=16", "--set", "model.depth=1", "--set", "batch=2"]
    where = ["--data", str(root), "--out", str(out), "--work", str(tmp_path / "work")]
    assert main(["style", *where, *sizes, "--steps", "1", "--seed", "7"]) == 0
    assert load_config(out, "style", StyleConfig).dim == 16
    record = json.loads((out / "style.training.json").read_text())
    assert (record["recipe"], record["seed"], record["options"]) == ("style", 7, {})
    assert record["config"]["batch"] == 2 and record["config"]["steps"] == 1
    assert record["config"]["model"] == {"dim": 16, "depth": 1, "style_dim": 128}
    assert record["data"]["utterances"] == 6
    again = [*where, "--steps", "1", "--further", "--set", "steady_batch=2"]
    assert main(["style", *again]) == 0  # keeps its sizes, whatever the defaults
    record = json.loads((out / "style.training.json").read_text())
    assert record["options"] == {"further": True} and record["config"]["model"]["dim"] == 16
    with pytest.raises(InputError, match=r"model\.dim is 32, but the style in --out has 16"):
        main(["style", *again, "--set", "model.dim=32"])


def test_a_predictor_of_another_size_than_its_gpt_talker_is_refused(
    root: Path, weights: Path, tmp_path: Path
) -> None:
    where = ["--data", str(root), "--out", str(weights), "--work", str(tmp_path / "work")]
    with pytest.raises(InputError, match=r"model\.dim is 384, but the gpt-talker in --out has 16"):
        main(["flow-omni", *where, "--steps", "1", "--config", "base"])


def test_a_wrong_setting_is_refused_before_reading_data(tmp_path: Path) -> None:
    nothing = ["--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "weights")]
    with pytest.raises(InputError, match="prior has no setting 'bach'; there are"):
        main(["prior", *nothing, "--set", "bach=32"])


@pytest.mark.parametrize("option", [["--minutes", "0"], ["--limit", "0"], ["--threads", "-1"]])
def test_invalid_numbers_are_refused(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prior", *SOMEWHERE, *option])
    assert f"argument {option[0]}" in capsys.readouterr().err


def test_readme_commands_parse() -> None:
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")
    commands = re.findall(r"^python3 launch\.py train (.*)$", text, re.MULTILINE)
    assert len(commands) >= 6
    for line in commands:
        args = make_parser().parse_args(shlex.split(line))
        if args.config != "mine.toml":
            chosen_recipes(args)
    spelt = re.findall(r"`(?:train )?([a-z-]+) (--[a-z-]+)[^`]*`", text.partition("## Training")[2])
    options = [(model, option) for model, option in spelt if model in RECIPES]
    assert len(options) >= 7
    parsers = make_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    for model, option in options:
        assert option in parsers[model]._option_string_actions, (model, option)


def test_further_without_weights_is_refused(root: Path, weights: Path, tmp_path: Path) -> None:
    for name in ("semantic", "style"):
        for suffix in (".safetensors", ".json"):
            (tmp_path / f"{name}{suffix}").write_bytes((weights / f"{name}{suffix}").read_bytes())
    folders = ["--out", str(tmp_path), "--work", str(tmp_path / "work")]
    with pytest.raises(MissingModelError, match=f"train gpt-talker --data DIR --out {tmp_path}"):
        main(["gpt-talker", "--further", "--steps", "1", "--data", str(root), *folders])


def test_a_restarted_bundle_resumes_no_earlier_run(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "work" / "prior" / CHECKPOINT
    old.parent.mkdir(parents=True)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "train_one", stop)
    folders = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    for options, left in ((["--resume"], True), ([], False)):
        old.write_bytes(b"of an earlier bundle")
        with pytest.raises(KeyboardInterrupt):
            main(["bundle", "--data", str(root), *folders, *options])
        assert old.exists() == left
