"""The voice library: validation, and several processes on one library."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from app.library import Library, VoiceFacts
from app.voice_sample import VoiceSample
from app.voice_store import Cloned, VoiceStore
from app.voices import load_speaker
from data.errors import InputError, OutputError
from data.files import PART, folder_lock
from models.voice import Prompt, Voice
from tests.disk import files_of_at_most, names
from tests.tiny import STYLE, save_tiny

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = VoiceSample(np.zeros(24_000, np.float32), 1.0, 40.0, 1.0)
PCM = torch.zeros(24_000, dtype=torch.int16)
STYLE_OF_ANNA = torch.linspace(-2, 2, STYLE)
FACTS = asdict(VoiceFacts("anna", "hi", "en", "she said so", "0" * 64, "2025-05-03T10:00", 1.0))


def anna(name: str = "anna") -> Voice:
    return Voice(name, "", STYLE_OF_ANNA, Prompt("hi", SAMPLE.samples))


def voice_file(path: Path, style: torch.Tensor, sample: torch.Tensor, facts: object) -> Path:
    save_file({"style": style, "sample": sample}, path, {"repartee_voice": json.dumps(facts)})
    return path


def test_kept_voices_can_be_exported(tmp_path: Path) -> None:
    for number, text in enumerate(("", "it's\na test", "你好 😀", "two\r\nlines", "half \ud83d")):
        first, second = Library(tmp_path / "a"), Library(tmp_path / "b")
        first.keep(anna(f"v{number}"), SAMPLE, text or "yes", text, "en-US")
        first.export(f"v{number}", tmp_path / f"{number}.voice")
        second.take_in(tmp_path / f"{number}.voice")
        facts = second.load(f"v{number}")[1]
        assert "\r" not in facts.consent and facts.consent.encode()


NO_TEXTS = ("\x1b[31mred", "a\0b", "a\x9bb", "a\u202eb", "a\u2029b", "a\x7fb", "a\ud83db", 7, None,
            "x" * 2001, ["x"])  # fmt: skip
BAD_FACTS = [
    *[{name: text} for name in ("transcript", "consent") for text in NO_TEXTS],
    *[{"seconds": s} for s in (float("nan"), float("inf"), -0.1, 1e9, True, "1", None, 10**400)],
    *[{"language": text} for text in ("", "e", "en us", "en_us", "x" * 40, "en\n", "../x")],
    *[{"source_sha256": text} for text in ("", "0" * 63, "g" * 64, "0" * 65, 0)],
    *[{"created": text} for text in ("", "yesterday", "2025-13-01", "2025-05-03T99:00", 5)],
    *[{"name": text} for text in ("", "a/b", "../anna", "a\nb", "ä", 5)],
    {"consent": " \n "},
]


@pytest.mark.parametrize("changes", BAD_FACTS, ids=lambda changes: repr(changes)[:30])
def test_invalid_metadata_is_rejected(changes: dict, tmp_path: Path) -> None:
    """Control characters, NaN and values out of range were accepted."""
    path = voice_file(tmp_path / "a.voice", STYLE_OF_ANNA, PCM, {**FACTS, **changes})
    with pytest.raises(InputError) as caught:
        Library(tmp_path / "library").take_in(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500
    assert names(tmp_path) == ["a.voice"]
    assert Library(tmp_path / "library").take_in(
        voice_file(path, STYLE_OF_ANNA, PCM, FACTS)
    ) == VoiceFacts(**FACTS)


BAD_TENSORS: dict[str, tuple[torch.Tensor, torch.Tensor]] = {
    "NaN": (STYLE_OF_ANNA / 0, PCM),
    "infinity": (torch.full((STYLE,), torch.inf), PCM),
    "too large": (STYLE_OF_ANNA * 1e6, PCM),
    "one too large": (torch.cat([STYLE_OF_ANNA[1:], torch.tensor([-1e30])]), PCM),
    "infinite as float32": (torch.full((STYLE,), 1e300, dtype=torch.float64), PCM),
    "empty": (torch.zeros(0), PCM),
    "long": (torch.zeros(5000), PCM),
    "matrix": (STYLE_OF_ANNA[None], PCM),
    "whole numbers": (torch.ones(STYLE, dtype=torch.int32), PCM),
    "long sample": (STYLE_OF_ANNA, torch.zeros(24_000 * 21, dtype=torch.int16)),
    "float sample": (STYLE_OF_ANNA, PCM.float()),
    "stereo sample": (STYLE_OF_ANNA, torch.zeros((2, 9), dtype=torch.int16)),
}


@pytest.mark.parametrize("kind", BAD_TENSORS)
def test_invalid_tensors_are_rejected(kind: str, tmp_path: Path) -> None:
    path = voice_file(tmp_path / "a.voice", *BAD_TENSORS[kind], FACTS)
    with pytest.raises(InputError, match="has no valid voice: its"):
        Library(tmp_path / "library").take_in(path)
    assert names(tmp_path) == ["a.voice"]


@pytest.mark.parametrize("name", ["anna", "Anna", "ANNA"])
def test_names_are_case_insensitive(name: str, tmp_path: Path) -> None:
    library = Library(tmp_path)
    library.keep(anna(), SAMPLE, "yes")
    for again in (
        lambda: library.prepare(name, "yes"),
        lambda: library.keep(anna(name), SAMPLE, "yes"),
    ):
        with pytest.raises(InputError, match="already has a voice 'anna'"):
            again()
    assert names(tmp_path) == ["anna.safetensors"]


def test_a_full_disk_leaves_no_partial_file(tmp_path: Path) -> None:
    """`voices export` once did."""
    library = Library(tmp_path / "library")
    library.keep(anna(), SAMPLE, "yes")
    with files_of_at_most(8000):
        with pytest.raises(OutputError, match="too large"):
            library.export("anna", tmp_path / "new" / "anna.voice")
        with pytest.raises(OutputError, match="too large"):
            library.keep(anna("berta"), SAMPLE, "yes")
    assert names(tmp_path / "library") == ["anna.safetensors"] and names(tmp_path / "new") == []


def test_a_voice_removed_while_it_is_read_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch opens the file a second time."""
    library = Library(tmp_path)
    library.keep(anna("anna"), SAMPLE, "yes")

    def removed(path: Path, framework: str) -> None:
        library.remove("anna")
        torch.UntypedStorage.from_file(str(path), False, 8)

    monkeypatch.setattr("app.library.safe_open", removed)
    with pytest.raises(InputError, match="no cloned voice 'anna'"):
        library.load("anna")


