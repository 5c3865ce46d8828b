"""Kokoro's voices: number, distinct recipes, and held-out voices."""

from data.synthetic.kokoro.voices import (
    HELD_OUT_BASES,
    LEFT_OUT,
    NUM_HELD_OUT_MIXTURES,
    kokoro_voices,
)

VOICES = kokoro_voices()


def bases_of(voice) -> set[str]:
    return {name for name, _ in (*voice.sounds, *voice.speaks)}


def test_every_voice_speaks_the_other_language_like_a_native() -> None:
    for voice in VOICES.values():
        names = [name for name, _ in voice.abroad]
        assert all(name.startswith("z") == (voice.language == "en") for name in names)
        assert not set(names) & (HELD_OUT_BASES | LEFT_OUT.keys())


def test_there_are_dozens_of_base_voices_and_hundreds_of_others() -> None:
    bases = [voice for voice in VOICES.values() if voice.base]
    assert len([v for v in bases if v.language == "en"]) == 25
    assert len([v for v in bases if v.language == "zh"]) == 7
    assert len(VOICES) - len(bases) > 300


def test_six_base_voices_are_excluded_from_training() -> None:
    assert len(HELD_OUT_BASES) == 6
    assert sum(name.startswith("z") for name in HELD_OUT_BASES) == 2
    held_out = {name for v in VOICES.values() if v.base and v.held_out for name in bases_of(v)}
    assert held_out == HELD_OUT_BASES
    for voice in VOICES.values():
        if not voice.base:
            assert not bases_of(voice) & HELD_OUT_BASES


def test_twenty_four_mixtures_are_held_out() -> None:
    held_out = [voice for voice in VOICES.values() if voice.held_out and not voice.base]
    assert len(held_out) == sum(NUM_HELD_OUT_MIXTURES.values()) == 24
    assert all(len(voice.sounds) > 1 for voice in held_out)


def test_recipes_are_distinct() -> None:
    recipes = {(frozenset(v.sounds), v.formant) for v in VOICES.values()}
    assert len(recipes) == len(VOICES)


def test_recipes_stay_within_natural_limits() -> None:
    for voice in VOICES.values():
        assert 0.90 <= voice.formant <= 1.15
        assert 1 <= len(voice.sounds) <= 3 and abs(sum(s for _, s in voice.sounds) - 1) < 0.01
        assert not bases_of(voice) & LEFT_OUT.keys()
        assert all(name.startswith("z") == (voice.language == "zh") for name in bases_of(voice))
