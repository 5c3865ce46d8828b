"""Language codes with and without regions."""

import pytest

from data.errors import InputError
from data.languages import check_language_code, primary_language


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("en", "en"),
        ("en-GB", "en"),
        ("EN_us", "en"),
        ("zh-CN", "zh"),
        ("zh-Hant-TW", "zh"),
        ("cmn-Hans", "zh"),
        ("pt_BR", "pt"),
        ("es-419", "es"),
        ("yue-HK", "yue"),
        ("nb-NO", "no"),
        ("jv", "jw"),
        ("fil-PH", "tl"),
        ("de-CH-1996", "de"),
    ],
)
def test_the_language_of_a_code_with_a_region(code, language):
    check_language_code(code, "talk.mp3")
    assert primary_language(code) == language


@pytest.mark.parametrize(
    "code",
    ["", "e", "xx", "xx-GB", "english", "eng", "en_US.UTF-8", "en-", "-en", "en GB", "zh--CN"],
)
def test_an_unknown_code_is_rejected_with_what_to_give(code):
    with pytest.raises(InputError, match=r"talk\.mp3.*auto.*ISO 639-1.*en-GB"):
        check_language_code(code, "talk.mp3")
