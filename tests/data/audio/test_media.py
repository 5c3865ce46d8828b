"""Only media files are opened: no playlists, URLs or patterns."""

import io
import os
import socket
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data.audio import SAMPLE_RATE, read_audio
from data.dialogue import read_dialogue
from data.errors import InputError
from data.ncssd import decode
from data.ncssd.config import BuildConfig
from data.ncssd.stage import Context
from data.ncssd.store import Store
from tests.data.audio.samples import KINDS, garbled, sample

DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT3S"
 profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="audio/wav">
<Representation id="1" bandwidth="1"><BaseURL>{path}</BaseURL><SegmentList duration="3">
<SegmentURL media="{path}"/></SegmentList></Representation></AdaptationSet></Period></MPD>"""
IMF = """<?xml version="1.0" encoding="UTF-8"?>
<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">
<Id>urn:uuid:8713c020-2489-45f5-a9f7-87be539e20b5</Id><ContentTitle>{path}</ContentTitle>
<EditRate>24 1</EditRate><SegmentList/></CompositionPlaylist>"""
LISTS = {
    "ffconcat, relative": "ffconcat version 1.0\nfile secret.wav\n",
    "ffconcat, absolute": "ffconcat version 1.0\nfile '{path}'\n",
    "ffconcat, with an address": "ffconcat version 1.0\nfile {url}\n",
    "ffconcat, protected": "ffconcat version 1.0\nfile file:{path}\noption safe 0\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{path}\n#EXT-X-ENDLIST\n",
    "hls, with an address": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{url}\n#EXT-X-ENDLIST\n",
    "hls, of lists": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n",
    "m3u": "{path}\n",
    "dash": DASH,
    "imf": IMF,
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio {port} RTP/AVP 0\n",
    "rtsp": "rtsptext\nrtsp://127.0.0.1:{port}/a\n",
    "pls": "[playlist]\nFile1={path}\nNumberOfEntries=1\n",
    "asx": '<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    "a redirection": "[Reference]\nRef1={url}\n",
    "smooth streaming": '<SmoothStreamingMedia MajorVersion="2"><StreamIndex Url="{url}"/>'
    "</SmoothStreamingMedia>",
    "cue": 'FILE "{path}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "vobsub": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n"
    "timestamp: 00:00:00:000, filepos: 000000000\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:03,000\n{path}\n",
    "web subtitles": "WEBVTT\n\n00:00.000 --> 00:03.000\n{path}\n",
    "metadata": ";FFMETADATA1\ntitle={path}\n",
    "binaural beats": "SBaGen\n-SE\na: pink/40 200+10/15\n0:00 a\n",
    "a picture in text": "P3 1 1 255 255 255 255\n",
}  # fmt: skip


@pytest.fixture
def net():
    """A port that must not be contacted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


def written(folder: Path, text: str, name: str, port: int) -> Path:
    """The playlist, beside an audio file that it names."""
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE)
    for other in ("secret.wav", "a001.wav", "secret.sub"):
        soundfile.write(folder / other, tone, SAMPLE_RATE, format="WAV")
    path = folder / name
    url = f"http://127.0.0.1:{port}/secret.wav"
    path.write_text(text.format(path=folder / "secret.wav", url=url, port=port))
    return path


