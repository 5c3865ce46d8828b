"""Controls in a text are applied, removed from the displayed text, and never spoken."""

import pytest

from data.errors import InputError
from models.delivery.controls import check_controls, without_controls
from models.delivery.delivery import MANNERS, NEUTRAL, SYNONYMS, Delivery
from models.delivery.lexicon import NO_LEXICON, Lexicon
from models.delivery.script import Script, SentencePart
from models.text import SYMBOLS, normalise, phonemize


def read(
    *pieces: str, lexicon: Lexicon = NO_LEXICON, strict: bool = True
) -> list[tuple[str, list[SentencePart]]]:
    script = Script(NEUTRAL, lexicon, ("en-us",), strict)
    found = [sentence for piece in pieces for sentence in script.push(piece)]
    return [*found, *script.flush()]


def words(*pieces: str, lexicon: Lexicon = NO_LEXICON) -> list[str]:
    return [
        word
        for _, parts in read(*pieces, lexicon=lexicon)
        for part in parts
        if part.units is not None
        for word, _, _ in part.units.words
    ]


def phones(text: str, lexicon: Lexicon = NO_LEXICON) -> str:
    return "".join(
        SYMBOLS[symbol]
        for _, parts in read(text, lexicon=lexicon)
        for part in parts
        if part.units is not None
        for symbol in part.units.symbols[1:]
    )


def plain(text: str) -> str:
    """The phones of a text without controls."""
    symbols = phonemize([normalise(text)])[0].symbols[1:]
    return "".join(symbol for symbol in symbols if symbol not in (" ", "ˈ", "ˌ"))


@pytest.mark.parametrize(
    "text",
    [
        "Hello there, how are you?",
        "It costs $5.50, e.g. at 5 p.m. on 3/4/2024.",
        "See [the docs](http://x.org) or a[i] and [1].",
        "[He] said 2 < 3 and x > y.",
        "Put `[pause 1s]` there. ```\n[slow]\n``` Done.",
        "- [link][ref] and [^1]",
    ],
)
def test_texts_without_controls_are_unchanged(text: str) -> None:
    assert phones(text).rstrip(".,?!") == plain(text).rstrip(".,?!")
    parts = [part for _, several in read(text) for part in several]
    assert {delivery for part in parts for delivery in part.deliveries} == {NEUTRAL}


@pytest.mark.parametrize(
    ("control", "seconds"),
    [
        ("[pause 600ms]", 0.6),
        ("[pause]", 0.5),
        ("[Pause: 1.5 s]", 1.5),
        ("[break=250ms]", 0.25),
        ("[wait 2 seconds]", 2.0),
        ('<break time="0.75s"/>', 0.75),
        ("<break time='300ms' />", 0.3),
        ('<break strength="strong"/>', 0.7),
        ("<break/>", 0.5),
    ],
)
def test_pauses(control: str, seconds: float) -> None:
    [(text, parts)] = read(f"Wait {control} for it.")
    assert text == "Wait for it."
    assert [part.pause_s for part in parts] == [0.0, seconds]
    assert words(f"Wait {control} for it.") == ["Wait", "for", "it"]


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("[excited]", "[/]"),
        ("[Excited]", "[/excited]"),
        ("[slow]", "[/slow]"),
        ("[whisper]", "[/]"),
        ("[rate 80%]", "[/rate]"),
        ("[loud][slow]", "[/][/]"),
        ("[pitch +2st]", "[/]"),
        ('<prosody rate="slow" pitch="+10%" volume="+6dB">', "</prosody>"),
        ("<emphasis>", "</emphasis>"),
    ],
)
def test_a_control_applies_to_its_content(opening: str, closing: str) -> None:
    [(text, [part])] = read(f"We {opening}won the{closing} race.")
    assert text == "We won the race."
    assert part.units is not None
    outside = {part.deliveries[unit] for unit in (1, len(part.units) - 1)}
    inside = {
        delivery
        for word, first, end in part.units.words
        if word in ("won", "the")
        for delivery in part.deliveries[first:end]
    }
    assert outside == {NEUTRAL}
    assert len(inside) == 1 and inside != {NEUTRAL}