def keep_and_remove(folder: Path, me: int) -> int:
    """Keeps its own voices, and competes for shared names; returns how many it won."""
    library, won = Library(folder), 0
    for number in range(12):
        library.keep(anna(f"v{me}-{number}"), SAMPLE, "yes")
        if number % 3 == 0:
            library.remove(f"v{me}-{number}")
        try:
            library.keep(anna(f"both{number}"), SAMPLE, "yes")
            won += 1
        except InputError as error:
            assert "already" in str(error)
    return won


def test_several_processes_on_one_library_lose_nothing(tmp_path: Path) -> None:
    """Each keeps its own voices and competes for one shared name; some are removed again.
    Concurrent readers only see complete voices."""
    program = (
        "import sys; from pathlib import Path; from tests.app.test_library import keep_and_remove\n"
        "Path(sys.argv[1], 'started').touch()\n"
        "sys.exit(100 + keep_and_remove(Path(sys.argv[1]), 0))\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT)
    while not (tmp_path / "started").exists():
        assert other.poll() is None
    library, won = Library(tmp_path), []
    threads = [
        threading.Thread(target=lambda me=me: won.append(keep_and_remove(tmp_path, me)))
        for me in (1, 2)
    ]
    for thread in threads:
        thread.start()
    while other.poll() is None or any(thread.is_alive() for thread in threads):
        for name in library.names():
            try:
                voice, _ = library.load(name)
            except InputError as error:
                assert "no cloned voice" in str(error)  # removed since it was listed
                continue
            assert torch.equal(voice.style, STYLE_OF_ANNA)
    assert sum(won) + other.returncode - 100 == 12, "one of them keeps each name"
    kept = {f"v{me}-{n}" for me in range(3) for n in range(12) if n % 3}
    assert set(library.names()) == kept | {f"both{n}" for n in range(12)}
    assert not list(tmp_path.glob(f"{PART}*"))


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    library = Library(tmp_path)
    with folder_lock(tmp_path):
        thread = threading.Thread(target=lambda: library.keep(anna(), SAMPLE, "yes"))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and library.names() == []
    thread.join(10)
    assert library.names() == ["anna"]


@pytest.fixture
def server(tmp_path: Path) -> Callable[[], VoiceStore]:
    weights = save_tiny(tmp_path / "weights")

    def start() -> VoiceStore:
        library = Library(tmp_path / "library")
        return load_speaker(weights, library=library)[1]

    return start


def test_servers_on_one_library_see_each_others_voices(
    server: Callable[[], VoiceStore], tmp_path: Path
) -> None:
    first, second = server(), server()
    first.keep(Cloned(anna(), SAMPLE), "anna", "yes")
    with pytest.raises(InputError, match="already has a voice 'anna'"):
        second.keep(Cloned(anna(), SAMPLE), "anna", "yes")
    second.sync()
    assert torch.equal(second.find("anna").style, STYLE_OF_ANNA)
    second.remove("anna")
    Library(tmp_path / "library").keep(Voice("berta", "", -STYLE_OF_ANNA), SAMPLE, "yes")
    first.sync()
    assert list(first.voices) == ["one", "two", "slt", "berta"]
    with pytest.raises(InputError, match="unknown voice"):
        first.find("anna")
    # removed and kept anew under one name, by others
    Library(tmp_path / "library").remove("berta")
    Library(tmp_path / "library").keep(anna("berta"), SAMPLE, "yes")
    first.sync()
    assert torch.equal(first.find("berta").style, STYLE_OF_ANNA)


def test_other_processes_cannot_take_a_bundled_name(
    server: Callable[[], VoiceStore], tmp_path: Path
) -> None:
    store = server()
    bundled = store.find("two")
    library = Library(tmp_path / "library")
    library.keep(anna("two"), SAMPLE, "yes")
    library.keep(Voice("other-models", "", torch.ones(STYLE + 1)), SAMPLE, "yes")
    store.sync()
    library.remove("two")
    store.sync()
    assert store.find("two") is bundled and "other-models" not in store.voices


def test_voices_kept_concurrently_are_all_stored(server: Callable[[], VoiceStore]) -> None:
    store = server()
    threads = [
        threading.Thread(target=store.keep, args=(Cloned(anna(), SAMPLE), f"v{n}", "yes"))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(store.voices) == {"one", "two", "slt", *(f"v{n}" for n in range(8))}


@pytest.mark.parametrize("name", ["two", "Two", "TWO", "slt", "SLT"])
@pytest.mark.parametrize("given", ["clone", "keep", "import"])
def test_bundled_names_are_reserved_however_a_voice_is_added(
    name: str, given: str, server: Callable[[], VoiceStore], tmp_path: Path
) -> None:
    store = server()
    file = Library(tmp_path / "other").path("anna")
    Library(tmp_path / "other").keep(anna(), SAMPLE, "yes")
    ways: dict[str, Callable[[], object]] = {
        "clone": lambda: store.clone_and_keep([], name, "yes", lambda samples: ""),
        "keep": lambda: store.keep(Cloned(anna(), SAMPLE), name, "yes"),
        "import": lambda: store.library.take_in(file, name),
    }
    with pytest.raises(InputError, match=f"'{name.lower()}' is already a bundled voice"):
        ways[given]()
    assert store.library.names() == []


@pytest.mark.parametrize("consent", ["", " ", "\t\n", "\u2003", "\r\n "])
def test_no_voice_is_cloned_without_consent(consent: str, server: Callable[[], VoiceStore]) -> None:
    store = server()
    with pytest.raises(InputError, match="no consent"):
        store.clone_and_keep([], "anna", consent, lambda samples: "")
    with pytest.raises(InputError, match="no consent"):
        store.keep(Cloned(anna(), SAMPLE), "anna", consent)