@pytest.mark.parametrize("suffix", [".wav", ".mp3", "own"])
@pytest.mark.parametrize("kind", LISTS)
def test_playlists_are_rejected(
    kind: str, suffix: str, tmp_path: Path, net: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"vobsub": ".idx", "dash": ".mpd", "imf": ".xml", "sdp": ".sdp", "cue": ".cue"}
    ending = own.get(kind, ".m3u8") if suffix == "own" else suffix
    path = written(tmp_path, LISTS[kind], f"a%03d{ending}", net.getsockname()[1])
    monkeypatch.chdir(tmp_path)
    started, opened = time.monotonic(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(InputError, match=r"cannot be decoded|no audio|unsupported"):
            read_audio(source)
    assert time.monotonic() - started < 5
    assert len(os.listdir("/proc/self/fd")) == opened  # noqa: PTH208


@pytest.mark.parametrize(
    "address",
    [
        "concat:{path}|{path}",
        "file:{path}",
        "subfile,,start,0,end,0,,:{path}",
        "crypto:{path}",
        "cache:{path}",
        "async:{path}",
        "http://127.0.0.1:{port}/secret.wav",
        "tcp://127.0.0.1:{port}",
        "udp://127.0.0.1:{port}",
        "rtp://127.0.0.1:{port}",
        "data:audio/wav;base64,UklGRg==",
        "pipe:0",
        "/dev/stdin",
        "/dev/zero",
        "/dev/urandom",
        "lavfi",
        "a%03d.wav",
        "*.wav",
    ],
)
def test_urls_are_not_paths(
    address: str, tmp_path: Path, net: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "", "empty", net.getsockname()[1])
    monkeypatch.chdir(tmp_path)
    given = address.format(path=path.with_name("secret.wav"), port=net.getsockname()[1])
    with pytest.raises(InputError, match=r"does not exist|is not a file"):
        read_audio(given)


def test_external_references_in_films_are_not_fetched(tmp_path: Path) -> None:
    """QuickTime's data references, by path (url) and by alias (alis)."""
    film = sample("mov")
    at = film.index(b"url ")
    secret = str(tmp_path / "secret.wav").encode()
    soundfile.write(secret.decode(), np.full(24_000, 0.5), SAMPLE_RATE)
    for kind in (b"url ", b"alis"):
        entry = kind + bytes(4) + b"file://" + secret + b"\0"
        grown = struct.pack(">I", 4 + len(entry)) + entry
        changed = film[: at - 4] + grown + film[at + 8 :]
        try:
            heard = read_audio(io.BytesIO(changed))
        except InputError:
            continue
        assert np.abs(heard - 0.5).min() > 0.01


def test_builder_and_dialogues_reject_playlists_too(tmp_path: Path) -> None:
    path = written(tmp_path, LISTS["ffconcat, relative"], "a.mp3", 1)
    context = Context(BuildConfig(), Store(tmp_path / "work"), {"x": path})
    with pytest.raises(InputError, match="cannot be decoded"):
        decode.run({"sha256": "x"}, context, "key")
    turn = '{"turns": [{"speaker": "user", "text": "hi", "audio": "a.mp3"}]}'
    (tmp_path / "dialogue.json").write_text(turn)
    with pytest.raises(InputError, match="cannot be decoded"):
        read_dialogue(tmp_path / "dialogue.json").turns[0].load()


@pytest.mark.parametrize(
    ("rate", "channels", "words"),
    [
        (655_350, 8, "sample rate of 655350 Hz"),
        (768_000, 1, "sample rate of 768000 Hz"),
        (1, 1, "sample rate of 1 Hz"),
        (100, 2, "sample rate of 100 Hz"),
        (48_000, 17, "17 channels"),
        (48_000, 200, "200 channels"),
    ],
)
def test_channels_and_rates_have_limits(rate: int, channels: int, words: str) -> None:
    buffer = io.BytesIO()
    format = "FLAC" if channels <= 8 and rate == 655_350 else "WAV"
    soundfile.write(buffer, np.zeros((5_000, channels), np.int16), rate, format=format)
    with pytest.raises(InputError, match=words):
        read_audio(buffer)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(kind: str) -> None:
    heard = read_audio(io.BytesIO(sample(kind)))
    assert 11_900 < len(heard) < 13_500
    assert 0.05 < heard[2_000:10_000].std() < 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_a_corrupted_file_is_decoded_or_rejected_with_a_message(kind: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(25):
        try:
            heard = read_audio(io.BytesIO(garbled(kind, rng)), max_seconds=60)
        except InputError:
            continue
        assert heard.dtype == np.float32 and np.isfinite(heard).all()


def test_an_unknown_codec_is_named() -> None:
    content = bytearray(sample("wav"))
    content[20:22] = b"\x34\x12"
    with pytest.raises(InputError, match="unknown codec"):
        read_audio(io.BytesIO(bytes(content)))
