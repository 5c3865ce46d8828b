"""Settings: defaults, files, and errors in files."""

import json

import pytest

from data.errors import InputError
from data.ncssd.config import BuildConfig, read_config


def test_missing_settings_keep_their_defaults(tmp_path):
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
def test_errors_in_a_configuration_are_described(tmp_path, content, says):
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(InputError, match=says):
        read_config(path)
