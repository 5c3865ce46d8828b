"""The command line: rejected options, and --offline."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.build import _say_made, main
from data.errors import InputError, MissingModelError
from data.ncssd import missing_models
from data.ncssd.config import BuildConfig
from data.ncssd.pipeline import Built
from data.ncssd.sources import find_media, read_sources

ROOT = Path(__file__).resolve().parents[3]


def test_missing_inputs_are_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        main([str(tmp_path / "none.mp4"), "--out", str(tmp_path / "out")])
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="has no media"):
        main([str(tmp_path / "folder"), "--out", str(tmp_path / "out")])


def test_a_licence_can_be_required(tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "a.wav.json").write_text('{"license": "CC0-1.0"}')
    files = find_media([tmp_path])
    with pytest.raises(InputError, match=r"b\.wav"):
        read_sources(files, {"license": ""}, True)
    assert read_sources(files[:1], {}, True)[0].rights["license"] == "CC0-1.0"
    assert len(read_sources(files, {"license": "CC-BY-4.0"}, True)) == 2


def test_a_file_in_another_language_is_rejected(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    notes = tmp_path / "a.wav.json"
    notes.write_text('{"language": "zh"}')
    with pytest.raises(InputError, match=r"a\.wav\.json.*--language zh"):
        command = [str(tmp_path / "a.wav"), "--out", str(tmp_path / "out"), "--recogniser", "none"]
        main([*command, "--language", "en"])
    assert not (tmp_path / "out").exists()
    notes.write_text('{"language": "en-GB"}')
    assert read_sources(find_media([tmp_path]), {"language": "en"}, False)[0].spoken
    (one,) = read_sources(find_media([tmp_path]), {"language": "auto"}, False)
    assert one.spoken == {"language": "en-GB"}, "where each dialogue's is found, notes still count"
    notes.unlink()
    assert read_sources(find_media([tmp_path]), {"language": "auto"}, False)[0].spoken == {}


def test_an_unknown_language_in_notes_is_rejected_before_any_work(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    notes = tmp_path / "a.wav.json"
    command = [str(tmp_path / "a.wav"), "--out", str(tmp_path / "out"), "--recogniser"]
    notes.write_text('{"language": "klingon"}')
    with pytest.raises(InputError, match=r"a\.wav.*'klingon'.*en-GB"):
        main([*command, "none"])
    assert not (tmp_path / "out").exists()
    notes.write_text('{"language": "de-AT"}')
    with pytest.raises(InputError, match=r"a\.wav: pocketsphinx supports English only.*de-AT"):
        main([*command, "pocketsphinx"])
    notes.write_text('{"language": "pt_BR"}')
    (one,) = read_sources(find_media([tmp_path]), {"language": "pt-PT"}, False)
    assert one.spoken == {"language": "pt_BR"}


def test_duplicate_content_is_used_once(tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"same")
    assert len(read_sources(find_media([tmp_path]), {}, False)) == 1


def test_the_output_folder_is_not_an_input(tmp_path):
    for name in ("talk.wav", "out/work/decode/1.wav", "out/ncssd/1/0_0_d1.wav", "outer/b.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    found = find_media([tmp_path], tmp_path / "outer" / ".." / "out")
    assert [path.name for path in found] == ["b.wav", "talk.wav"]
    with pytest.raises(InputError, match="no media file outside of --out"):
        find_media([tmp_path], tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--recogniser", "ears"], "unknown recogniser"),
        (["--language", "zh", "--recogniser", "pocketsphinx"], "pocketsphinx supports English"),
        (["--recogniser", "faster-whisper"], "choose one of auto, whisper"),
        (["--recogniser", "endpoint", "--asr-endpoint", "http://h/v1"], "give --language"),
        (["--recogniser", "endpoint", "--asr-endpoint", "http://h/v1", "--offline"], "--offline"),
        (["--language", "klingon"], "ISO 639-1"),
        (["--recogniser", "whisper", "--second-recogniser", "whisper"], "is the first one"),
        (["--recogniser", "none", "--min-agreement", "0.5"], "--second-recogniser"),
        (["--recogniser", "whisper", "--asr-batch", "0"], "--asr-batch"),
        (["--formats", "csv"], "unknown format"),
        (["--workers", "0"], "--workers"),
        (["--device", "tpu"], "choose cpu, cuda, cuda:N or auto"),
        (["--device", "cuda:99"], "PyTorch finds"),
        (["--device", "cuda:0", "--engine", "ray"], "with --engine ray, choose cpu or cuda"),
    ],
)
def test_invalid_settings_are_rejected_before_any_work(tmp_path, arguments, says):
    (tmp_path / "a.wav").write_bytes(b"x")
    code = (
        "import sys; from app.cli.build import main; from data.errors import RepError\n"
        "try: sys.exit(main(sys.argv[1:]))\n"
        "except RepError as error: print(error); sys.exit(2)"
    )
    command = [str(tmp_path / "a.wav"), "--out", str(tmp_path / "out"), *arguments]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert says in done.stdout
    assert not (tmp_path / "out").exists()


def test_all_missing_models_are_listed_together(monkeypatch):
    def absent():
        raise MissingModelError("DNSMOS lies nowhere")

    monkeypatch.setattr(missing_models.models, "dnsmos_path", absent)
    config = BuildConfig().replace("background", separation="demucs")
    missing = missing_models.missing_models(config, offline=True)
    assert "DNSMOS lies nowhere" in missing
    assert any("demucs" in line for line in missing)


def test_offline_blocks_network_sockets_but_not_local_ones():
    code = (
        "import socket, multiprocessing\n"
        "from data.errors import RepError\n"
        "from data.ncssd.offline import forbid_network\n"
        "forbid_network()\n"
        "for reach in (lambda: socket.create_connection(('127.0.0.1', 9), 1),\n"
        "              lambda: socket.getaddrinfo('localhost', 80)):\n"
        "    try: reach()\n"
        "    except RepError: print('refused')\n"
        "a, b = socket.socketpair(); a.sendall(b'x'); print(b.recv(1))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["refused", "refused", "b'x'"], done.stderr


SURE = {"text": "Yes.", "confidence": 0.9}


@pytest.mark.parametrize(
    ("recogniser", "turns", "says"),
    [
        ("none", [SURE], "there are none (--recogniser none)"),
        ("pocketsphinx", [SURE], "pocketsphinx gets about half"),
        ("whisper", [SURE, SURE, {"text": "", "confidence": None}], "33 % of the turns have none"),
        ("whisper", [{"text": "Hm.", "confidence": 0.3}], "mean confidence is only 0.30"),
        ("whisper", [SURE] * 3, ""),
        ("none", [], ""),
    ],
)
def test_a_build_whose_texts_are_unfit_for_training_says_so(capsys, recogniser, turns, says):
    rows = [{"start": 0.0, "end": 60.0, "turns": turns}] if turns else []
    config = BuildConfig().replace("recognise", recogniser=recogniser)
    _say_made(Built(rows, [], [], len(rows), 0), Path("out"), config)
    said = capsys.readouterr().out
    assert ("WARNING: the transcripts are not fit for training: " in said) == bool(says)
    assert says in said
