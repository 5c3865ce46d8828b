"""Exports can be read by the libraries they are for."""

import gzip
import json
import shutil
from pathlib import Path

import datasets
import lhotse
import numpy as np
import pytest
import soundfile

from data.errors import InputError
from data.ncssd.exports import FORMATS, Listing, write_exports
from data.ncssd.store import read_rows


def turns_of(built):
    return [turn for row in read_rows(built / "dialogues.jsonl") for turn in row["turns"]]


def listed(built):
    return [turn for turn in turns_of(built) if not turn.get("mixed")]


def test_hugging_face_reads_its_folder(built):
    pytest.importorskip("torchcodec", reason="datasets decodes sound by it")
    data = datasets.load_dataset(
        "audiofolder", data_dir=str(built / "huggingface" / "data"), cache_dir=str(built / "cache")
    )["train"]
    assert len(data) == len(listed(built))
    assert {"dialogue", "index", "speaker", "start", "end", "license"} <= set(data.column_names)


def test_hugging_face_reads_the_rows_and_every_row_has_its_sound(built):
    folder = built / "huggingface" / "data"
    data = datasets.load_dataset(
        "json", data_files=str(folder / "metadata.jsonl"), cache_dir=str(built / "cache")
    )["train"]
    assert len(data) == len(listed(built))
    assert all((folder / name).is_file() for name in data["file_name"])
    assert len(set(data["file_name"])) == len(data)


def test_the_card_has_the_metadata_of_hugging_face(built):
    card = (built / "huggingface" / "README.md").read_text()
    head = card.split("---")[1]
    for key in ("language:", "license: cc0-1.0", "pretty_name:", "task_categories:", "configs:"):
        assert key in head


def test_lhotse_reads_its_manifests(built):
    recordings = lhotse.RecordingSet.from_file(built / "lhotse" / "recordings.jsonl.gz")
    supervisions = lhotse.SupervisionSet.from_file(built / "lhotse" / "supervisions.jsonl.gz")
    lhotse.validate(recordings)
    lhotse.validate_recordings_and_supervisions(recordings, supervisions)
    assert len(recordings) == len(read_rows(built / "dialogues.jsonl"))
    assert len(supervisions) == len(listed(built))


def test_a_supervision_of_lhotse_is_the_turn_in_its_speakers_channel(built):
    with gzip.open(built / "lhotse" / "recordings.jsonl.gz", "rt") as file:
        recordings = {row["id"]: row for row in map(json.loads, file)}
    with gzip.open(built / "lhotse" / "supervisions.jsonl.gz", "rt") as file:
        supervisions = [json.loads(line) for line in file]
    for row in recordings.values():
        info = soundfile.info(row["sources"][0]["source"])
        assert (info.frames, info.samplerate) == (row["num_samples"], row["sampling_rate"])
        assert info.channels == 2
    for one in supervisions:
        recording = recordings[one["recording_id"]]
        sound, rate = soundfile.read(recording["sources"][0]["source"])
        first = round(one["start"] * rate)
        part = sound[first : first + round(one["duration"] * rate), one["channel"]]
        turn = built / "ncssd" / one["recording_id"]
        alone = soundfile.read(next(turn.glob(f"{one['custom']['turn']}_*.wav")))[0]
        assert np.allclose(part, alone[: len(part)], atol=1e-4)


def test_two_tracks_have_every_turn_and_are_silent_elsewhere(built):
    for row in read_rows(built / "dialogues.jsonl"):
        content = json.loads((built / "duplex" / f"{row['id']}.json").read_text())
        sound, rate = soundfile.read(built / "duplex" / f"{row['id']}.wav")
        assert len(content["turns"]) == len(row["turns"])
        assert len(sound) == round(content["duration"] * rate)
        spoken = np.zeros(sound.shape, bool)
        for turn in content["turns"]:
            part = slice(round(turn["start"] * rate), round(turn["end"] * rate) + 2)
            spoken[part, turn["channel"]] = True
            assert np.abs(sound[part, turn["channel"]]).max() > 0.01
        assert np.abs(sound[~spoken]).max(initial=0.0) == 0.0


def test_kaldi_files_are_sorted_and_agree(built):
    def table(name):
        lines = (built / "kaldi" / name).read_text().splitlines()
        return [line.split(" ", 1) for line in lines]

    names = [name for name, _ in table("utt2spk")]
    assert names == sorted(names) and len(names) == len(listed(built))
    assert all(Path(path).is_file() for _, path in table("wav.scp"))
    assert [name for name, _ in table("wav.scp")] == names
    assert all(name.startswith(speaker) for name, speaker in table("utt2spk"))
    spoken = [name for _, rest in table("spk2utt") for name in rest.split()]
    assert sorted(spoken) == names
    assert [s for s, _ in table("spk2utt")] == sorted(s for s, _ in table("spk2utt"))


def test_kaldi_has_no_empty_texts(built):
    assert not (built / "kaldi" / "text").exists()  # built without a recogniser


