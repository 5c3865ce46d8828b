"""Dialogues located by DuplexChat's manifests."""

import gzip
import json

import pytest

from data.errors import InputError
from data.ncssd.activity import _scenes
from data.ncssd.config import ActivityConfig
from data.ncssd.duplexchat import read_manifest
from data.ncssd.sources import read_sources


def row(url: str, start: float, end: float, language: str = "en-us") -> str:
    known = {"audio_url": url, "episode_start_sec": start, "episode_end_sec": end}
    return json.dumps({**known, "language": language, "rss_url": "https://x.org/rss"}) + "\n"


ROWS = (
    row("https://x.org/a/first%20one.mp3?from=feed", 80.25, 208.5)
    + row("https://x.org/a/first%20one.mp3?from=feed", 12.0, 40.0)
    + row("https://x.org/b/media.mp3", 1.0, 30.0, "ja")
    + row("https://x.org/c/media.mp3", 2.0, 30.0)
)


@pytest.mark.parametrize("packed", [False, True])
def test_episodes_are_found_by_name_or_by_the_url_in_their_notes(tmp_path, packed):
    manifest = tmp_path / ("m.jsonl.gz" if packed else "m.jsonl")
    manifest.write_bytes(gzip.compress(ROWS.encode()) if packed else ROWS.encode())
    one, two = tmp_path / "first one.mp3", tmp_path / "media.mp3"
    for path in (one, two):
        path.write_bytes(path.name.encode())
    with pytest.raises(InputError, match=r"2 episodes with that name: media\.mp3"):
        read_manifest(manifest, [one, two])
    notes = {"audio_url": "https://x.org/b/media.mp3", "license": "CC0-1.0"}
    (tmp_path / "media.mp3.json").write_text(json.dumps(notes))
    sources = read_sources([one, two], {"language": "auto"}, False, manifest=manifest)
    assert [source.spans for source in sources] == [[[12.0, 40.0], [80.25, 208.5]], [[1.0, 30.0]]]
    assert [source.row["language"] for source in sources] == ["en", "ja"]
    assert sources[1].rights["license"] == "CC0-1.0"
    with pytest.raises(InputError, match="the language 'ja', but this build's is 'en'"):
        read_sources([two], {"language": "en"}, False, manifest=manifest)
    (tmp_path / "other.mp3").write_bytes(b"x")
    with pytest.raises(InputError, match=r"no episode with that name: other\.mp3"):
        read_manifest(manifest, [tmp_path / "other.mp3"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", r"m\.jsonl:1 is not a DuplexChat row"),
        ('{"audio_url": "a"}\n', "KeyError: 'episode_start_sec'"),
        ("[]", r"m\.jsonl:1 is not a DuplexChat row"),
        (row("a.mp3", 3.0, 2.0), "invalid time range 3.0 to 2.0 s"),
        (row("a.mp3", 0.0, float("nan")), "invalid time range 0.0 to nan s"),
    ],
)
def test_invalid_manifests_are_rejected(tmp_path, content, says):
    (tmp_path / "m.jsonl").write_text(content)
    with pytest.raises(InputError, match=says):
        read_manifest(tmp_path / "m.jsonl", [tmp_path / "a.mp3"])
    with pytest.raises(InputError, match="is not a DuplexChat manifest"):
        read_manifest(tmp_path / "none.jsonl", [tmp_path / "a.mp3"])


def test_scenes_are_where_the_manifest_has_dialogues():
    speech = [[float(i), i + 0.9] for i in range(200)]
    source = {
        "sha256": "x",
        "audio": "a.wav",
        "spans": [[20.5, 60.0], [100.0, 110.0], [300.0, 400.0]],
    }
    kept, short = _scenes(source, speech, ActivityConfig())
    assert (kept["start"], kept["end"]) == (20.5, 59.9)
    assert "spans" not in kept and kept["speech"][0] == [20.5, 20.9]
    assert short["dropped"] == "scene too short"
    assert _scenes({**source, "spans": [[300.0, 400.0]]}, speech, ActivityConfig())[0]["dropped"]
