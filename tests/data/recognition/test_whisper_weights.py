"""Whisper's weights are searched in order, verified, and never silently replaced."""

import hashlib
from pathlib import Path

import pytest

from data.errors import InputError, MissingModelError
from data.recognition import whisper_weights
from data.recognition.whisper_weights import find_whisper

FILES = {
    "model.bin": b"first half, second half",
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"<|endoftext|>",
}


@pytest.fixture
def packages(tmp_path, monkeypatch) -> list[Path]:
    """The data folders of two fake packages, and an empty cache."""
    monkeypatch.setenv("REPARTEE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(whisper_weights, "_cached", lambda model: None)
    parts = []
    for number, name in enumerate(("whisper_part_one", "whisper_part_two"), 1):
        folder = tmp_path / "site" / name / "data"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        half = FILES["model.bin"][:10] if number == 1 else FILES["model.bin"][10:]
        (folder / f"model.bin.part{number}").write_bytes(half)
        parts.append(folder)
    for name in list(FILES)[1:]:
        (parts[0] / name).write_bytes(FILES[name])
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(whisper_weights, "_PARTS", ("whisper_part_one", "whisper_part_two"))
    monkeypatch.setattr(whisper_weights, "_SHA256", digests)
    return parts


def test_the_two_packages_are_joined_once_and_verified(packages):
    folder = find_whisper("base")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    packages[0].joinpath("model.bin.part1").unlink()  # not needed again
    assert find_whisper("base") == folder


@pytest.mark.parametrize("name", ["model.bin.part1", "config.json", "tokenizer.json"])
def test_a_damaged_package_is_rejected_and_leaves_nothing(packages, name, tmp_path):
    packages[0].joinpath(name).write_bytes(b"something else")
    with pytest.raises(MissingModelError, match=r"damaged.*--force-reinstall"):
        find_whisper("base")
    assert not list((tmp_path / "cache").iterdir())


def test_an_unpackaged_model_is_not_replaced_by_base(packages):
    with pytest.raises(MissingModelError, match=r"'small' are not on this machine"):
        find_whisper("small")


def test_an_unknown_name_is_rejected(packages):
    with pytest.raises(InputError, match="no Whisper model 'bass'"):
        find_whisper("bass")


def test_a_folder_comes_first_and_must_have_weights(packages, tmp_path):
    with pytest.raises(InputError, match="has no Whisper weights"):
        find_whisper(str(tmp_path))
    (tmp_path / "model.bin").touch()
    assert find_whisper(str(tmp_path)) == tmp_path


def test_the_hub_cache_comes_before_the_packages(packages, tmp_path, monkeypatch):
    monkeypatch.setattr(whisper_weights, "_cached", lambda model: tmp_path / model)
    assert find_whisper("base") == tmp_path / "base"


def test_a_failed_download_says_why(packages, monkeypatch, caplog):
    def refuse(*_: object, **__: object) -> str:
        raise OSError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(MissingModelError, match="'tiny' are not on this machine"):
        find_whisper("tiny", download=True)
    assert "no route" in caplog.text


def test_a_download_shows_its_progress(packages, monkeypatch, caplog, tmp_path):
    """faster-whisper's own download is silent."""
    asked = []

    def download(repository: str, **given: object) -> str:
        if given.get("local_files_only"):
            raise OSError("not there")
        asked.append((repository, "tqdm_class" in given))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert find_whisper("tiny", download=True) == tmp_path
    assert asked == [("Systran/faster-whisper-tiny", False)]
    assert "downloading Whisper tiny" in caplog.text