def names_in(folder: Path, format: str) -> list[str]:
    """The files named by a format's manifests."""
    if format == "kaldi":
        return [line.split(" ", 1)[1] for line in (folder / "wav.scp").read_text().splitlines()]
    if format == "nemo":
        lines = (folder / "manifest.jsonl").read_text().splitlines()
        return [json.loads(line)["audio_filepath"] for line in lines]
    with gzip.open(folder / "recordings.jsonl.gz", "rt") as file:
        return [json.loads(line)["sources"][0]["source"] for line in file]


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("format", ["kaldi", "nemo", "lhotse"])
def test_paths_work_from_any_folder(built, tmp_path, monkeypatch, format, absolute):
    """They once worked only from the build's own folder."""
    out = tmp_path / "moved"
    shutil.copytree(built / "ncssd", out / "ncssd")
    rows = read_rows(built / "dialogues.jsonl")
    write_exports((format,), out, rows, Listing(absolute))
    monkeypatch.chdir("/")
    names = names_in(out / format, format)
    assert names and all(Path(name).is_absolute() == absolute for name in names)
    assert all((out / format / name).is_file() for name in names)
    if not absolute:
        out.rename(tmp_path / "elsewhere")
        assert all((tmp_path / "elsewhere" / format / name).is_file() for name in names)


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("format", ["kaldi", "nemo"])
def test_mixed_turns_are_listed_on_request(built, tmp_path, format, mixed):
    shutil.copytree(built / "ncssd", tmp_path / "ncssd")
    rows = read_rows(built / "dialogues.jsonl")
    metadata = tmp_path / "ncssd" / rows[0]["id"] / "metadata.json"
    content = json.loads(metadata.read_text())
    content["utterents"]["1"]["mixed"] = True
    metadata.write_text(json.dumps(content))
    write_exports((format,), tmp_path, rows, Listing(mixed=mixed))
    name = content["utterents"]["1"]
    file = f"{rows[0]['id']}/1_{name['speaker']}_d{rows[0]['id']}.wav"
    assert any(path.endswith(file) for path in names_in(tmp_path / format, format)) == mixed


def rows_of(folder: Path, format: str) -> list[dict]:
    """The turns that a format's manifests list."""
    if format == "kaldi":
        return [{"name": line} for line in (folder / "utt2spk").read_text().splitlines()]
    if format == "rttm":
        lines = [line for path in folder.glob("*.rttm") for line in path.read_text().splitlines()]
        return [{"name": line} for line in lines]
    if format == "duplex":
        contents = [json.loads(path.read_text()) for path in folder.glob("*.json")]
        return [turn for content in contents for turn in content["turns"]]
    if format == "lhotse":
        with gzip.open(folder / "supervisions.jsonl.gz", "rt") as file:
            return [row["custom"] for row in map(json.loads, file)]
    path = folder / ("manifest.jsonl" if format == "nemo" else "data/metadata.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("format", FORMATS)
def test_mixed_turns_are_left_out_unless_kept(built, tmp_path, format, keep):
    """RTTM and two-track dialogues need them to show who speaks when; the tracks mark them."""
    shutil.copytree(built / "ncssd", tmp_path / "ncssd")
    rows = read_rows(built / "dialogues.jsonl")
    metadata = tmp_path / "ncssd" / rows[0]["id"] / "metadata.json"
    content = json.loads(metadata.read_text())
    content["utterents"]["1"]["mixed"] = rows[0]["turns"][1]["mixed"] = True
    metadata.write_text(json.dumps(content))
    write_exports((format,), tmp_path, rows, Listing(mixed=keep))
    turns = [turn for row in rows for turn in row["turns"]]
    mixed = sum(bool(turn.get("mixed")) for turn in turns)
    found = rows_of(tmp_path / format, format)
    always = format in ("rttm", "duplex")
    assert mixed and len(found) == len(turns) - (0 if keep or always else mixed)
    if format in ("huggingface", "lhotse", "duplex"):
        marked = sum(bool(turn.get("mixed")) for turn in found)
        assert marked == (mixed if keep or always else 0)


def test_kaldi_warns_if_there_are_no_texts(built, tmp_path, caplog):
    shutil.copytree(built / "ncssd", tmp_path / "ncssd")
    write_exports(("kaldi",), tmp_path, read_rows(built / "dialogues.jsonl"))
    assert "no turn has text" in caplog.text and "which training needs" in caplog.text
    caplog.clear()
    for path in (tmp_path / "ncssd").glob("*/metadata.json"):
        content = json.loads(path.read_text())
        content["utterents"]["0"]["text"] = "Some words."
        path.write_text(json.dumps(content))
    write_exports(("kaldi",), tmp_path, read_rows(built / "dialogues.jsonl"))
    assert "no turn has text" not in caplog.text
    assert (tmp_path / "kaldi" / "text").read_text().count("Some words.") >= 1


def test_scorers_read_the_rttm(built):
    from pyannote.database.util import load_rttm

    found = [ann for path in (built / "rttm").glob("*.rttm") for ann in load_rttm(path).values()]
    assert sum(len(list(ann.itertracks())) for ann in found) == len(turns_of(built))


def test_an_unknown_format_names_the_known(tmp_path):
    with pytest.raises(InputError, match="huggingface"):
        write_exports(("csv",), tmp_path, [])
