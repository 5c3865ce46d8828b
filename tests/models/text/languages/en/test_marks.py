"""Stray combining marks are dropped; accents are kept."""

import pytest

from tests.models.text.reading import check

READ = {
    "F̶A̵I̴L̸U̶R̶E̴. M̸e̸m̸c̸h̸e̸c̸k̸": "failure. Memcheck",
    "Z̷̢͇̄á̴̛l̶̈g̸̎o̵": "Zalgo",
    "s̶t̶r̶i̶k̶e̶": "strike",
    "café": "café",
    "café": "café",
    "El niño": "El niño",
    "naïve": "naïve",
    "Việt Nam": "Việt Nam",
    "A⃝ B⃝": "ay bee",
    "1️⃣ first": "one first",
    "u̲n̲d̲e̲r̲": "under",
    "H͓̽i͓̽": "Hi",
    "Spın̈al Tap": "Spınal Tap",
    "façade": "façade",
    "I̲ ̲a̲m̲": "I am",
    "ﬁne": "fine",
    "𝓗𝓮𝓵𝓵𝓸": "Hello",
    "Ｈｅｌｌｏ": "Hello",
    "ᴛɪɴʏ ᴄᴀᴘs": "tiny caps",
    "🅷🅴🅻🅻🅾": "hello",
    "ʜɪ there": "hi there",
    "🅱ig news": "Big news",
    "ʙᴏʟᴅ ᴛᴇxᴛ": "bold text",
}


@pytest.mark.parametrize(("written", "spoken"), READ.items())
def test_readings(written: str, spoken: str) -> None:
    check(written, spoken)