def test_nested_controls_end_with_the_outer() -> None:
    [(_, [part])] = read("[slow]one [loud]two[/] three[/] four [slow]five [loud]six[/slow] seven")
    assert part.units is not None
    found = {word: part.deliveries[first] for word, first, _ in part.units.words}
    assert found["two"] == found["six"] == MANNERS["slow"] @ MANNERS["loud"]
    assert found["one"] == found["three"] == found["five"] == MANNERS["slow"]
    assert found["four"] == found["seven"] == NEUTRAL


@pytest.mark.parametrize(
    "tag",
    [
        *("[laughs]", "[Laughs]", "[SIGH]", "[clears throat]", "[foo]", "[/bar]", "[unknown tag]"),
        *("[sic]", "[/]", "<foo>", "</foo>", "<mstts:silence/>", '<audio src="x.wav"/>', "[x_y]"),
        *("[laughs nervously, then sighs]", "[stage-direction]", '<lang xml:lang="en-US">'),
        *("<!-- no -->", "</prosody>", "<?xml version='1.0'?>"),
    ],
)
def test_unknown_tags_are_not_spoken(tag: str) -> None:
    assert words(f"Well {tag} then.") == ["Well", "then"]
    assert words(*f"Well {tag} then.") == ["Well", "then"]
    assert words(f"{tag} Then I went.") == ["Then", "I", "went"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[spell]NASA[/] flies.", "en ay ess ay flies."),
        ('<say-as interpret-as="characters">A1b</say-as>', "ay one bee"),
        ('<say-as interpret-as="spell-out">x-y</say-as>', "ex dash why"),
        ('<say-as interpret-as="digits">1984</say-as>', "one nine eight four"),
        ('<say-as interpret-as="cardinal">1984</say-as>', "one thousand nine hundred eighty four"),
        ('<say-as interpret-as="ordinal">21</say-as> day', "twenty first day"),
        ('<say-as interpret-as="date" format="dmy">3/4/99</say-as>', "April third nine nine"),
        ('<say-as interpret-as="date" format="my">4/1999</say-as>', "April nineteen ninety nine"),
        ('<say-as interpret-as="telephone">555-12</say-as>', "five five five, one two"),
        ('<sub alias="World Wide Web Consortium">W3C</sub>', "World Wide Web Consortium"),
        ("[digits]42[/] of them", "four two of them"),
    ],
)  # fmt: skip
def test_say_as(text: str, said: str) -> None:
    assert phones(text).rstrip(".") == plain(said).rstrip(".")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<phoneme alphabet="ipa" ph="təˈmeɪtoʊ">tomato</phoneme>.', "təmeɪtoʊ."),
        ('A <phoneme ph="t͡ʃiːz">x</phoneme>.', "ɐtʃiːz."),
        ("[ipa /ˈɡɪf/]GIF[/]!", "ɡɪf!"),
    ],
)
def test_given_phonemes_are_used(text: str, said: str) -> None:
    assert phones(text) == said


def test_stress_is_on_the_vowel() -> None:
    [(_, [part])] = read('<phoneme ph="təˈmeɪtoʊ">tomato</phoneme>')
    assert part.units is not None
    stressed = [i for i, stress in enumerate(part.units.stress) if stress == 1]
    assert [SYMBOLS[part.units.symbols[i]] for i in stressed] == ["eɪ"]


