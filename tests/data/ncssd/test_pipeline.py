"""The whole build: its output, and resuming after a kill at any stage."""

import hashlib
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.build import main
from data import dialogue
from data.audio import write_audio
from data.dialogue import check_ncssd, read_ncssd
from data.ncssd import pipeline
from data.ncssd.engine import Pool, Serial
from data.ncssd.export import padded
from data.ncssd.pipeline import STAGES, build
from data.ncssd.sources import find_media, read_sources
from data.ncssd.stage import Context
from data.ncssd.store import Row, read_rows
from tests.data.ncssd.conftest import QUICK


def digest(out: Path) -> dict[str, str]:
    """All output files of a build, without its working folder."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "work" not in path.relative_to(out).parts
    }


def test_a_strict_reader_reads_what_was_built(built):
    assert check_ncssd(built / "ncssd") == []
    dialogues = list(read_ncssd(built / "ncssd"))
    assert len(dialogues) >= 2
    for one in dialogues:
        assert {turn.speaker for turn in one.turns} == {0, 1}
        assert one.turns[0].speaker == 0
        assert one.extra["license"] == "CC0-1.0"
        assert len(one.extra["source_sha256"]) == 64
        assert one.extra["tools"]["stage-turns"]
        for turn in one.turns:
            assert turn.extra["end"] > turn.extra["start"] >= 0
            assert {"overlap", "confidence", "snr_db"} <= set(turn.extra)


def test_no_row_or_export_contains_a_local_path(built, recordings):
    for path in built.rglob("*.json*"):
        text = path.read_text(errors="ignore") if not path.name.endswith(".gz") else ""
        assert str(recordings) not in text
        assert str(built) not in text


def test_the_broken_file_is_in_quarantine_and_the_others_are_not(built):
    (row,) = read_rows(built / "quarantine.jsonl")
    assert row["source"] == "c.mp4"
    assert "cannot be decoded" in row["reason"]


def test_repeating_a_build_writes_nothing(built, recordings):
    before = digest(built)
    rights = {"license": "CC0-1.0", "consent": "made by a machine"}
    sources = read_sources(find_media([recordings]), rights, True)
    again = build(sources, built, QUICK, Serial())
    assert again.written == 0
    assert digest(built) == before


def test_two_workers_give_the_same_bytes(built, recordings, tmp_path):
    rights = {"license": "CC0-1.0", "consent": "made by a machine"}
    sources = read_sources(find_media([recordings]), rights, True)
    build(sources, tmp_path, QUICK, Pool(2))
    mine = digest(tmp_path)
    assert mine and mine == {name: value for name, value in digest(built).items() if name in mine}


def counted(stage, log: Path, kill_at: int | None):
    """The stage, logging finished rows, with the process killed at the start of row `kill_at`."""

    def run(row: Row, context: Context, key: str) -> list[Row]:
        done = log.read_text().count(stage.name + " ") if log.exists() else 0
        if kill_at is not None and done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        made = stage.run(row, context, key)
        with log.open("a") as file:
            file.write(f"{stage.name} {key}\n")
        return made

    return replace(stage, run=run)


def killed_while_writing(number: int):
    """Writes audio files until the process is killed halfway through the file of this number."""
    written = []

    def write(path: Path, *rest, **options) -> None:
        if len(written) == number:
            path.write_bytes(b"RIFF half a file")
            os.kill(os.getpid(), signal.SIGKILL)
        written.append(path)
        write_audio(path, *rest, **options)

    return write


def build_in_child(sources, out: Path, stages, write=write_audio) -> int:
    """Builds in a forked process; returns the signal that ended it, 0 for none."""
    child = os.fork()
    if child == 0:
        try:
            pipeline.STAGES = stages
            dialogue.write_audio = write
            build(sources, out, QUICK, Serial())
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_killed_at_every_stage_and_resumed_it_gives_the_same_bytes(built, recordings, tmp_path):
    rights = {"license": "CC0-1.0", "consent": "made by a machine"}
    sources = read_sources(find_media([recordings]), rights, True)
    log = tmp_path / "log.txt"
    out = tmp_path / "out"
    for victim in range(len(STAGES)):
        stages = tuple(
            counted(stage, log, 1 if index == victim else None)
            for index, stage in enumerate(STAGES)
        )
        assert build_in_child(sources, out, stages) == signal.SIGKILL, STAGES[victim].name
    stages = tuple(counted(stage, log, None) for stage in STAGES)
    # in the export: in the first dialogue, then in the second, which leaves the first as it was
    for number in (3, 9):
        assert build_in_child(sources, out, stages, killed_while_writing(number)) == signal.SIGKILL
    whole = {path.name: path.stat().st_mtime_ns for path in (out / "ncssd").glob("[0-9]*")}
    assert len(whole) == 1
    assert build_in_child(sources, out, stages) == 0
    assert all((out / "ncssd" / name).stat().st_mtime_ns == time for name, time in whole.items())
    assert not list((out / "ncssd").glob(".*"))
    mine = digest(out)
    assert mine and mine == {name: value for name, value in digest(built).items() if name in mine}
    lines = log.read_text().split("\n")[:-1]
    assert len(lines) == len(set(lines)), "a finished row was done again"


def test_obsolete_dialogues_are_removed_and_foreign_files_stay(recordings, tmp_path):
    sources = read_sources(find_media([recordings / "b.mp3"]), {}, False)
    build(sources, tmp_path, QUICK, Serial())
    (folder,) = (tmp_path / "ncssd").iterdir()
    foreign = tmp_path / "ncssd" / "7"
    foreign.mkdir()
    (foreign / "metadata.json").write_text(json.dumps({"dialog": 7, "utterents": {}}))
    other = build(sources, tmp_path, QUICK.replace("turns", min_turns=99), Serial())
    assert not folder.exists()
    assert foreign.exists()
    assert other.removed == 1


def test_other_inputs_replace_the_first_with_a_message(recordings, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the command sets it by default
    (tmp_path / "config.json").write_text('{"quality": {"dnsmos": false}}')
    command = ["--out", str(tmp_path / "out"), "--recogniser", "none", "--workers", "1", "--quiet"]
    command += ["--config", str(tmp_path / "config.json")]
    assert main([str(recordings / "a.mkv"), *command]) == 0
    said = capsys.readouterr().out
    assert "removed" not in said
    assert "WARNING: the transcripts are not fit for training: there are none" in said
    assert main([str(recordings / "b.mp3"), *command]) == 0
    assert "2 dialogues of an earlier build removed" in capsys.readouterr().out


def test_continuing_reads_no_input_again(recordings, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the command sets it by default
    command = [str(recordings / "c.mp4"), "--out", str(tmp_path), "--recogniser", "none"]
    command += ["--workers", "1", "--quiet"]
    assert main(command) == 0
    whole = digest(tmp_path)

    def read(path: Path) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr("data.ncssd.known_files.hash_file", read)
    assert main(command) == 0
    assert digest(tmp_path) == whole


def test_speakers_are_linked_across_a_show_only_if_asked_for(built, recordings, tmp_path):
    rights = {"license": "CC0-1.0", "consent": "made by a machine"}
    out = shutil.copytree(built, tmp_path / "out")
    media = find_media([recordings])
    before = (out / "dialogues.jsonl").read_bytes()
    build(read_sources(media, rights, True), out, QUICK, Serial())
    assert (out / "dialogues.jsonl").read_bytes() == before
    build(read_sources(media, rights, True, link_shows=True), out, QUICK, Serial())
    rows, own = read_rows(out / "dialogues.jsonl"), read_rows(built / "dialogues.jsonl")
    show = hashlib.sha256(recordings.name.encode()).hexdigest()[:12]
    ids = [one for row in rows for one in row["speaker_ids"]]
    assert ids and all(one.startswith(f"{show}-") for one in ids)
    sources = json.loads((out / "build.json").read_text())["sources"].values()
    assert {source["show"] for source in sources} == {recordings.name}
    changed = {"speaker_ids", "speaker_scores"}
    for row, other in zip(rows, own, strict=True):
        assert {k for k in row if row[k] != other[k]} <= changed


def test_padding_does_not_reach_into_other_turns():
    turns = [
        {"start": 1.0, "end": 2.0, "speaker": 0},
        {"start": 2.02, "end": 3.0, "speaker": 1},
        {"start": 2.9, "end": 4.0, "speaker": 0},
    ]
    assert padded(turns, 0, 0.06) == (0.94, 2.02)
    assert padded(turns, 1, 0.06) == (2.0, 3.06)
