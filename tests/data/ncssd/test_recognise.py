"""Transcription: pocketsphinx, Whisper, an endpoint, and units by language."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import soundfile

from data.audio import resample
from data.errors import InputError, MissingModelError
from data.ncssd import recognise
from data.ncssd.config import BuildConfig, RecogniseConfig
from data.ncssd.export import export_ncssd, name_dialogues
from data.ncssd.stage import Context
from data.ncssd.store import Store
from data.recognition.whisper import Transcript, Word
from tests.data.ncssd import made


def test_pocketsphinx_returns_words_with_confidence():
    recogniser = recognise.load(RecogniseConfig("pocketsphinx"))
    samples = resample(made.line(0, 5), 24_000, 16_000)
    (heard,) = recogniser([samples], "en")
    text, confidence = heard.text, heard.confidence
    assert {"that", "the", "kitchen", "table", "morning"} & set(text.split())
    assert confidence is not None and 0.0 <= confidence <= 1.0
    other = resample(made.line(1, 1), 24_000, 16_000)
    again = recogniser([other, samples, np.zeros(1600, np.float32)], "en")
    assert again[1] == heard, "a turn must not depend on the one before"
    assert again[2].text == ""


@pytest.fixture
def endpoint():
    """A server that answers each file with its size; yields its address and the requests."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Authorization"], body))
            answer = json.dumps({"text": " Hello there. "}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_transcribes_each_turn(endpoint, tmp_path, monkeypatch):
    address, seen = endpoint
    monkeypatch.setenv("ASR_API_KEY", "a key")
    made.write(tmp_path / "a.wav", made.conversation(2), 24_000)
    config = BuildConfig().replace(
        "recognise", recogniser="endpoint", endpoint=address, language="zh", model="large"
    )
    turns = [{"start": 1.0, "end": 2.0, "speaker": 0}, {"start": 3.0, "end": 4.0, "speaker": 1}]
    (row,) = recognise.run(
        {"audio": "a.wav", "turns": turns}, Context(config, Store(tmp_path)), "key"
    )
    assert row["language"] == "zh"
    assert [turn["text"] for turn in row["turns"]] == ["Hello there."] * 2
    assert [turn["confidence"] for turn in row["turns"]] == [None, None]
    path, key, body = seen[0]
    assert path == "/v1/audio/transcriptions" and key == "Bearer a key"
    assert b"large" in body and b"zh" in body and b"RIFF" in body


def test_missing_recognisers_are_named_with_their_location(tmp_path):
    config = RecogniseConfig(recogniser="whisper", model=str(tmp_path / "large"))
    with pytest.raises((MissingModelError, InputError), match="large"):
        recognise.load(config)
    endpoint = RecogniseConfig(recogniser="endpoint", language="en")
    assert "empty" in (recognise.check(endpoint, False) or "")
    with pytest.raises(InputError, match="--language"):
        recognise.check(RecogniseConfig(recogniser="endpoint"), False)


class FakeWhisper:
    """Transcribes everything as two words, and detects Mandarin in loud audio."""

    def __init__(self, folder, device, num_threads):
        assert num_threads == 1, "results must not depend on the machine"
        self.asked = []
        self.batches = []
        self.sounds = []

    def find_language(self, samples):
        return "zh" if np.abs(samples).max() > 0.5 else "fr"

    def transcribe_all(self, utterances, language, batch):
        self.asked += [language] * len(utterances)
        self.batches.append(batch)
        self.sounds += utterances
        words = (Word("你", 0.25, 0.5, 0.9), Word("好。", 0.5, 0.75, 0.7))
        return [Transcript("你好。", language, 0.8, words)] * len(utterances)


@pytest.fixture
def whisper(monkeypatch):
    monkeypatch.setattr(recognise, "Whisper", FakeWhisper)
    monkeypatch.setattr(recognise, "find_whisper", lambda model, download=False: "folder")
    recognise.load.cache_clear()
    yield
    recognise.load.cache_clear()


@pytest.mark.parametrize(
    ("asked", "known", "loud", "language"),
    [
        ("auto", None, True, "zh"),
        ("auto", None, False, "fr"),
        ("auto", "de", True, "de"),
        ("en", None, True, "en"),
        ("zh", "zh-CN", False, "zh-CN"),
        ("en-GB", None, True, "en-GB"),
        ("auto", "pt_BR", True, "pt_BR"),
        ("auto", "ZH-hant-TW", True, "ZH-hant-TW"),
        ("auto", "nb-NO", True, "nb-NO"),
    ],
)
def test_whisper_is_asked_in_the_language_of_the_dialogue(
    tmp_path, whisper, asked, known, loud, language
):
    """Without its region, which Whisper does not know; the dialogue keeps it."""
    spoken = {"zh-CN": "zh", "en-GB": "en", "pt_BR": "pt", "ZH-hant-TW": "zh", "nb-NO": "no"}
    samples = (0.9 if loud else 0.1) * np.ones(72_000, np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 24_000, "PCM_24")
    config = BuildConfig().replace("recognise", recogniser="whisper", language=asked)
    turns = [{"start": 0.0, "end": 1.0, "speaker": 0}, {"start": 2.0, "end": 2.9, "speaker": 1}]
    row = {"audio": "a.wav", "turns": turns} | ({"language": known} if known else {})
    (made,) = recognise.run(row, Context(config, Store(tmp_path)), "key")
    assert made["language"] == language
    fake = recognise.load(config.recognise)._whisper
    assert fake.asked == [spoken.get(language, language)] * 2
    assert fake.batches == [config.recognise.batch], "one call for the turns of a dialogue"
    assert [turn["text"] for turn in made["turns"]] == ["你好。"] * 2
    assert made["turns"][1]["confidence"] == 0.8
    assert made["turns"][0]["words"][0] == ["你", 0.25, 0.5, 0.9], "nothing lies before the start"
    assert made["turns"][1]["words"] == [["你", 2.1, 2.35, 0.9], ["好。", 2.35, 2.6, 0.7]]


def without_whisper(model, download=False):
    raise MissingModelError("its weights lie nowhere")


@pytest.mark.parametrize("recogniser", ["none", "pocketsphinx", "endpoint", "whisper"])
def test_a_named_recogniser_is_used(recogniser):
    config = BuildConfig().replace("recognise", recogniser=recogniser)
    assert recognise.resolve(config) == config


def test_without_whisper_pocketsphinx_is_used_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(recognise, "find_whisper", without_whisper)
    for language in ("auto", "en", "en-GB"):
        config = BuildConfig().replace("recognise", language=language)
        assert recognise.resolve(config).recognise.recogniser == "pocketsphinx"
        assert "not fit for training" in caplog.text and "lie nowhere" in caplog.text
        caplog.clear()
    for asked in ({"language": "zh"}, {"model": "large-v3"}):
        with pytest.raises(MissingModelError, match="lie nowhere"):
            recognise.resolve(BuildConfig().replace("recognise", **asked))


def rows_of(*turns):
    return [{"turns": [{"text": text, "confidence": chance} for text, chance in turns]}]


@pytest.mark.parametrize(
    ("recogniser", "rows", "why"),
    [
        ("whisper", rows_of(("yes", 0.9), ("no", 0.8)), ""),
        ("whisper", rows_of(("yes", 0.9), ("", 0.0)), "50 % of the turns"),
        ("whisper", rows_of(("yes", 0.4), ("no", 0.3)), "mean confidence is only 0.35"),
        ("endpoint", rows_of(("yes", None)), ""),
        ("pocketsphinx", rows_of(("yes", 1.0)), "half of the words"),
        ("none", rows_of(("", None)), "none"),
        ("none", [], ""),
    ],
)
def test_transcripts_not_fit_for_training_are_reported(recogniser, rows, why):
    found = recognise.doubts(RecogniseConfig(recogniser), rows)
    assert why in found and bool(why) == bool(found)


def test_a_separated_turn_is_recognised_on_its_own_track(tmp_path, whisper):
    """The track begins at 2.0 s, half a second into the file that holds it."""
    levels = {"a.wav": 0.1, "track.wav": 0.6}
    for name, level in levels.items():
        soundfile.write(tmp_path / name, level * np.ones(96_000, np.float32), 24_000, "PCM_24")
    turns: list[dict] = [{"start": 0.5, "end": 1.5, "speaker": 0}]
    turns.append({"start": 2.0, "end": 3.0, "speaker": 1})
    turns[1]["separated"] = ["track.wav", 12_000, 2.0, 3.0]
    config = BuildConfig().replace("recognise", recogniser="whisper", language="en", batch=8)
    context = Context(config, Store(tmp_path))
    recognise.run({"audio": "a.wav", "turns": turns}, context, "key")
    mixed, own = recognise.load(config.recognise)._whisper.sounds
    assert np.median(mixed) == pytest.approx(0.1, abs=1e-3)
    assert np.median(own) == pytest.approx(0.6, abs=1e-3)
    assert len(mixed) == pytest.approx(1.3 * 16_000, abs=1), "padded on both sides"
    assert len(own) == 16_000, "beyond the track there is only the mixture"


@pytest.mark.parametrize(
    ("turn", "others", "seconds"),
    [
        ((1.0, 2.0), [], (0.85, 2.15)),
        ((0.1, 2.0), [], (0.0, 2.15)),
        ((1.0, 2.0), [(0.2, 0.9), (2.1, 3.0)], (0.9, 2.1)),
        ((1.0, 2.0), [(0.2, 1.04), (1.96, 3.0)], (1.0, 2.0)),
        ((1.0, 2.0), [(0.2, 3.0)], (0.85, 2.15)),
        ((1.0, 2.0), [(1.0, 2.0)], (0.85, 2.15)),
        ((1.0, 2.0), [(1.4, 1.6)], (0.85, 2.15)),
        ((1.0, 2.0), [(0.2, 0.5), (2.5, 3.0)], (0.85, 2.15)),
    ],
)
@pytest.mark.parametrize("track", [{}, {"separated": ["a.wav", 0, 0.0, 4.0]}, {"channel": 1}])
def test_padding_ends_where_the_other_speaker_begins(
    tmp_path, whisper, turn, others, seconds, track
):
    times = np.arange(96_000, dtype=np.float32) / 96_000  # the value tells the time
    soundfile.write(tmp_path / "a.wav", np.stack([times, times], 1), 24_000, "PCM_24")
    seconds = (max(0.0, turn[0] - 0.15), turn[1] + 0.15) if "channel" in track else seconds
    turns: list[dict] = [{"start": turn[0], "end": turn[1], "speaker": 0, **track}]
    turns += [{"start": a, "end": b, "speaker": 1} for a, b in others]
    config = BuildConfig().replace("recognise", recogniser="whisper", language="en")
    (made,) = recognise.run(
        {"audio": "a.wav", "turns": turns}, Context(config, Store(tmp_path)), ""
    )
    sound = recognise.load(config.recognise)._whisper.sounds[0]
    start, end = 4 * sound[300], 4 * sound[-300]  # away from the edges, where resampling rings
    assert (start - 300 / 16_000, end + 300 / 16_000) == pytest.approx(seconds, abs=0.002)
    assert made["turns"][0]["words"][0][1] == pytest.approx(seconds[0] + 0.25, abs=1e-3)


class FakeRecogniser:
    def __init__(self, *texts):
        self.texts = texts

    def language(self, samples):
        return "en"

    def __call__(self, turns, language):
        return [Transcript(text, language, 0.5) for text in self.texts[: len(turns)]]


@pytest.mark.parametrize(
    ("language", "first", "second", "agreements"),
    [
        ("en", ["Yes, I do.", "No."], ["yes i do", "Now"], [1.0, 0.0]),
        ("en-GB", ["Four little words here.", "Hm"], ["four words here", ""], [0.75, None]),
        ("zh-CN", ["我不知道。", ""], ["我 不知", "好"], [0.75, None]),
    ],
)
def test_a_second_recogniser_gives_each_turn_its_agreement(
    tmp_path, monkeypatch, language, first, second, agreements
):
    soundfile.write(tmp_path / "a.wav", np.zeros(72_000, np.float32), 24_000)
    config = BuildConfig().replace(
        "recognise", recogniser="whisper", second="endpoint", second_model="large", model="small"
    )
    models = {("whisper", "small"): first, ("endpoint", "large"): second}
    monkeypatch.setattr(
        recognise, "load", lambda c: FakeRecogniser(*models[(c.recogniser, c.model)])
    )
    turns = [{"start": 0.5, "end": 1.0, "speaker": 0}, {"start": 2.0, "end": 2.5, "speaker": 1}]
    row = {"audio": "a.wav", "turns": turns, "language": language}
    (made,) = recognise.run(row, Context(config, Store(tmp_path)), "key")
    assert [turn["text"] for turn in made["turns"]] == first
    assert [turn["agreement"] for turn in made["turns"]] == agreements


def test_what_the_second_recogniser_does_not_support_has_no_agreement(tmp_path, whisper):
    soundfile.write(tmp_path / "a.wav", 0.9 * np.ones(72_000, np.float32), 24_000)
    config = BuildConfig().replace("recognise", recogniser="whisper", second="pocketsphinx")
    row = {"audio": "a.wav", "turns": [{"start": 0.5, "end": 2.0, "speaker": 0}]}
    (made,) = recognise.run(row, Context(config, Store(tmp_path)), "key")
    assert (made["language"], made["turns"][0]["agreement"]) == ("zh", None)
    rows = [{"language": code} for code in ("zh", "en-GB", "pt_BR")]
    why = recognise.unmeasured(config.recognise, rows)
    assert "2 of 3" in why and "pocketsphinx does not support pt_BR, zh" in why
    assert recognise.unmeasured(config.recognise, rows[1:2]) == ""
    assert recognise.unmeasured(RecogniseConfig("whisper"), rows) == ""


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ({}, {"second": "whisper"}, "is the first one"),
        ({"model": "base"}, {"second": "whisper"}, "is the first one"),
        ({}, {"second": "whisper", "second_model": "base"}, "is the first one"),
        ({"model": "a/b"}, {"second": "whisper", "second_model": "a/b/"}, "is the first one"),
        (
            {"recogniser": "pocketsphinx"},
            {"second": "pocketsphinx", "second_model": "x"},
            "is the first one",
        ),
        ({}, {"second": "ears"}, "unknown recogniser"),
        ({}, {"second": "auto"}, "--second-recogniser"),
        ({}, {"second_model": "small"}, "--second-recogniser"),
        ({"recogniser": "none"}, {"second": "whisper"}, "--recogniser"),
        ({"batch": 0}, {}, "--asr-batch"),
    ],
)
def test_impossible_second_recognisers_are_rejected(whisper, first, second, says):
    config = RecogniseConfig(**({"recogniser": "whisper"} | first | second))
    with pytest.raises(InputError, match=says):
        recognise.check(config, offline=False)


