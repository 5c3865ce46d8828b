"""Cloned voices: sample, library, and commands."""

import json
import pickle
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from app.cli.clone import main as clone
from app.cli.voices import main
from app.library import Library, read_voice_file
from app.voice_sample import MAX_SAMPLE_S, clean_sample, similarity
from app.voice_store import OPENAI_VOICES, VoiceStore
from app.voices import load_speaker
from data.audio import SAMPLE_RATE, read_audio, write_audio
from data.errors import InputError
from models.checkpoint import WEIGHTS
from models.voice import Voice
from tests.app.voice_sound import espeak_voice
from tests.tiny import STYLE, save_tiny

VOICE = Voice("anna", "", torch.arange(STYLE, dtype=torch.float32))


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def kept(folder: Path, name: str = "anna") -> Library:
    library = Library(folder)
    library.keep(Voice(name, "", VOICE.style), clean_sample([espeak_voice()]), "she said so", "hi")
    return library


# The sample


def test_silence_around_a_sample_is_trimmed() -> None:
    sound = espeak_voice()
    sample = clean_sample([np.concatenate([silence(2.0), sound, silence(3.0)])])
    assert len(sample.samples) < len(sound) + 0.5 * SAMPLE_RATE
    assert np.abs(sample.samples[: SAMPLE_RATE // 2]).max() > 0.05
    assert sample.speech_s > 5 and sample.snr_db > 20


def test_several_clips_make_one_sample_of_at_most_20_s() -> None:
    sound = espeak_voice()
    half = len(sound) // 2
    joined = clean_sample([sound[:half], sound[half:]])
    assert joined.speech_s == pytest.approx(clean_sample([sound]).speech_s, abs=0.6)
    assert len(clean_sample([sound] * 4).samples) == MAX_SAMPLE_S * SAMPLE_RATE


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda sound: sound[: 2 * SAMPLE_RATE], "at least 3 s"),
        (lambda sound: silence(5.0), "too quiet"),
        (lambda sound: 1e-4 * sound, "too quiet"),
        (lambda sound: np.clip(20 * sound, -1, 1), "clipped"),
        (
            lambda sound: (
                sound
                + 0.1 * np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
            ),
            "noisy",
        ),
        (lambda sound: np.concatenate([sound, espeak_voice("espeak-en-us+f5")]), "two voices"),
        (lambda sound: np.where(np.arange(len(sound)) == 9, np.nan, sound), "NaN"),
    ],
)
def test_an_unusable_sample_is_rejected_with_the_reason(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        clean_sample([make(espeak_voice())])


def test_similarity_distinguishes_voices() -> None:
    first, other = espeak_voice(), espeak_voice("espeak-en-us+f5")
    half = len(first) // 2
    assert similarity(first[:half], first[half:]) > similarity(first, other) + 0.1


# The library


def test_a_voice_is_stored_and_loaded(tmp_path: Path) -> None:
    kept(tmp_path / "library")
    voice, facts = Library(tmp_path / "library").load("anna")
    assert torch.equal(voice.style, VOICE.style)
    assert (facts.name, facts.consent, facts.transcript) == ("anna", "she said so", "hi")
    assert len(facts.source_sha256) == 64
    assert list(Library(tmp_path / "library").voices(STYLE)) == ["anna"]
    assert Library(tmp_path / "library").voices(STYLE + 1) == {}


def test_names_are_unique_and_not_paths(tmp_path: Path) -> None:
    library = kept(tmp_path / "library")
    sample = clean_sample([espeak_voice()])
    with pytest.raises(InputError, match="already"):
        library.keep(VOICE, sample, "she said so")
    for name in ("", ".", "..", "../anna", "a/b", "a\\b", "-x", "x" * 41, "con", "nul.txt", "a\0b"):
        with pytest.raises(InputError, match="is not a valid voice name"):
            library.keep(Voice(name, "", VOICE.style), sample, "she said so")
    with pytest.raises(InputError, match="no consent"):
        library.keep(Voice("berta", "", VOICE.style), sample, "  ")
    assert [path.name for path in (tmp_path / "library").iterdir()] == ["anna.safetensors"]


def test_a_voice_is_exported_and_imported(tmp_path: Path) -> None:
    library = kept(tmp_path / "library")
    library.export("anna", tmp_path / "out.voice")
    with pytest.raises(InputError, match="already exists"):
        library.export("anna", tmp_path / "out.voice")
    with pytest.raises(InputError, match="already"):
        library.take_in(tmp_path / "out.voice")
    assert library.take_in(tmp_path / "out.voice", "berta").name == "berta"
    assert torch.equal(library.load("berta")[0].style, VOICE.style)
    library.remove("anna")
    assert library.names() == ["berta"]
    with pytest.raises(InputError, match="no cloned voice"):
        library.remove("anna")


def hostile(good: bytes, tmp_path: Path) -> list[bytes]:
    """Two hundred invalid voice files."""
    rng = np.random.default_rng(3)
    header_size = struct.unpack("<Q", good[:8])[0]
    header, body = good[8 : 8 + header_size], good[8 + header_size :]
    facts = json.loads(json.loads(header)["__metadata__"]["repartee_voice"])

    pcm = torch.zeros(9, dtype=torch.int16)

    def with_facts(**changes: object) -> bytes:
        save_file(
            {"style": VOICE.style, "sample": pcm},
            tmp_path / "made",
            metadata={"repartee_voice": json.dumps({**facts, **changes})},
        )
        return (tmp_path / "made").read_bytes()

    def with_tensors(metadata: bool = True, **tensors: torch.Tensor) -> bytes:
        given = {"repartee_voice": json.dumps(facts)} if metadata else None
        save_file(tensors, tmp_path / "made", metadata=given)
        return (tmp_path / "made").read_bytes()

    made = [
        b"",
        b"RIFF",
        pickle.dumps({"style": [1.0]}),
        struct.pack("<Q", 2**30) + header + body,
        struct.pack("<Q", 2**63) + header + body,
        good + b"x" * 5_000_000,
        *(with_facts(name=name) for name in ("../../outside", "/etc/passwd", 7)),
        with_facts(consent=""),
        with_facts(consent=None),
        with_facts(seconds="long"),
        with_facts(transcript="x" * 3000),
        with_facts(more=1),
        with_tensors(metadata=False, style=VOICE.style, sample=pcm),
        with_tensors(style=VOICE.style),
        with_tensors(style=VOICE.style, sample=pcm, more=pcm.clone()),
        with_tensors(style=torch.full((STYLE,), torch.nan), sample=pcm),
        with_tensors(style=VOICE.style[None], sample=pcm),
        with_tensors(style=pcm, sample=pcm.clone()),
        with_tensors(style=VOICE.style, sample=VOICE.style.clone()),
    ]
    made += [good[: int(cut)] for cut in rng.integers(1, len(good), 100)]
    while len(made) < 200:  # a broken header: its length and its beginning
        broken = bytearray(good)
        for place in rng.integers(0, 40, 3):
            broken[int(place)] = int(rng.integers(128, 256))
        made.append(bytes(broken))
    return made


def test_hostile_files_are_rejected_with_a_message(tmp_path: Path) -> None:
    library = kept(tmp_path / "library")
    good = library.path("anna").read_bytes()
    files = hostile(good, tmp_path)
    assert len(files) == 200
    before = sorted(tmp_path.rglob("*"))
    for number, content in enumerate(files):
        source = tmp_path / "made"
        source.write_bytes(content)
        with pytest.raises(InputError):
            library.take_in(source)
        assert sorted(tmp_path.rglob("*")) == before, number
    assert library.names() == ["anna"]


def test_a_damaged_voice_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library = kept(tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    assert list(library.voices(STYLE)) == ["anna"]
    assert "skipping voice bad" in caplog.text
    with pytest.raises(InputError, match="damaged"):
        read_voice_file(tmp_path / "bad.safetensors")


def test_a_cloned_voice_is_never_the_default(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Cloned voices came before bundled ones, and the first voice is the default."""
    weights, library = save_tiny(tmp_path / "weights"), kept(tmp_path / "library")
    kept(tmp_path / "library", "two")
    _, store = load_speaker(weights, library=library)
    assert list(store.voices) == ["one", "two", "slt", "anna"]
    assert store.voices["two"].prompt is None  # the bundled one
    assert "skipping voice two: a bundled voice has its name" in caplog.text
    store.remove("two")
    assert library.names() == ["anna"]
    assert store.voices["two"].prompt is None


# The verbs


def test_clone_list_show_export_import_remove(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(save_tiny(tmp_path / "weights"))
    write_audio(tmp_path / "sample.wav", espeak_voice())
    library = ["--library", str(tmp_path / "library")]
    given = [str(tmp_path / "sample.wav"), "--name", "anna", "--consent", "she said so"]
    given += ["--weights", weights, *library]
    assert clone([*given, "--transcript", "I walked along the river."]) == 0
    with pytest.raises(InputError, match="already"):
        clone(given)
    capsys.readouterr()
    assert main(["--weights", weights, *library, "list"]) == 0
    assert "anna         cloned from" in capsys.readouterr().out
    assert main([*library, "show", "anna"]) == 0
    assert json.loads(capsys.readouterr().out)["transcript"] == "I walked along the river."
    assert main([*library, "export", "anna", str(tmp_path / "anna.voice")]) == 0
    assert main([*library, "remove", "anna"]) == 0
    take = ["--weights", weights, *library, "import", str(tmp_path / "anna.voice"), "--name"]
    with pytest.raises(InputError, match="bundled"):
        main([*take, "two"])
    assert main([*take, "berta"]) == 0
    assert [path.name for path in (tmp_path / "library").iterdir()] == ["berta.safetensors"]


def test_samples_writes_one_file_per_voice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, library = str(save_tiny(tmp_path / "weights")), ["--library", str(tmp_path / "lib")]
    out = tmp_path / "samples"
    assert main(["--weights", weights, *library, "samples", str(out)]) == 0
    assert [path.stem for path in sorted(out.iterdir())] == ["one", "slt", "two"]
    assert all(len(read_audio(path)) for path in out.iterdir())
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_openais_names_are_english_voices_of_their_kind(tmp_path: Path) -> None:
    """Realtime clients ask for marin, a woman, and got a man who is at home in Mandarin."""
    about = json.loads((WEIGHTS / "voices.json").read_text())
    voices = {name: Voice(name, text, torch.zeros(2)) for name, text in about.items()}
    aliases = VoiceStore(SimpleNamespace(voices=voices), Library(tmp_path)).aliases()  # type: ignore[arg-type]
    for name, kind in OPENAI_VOICES.items():
        assert about[aliases[name]].startswith(f"a {kind},")
        assert "Mandarin" not in about[aliases[name]]
    assert len(set(aliases.values())) == 8