@pytest.mark.parametrize(
    ("entries", "text", "said"),
    [
        ({"Nguyen": "win"}, "Dr. Nguyen's idea.", "Doctor win's idea."),
        ({"nginx": "engine ex"}, "Nginx runs, nginx.", "engine ex runs, engine ex."),
        ({"SQL": "sequel"}, "SQL, not sql.", "sequel, not sql."),
        ({"New York": "big apple"}, "I love New York.", "I love big apple."),
        ({"lead": "/lɛd/"}, "The lead pipe.", "The led pipe."),
        ({"cat": "dog"}, "Concatenate a cat.", "Concatenate a dog."),
    ],
)
def test_lexicon_overrides_pronunciations(entries: dict[str, str], text: str, said: str) -> None:
    assert phones(text, Lexicon.of(entries)) == plain(said)


def test_reported_words_keep_their_spelling() -> None:
    lexicon = Lexicon.of({"Nguyen": "win", "GIF": "/dʒɪf/"})
    text = "Nguyen made a GIF of [spell]IBM[/]."
    assert words(text, lexicon=lexicon) == ["Nguyen", "made", "a", "GIF", "of", "IBM"]


@pytest.mark.parametrize(
    "text",
    [
        "Wait [pause 600ms] for it. [excited]This is great![/] Then [slow]go.[/] Now.",
        '<speak>Hello.<break time="1s"/>World <prosody rate="80%">low</prosody>.</speak>',
        "`[pause 1s]` is code, [laughs] is not. a[i] [b](c) [1] <br> x < y.",
        "One [spell]A.B.[/] two <sub alias='three'>3</sub>.\n\n[sad]Four[/] five",
        "A [broken tag\nand <another one. ``` [x] ``` end [",
    ],
)
def test_streaming_equals_the_whole(text: str) -> None:
    whole = read(text, strict=False)
    assert read(*text, strict=False) == whole
    assert read(*(text[at : at + 7] for at in range(0, len(text), 7)), strict=False) == whole


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Wait [pause soon] here.", "600ms"),
        ("Wait [pause 3600s] here.", "10 s"),
        ('A <break time="5"/> b.', "cannot be read"),
        ('<prosody rate="warp">a</prosody>', "x-slow"),
        ('<prosody pitch="120Hz">a</prosody>', "+2st"),
        ('<prosody rate="500%">a</prosody>', "from 0.4 to 2.5"),
        ('<phoneme alphabet="x-sampa" ph="t">a</phoneme>', "only"),
        ('<phoneme ph="日">a</phoneme>', "not IPA"),
        ("<phoneme>a</phoneme>", "ph is missing"),
        ('<say-as interpret-as="poem">a</say-as>', "cardinal"),
        ("[slow][slow][slow][slow][slow]too slow", "rate"),
    ],
)
def test_invalid_controls_are_refused_or_dropped(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match="(?s)" + complaint.replace("+", r"\+")):
        check_controls(text)
    assert read(text, strict=False)
    assert "[" not in without_controls(text) and "<" not in without_controls(text)


def test_an_outer_delivery_counts_towards_the_range() -> None:
    check_controls("[slow]fine[/]", Delivery(rate=0.6))
    with pytest.raises(InputError, match="rate"):
        check_controls("[slow]too slow[/]", Delivery(rate=0.45))


def test_controls_in_thoughts_are_ignored() -> None:
    [(text, [part])] = read("<think>[slow] hm [pause 2s]</think>Hello.")
    assert (text, part.pause_s, set(part.deliveries)) == ("Hello.", 0.0, {NEUTRAL})


def test_manners_are_in_range_and_synonyms_defined() -> None:
    for delivery in MANNERS.values():
        delivery.checked()
    assert set(SYNONYMS.values()) <= set(MANNERS)


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"": "x"}, "word"),
        ({"a" * 61: "x"}, "60"),
        ({"word": ""}, "respelling"),
        ({"word": 5}, "respelling"),
        ({"word": "/日/"}, "IPA"),
        ({"[slow]": "x"}, "begin"),
        ({f"w{n}": "x" for n in range(2001)}, "2000"),
    ],
)
def test_a_wrong_lexicon_is_refused(entries: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Lexicon.of(entries)
