"""Every export is read back by the library it is for."""

import gzip
import json

import datasets
import lhotse
import pytest

from data.errors import InputError
from data.ncssd.exports import write_exports
from data.ncssd.store import read_rows


def turns_of(built):
    return [turn for row in read_rows(built / "dialogues.jsonl") for turn in row["turns"]]


def test_hugging_face_reads_its_folder(built):
    pytest.importorskip("torchcodec", reason="datasets decodes sound by it")
    data = datasets.load_dataset(
        "audiofolder", data_dir=str(built / "huggingface" / "data"), cache_dir=str(built / "cache")
    )["train"]
    assert len(data) == len(turns_of(built))
    assert {"dialogue", "index", "speaker", "start", "end", "license"} <= set(data.column_names)


def test_hugging_face_reads_the_rows_and_every_row_has_its_sound(built):
    folder = built / "huggingface" / "data"
    data = datasets.load_dataset(
        "json", data_files=str(folder / "metadata.jsonl"), cache_dir=str(built / "cache")
    )["train"]
    assert len(data) == len(turns_of(built))
    assert all((folder / name).is_file() for name in data["file_name"])
    assert len(set(data["file_name"])) == len(data)


def test_the_card_has_what_hugging_face_wants(built):
    card = (built / "huggingface" / "README.md").read_text()
    head = card.split("---")[1]
    for key in ("language:", "license: cc0-1.0", "pretty_name:", "task_categories:", "configs:"):
        assert key in head


def test_lhotse_reads_its_manifests(built):
    recordings = lhotse.RecordingSet.from_file(built / "lhotse" / "recordings.jsonl.gz")
    supervisions = lhotse.SupervisionSet.from_file(built / "lhotse" / "supervisions.jsonl.gz")
    lhotse.validate(recordings.with_path_prefix(built))
    lhotse.validate_recordings_and_supervisions(recordings, supervisions)
    assert len(supervisions) == len(turns_of(built))


def test_lhotse_manifests_agree_with_the_sound(built):
    with gzip.open(built / "lhotse" / "recordings.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    import soundfile

    for row in rows:
        info = soundfile.info(built / row["sources"][0]["source"])
        assert info.frames == row["num_samples"]
        assert info.samplerate == row["sampling_rate"]


def test_kaldi_files_are_sorted_and_agree(built):
    def table(name):
        lines = (built / "kaldi" / name).read_text().splitlines()
        return [line.split(" ", 1) for line in lines]

    names = [name for name, _ in table("utt2spk")]
    assert names == sorted(names) and len(names) == len(turns_of(built))
    assert [name for name, _ in table("wav.scp")] == names
    assert all(name.startswith(speaker) for name, speaker in table("utt2spk"))
    listed = [name for _, rest in table("spk2utt") for name in rest.split()]
    assert sorted(listed) == names
    assert [s for s, _ in table("spk2utt")] == sorted(s for s, _ in table("spk2utt"))


def test_kaldi_has_no_empty_texts(built):
    assert not (built / "kaldi" / "text").exists()  # it was built without a recogniser


def test_paths_of_nemo_hold_from_its_manifest(built):
    folder = built / "nemo"
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    assert len(lines) == len(turns_of(built))
    assert all((folder / json.loads(line)["audio_filepath"]).is_file() for line in lines)


def test_scorers_read_the_rttm(built):
    from pyannote.database.util import load_rttm

    found = [ann for path in (built / "rttm").glob("*.rttm") for ann in load_rttm(path).values()]
    assert sum(len(list(ann.itertracks())) for ann in found) == len(turns_of(built))


def test_an_unknown_format_names_the_known(tmp_path):
    with pytest.raises(InputError, match="huggingface"):
        write_exports(("csv",), tmp_path, [])
