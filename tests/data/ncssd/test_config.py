"""Settings: defaults, a file, and what is wrong in a file."""

import json

import pytest

from data.errors import InputError
from data.ncssd.config import BuildConfig, read_config


def test_what_is_absent_keeps_its_default(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"turns": {"min_turns": 6}, "activity": {"min_scene_s": 20}}))
    config = read_config(path)
    assert config.turns.min_turns == 6
    assert config.activity.min_scene_s == 20
    assert config.quality == BuildConfig().quality


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"turnz": {}}', "turnz"),
        ('{"turns": {"min_turn": 3}}', "min_turn"),
        ('{"turns": {"min_turns": "3"}}', "expected int"),
        ('{"quality": {"dnsmos": 1}}', "expected bool"),
        ("[1]", "expected"),
        ("{", "JSON"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_is_wrong(tmp_path, content, says):
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(InputError, match=says):
        read_config(path)