def test_another_model_is_another_recogniser(whisper):
    config = RecogniseConfig("whisper", second="whisper", second_model="small")
    assert recognise.check(config, offline=True) is None
    endpoint = RecogniseConfig("whisper", second="endpoint")
    assert "endpoint is empty" in (recognise.check(endpoint, False) or "")
    endpoint = RecogniseConfig("whisper", second="endpoint", endpoint="http://h/v1")
    assert recognise.check(endpoint, False) is None, "the first one detects the language"


@pytest.mark.parametrize(
    ("recogniser", "language", "says"),
    [
        ("whisper", "xx", "xx.*en-GB"),
        ("whisper", "english", "english.*en-GB"),
        ("whisper", "ga-IE", "whisper.*ga-IE.*endpoint"),
        ("pocketsphinx", "de-AT", "English only.*de-AT"),
        ("none", "e", "ISO 639-1"),
    ],
)
def test_languages_that_a_recogniser_does_not_know_are_rejected(
    whisper, recogniser, language, says
):
    with pytest.raises(InputError, match=says):
        recognise.check(RecogniseConfig(recogniser, language=language), offline=False)
    for known in ("en", "en-GB", "EN_us"):
        assert recognise.check(RecogniseConfig(recogniser, language=known), offline=False) is None


def test_agreement_is_exported_beside_confidence(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.ones(72_000, np.float32), 24_000)
    turns: list[dict] = [{"start": 0.5, "end": 1.0, "speaker": 0, "text": "Yes."}]
    turns.append({"start": 2.0, "end": 2.5, "speaker": 1, "text": "No."})
    for turn, share in zip(turns, (0.75, None), strict=True):
        turn |= {"overlap": 0.0, "confidence": 0.9, "agreement": share}
    row = {"sha256": "0" * 64, "source": "a.wav", "audio": "a.wav", "start": 0.5, "end": 2.5}
    rows = name_dialogues([{**row, "turns": turns}])
    export_ncssd(rows, Context(BuildConfig(), Store(tmp_path)), tmp_path / "out")
    (notes,) = (tmp_path / "out").rglob("metadata.json")
    made = json.loads(notes.read_text())["utterents"]
    assert [(made[i]["confidence"], made[i]["agreement"]) for i in "01"] == [
        (0.9, 0.75),
        (0.9, None),
    ]
