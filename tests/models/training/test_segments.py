"""Live speech, training and the sampling of codes build the same segments."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from data.audio import SAMPLE_RATE
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from models import precision
from models.predictors.code_model import CodeModel
from models.predictors.dialogue_model import DialogueModel
from models.predictors.frames import AcousticCodes, Frames, Latents, SemanticCodes
from models.predictors.sampling import SamplingOptions, draw
from models.predictors.segments import EncodedTurn, TurnBuilder, TurnSound
from models.predictors.sequence import Segment
from models.predictors.units import no_text, units_of_text
from models.speaker import Speaker
from models.text import normalise
from models.tokenizers.semantic import load_tokenizer
from models.training import predictor_samples as sampling
from models.training.corpus import Corpus, prepare
from models.training.dialogues import DialogueRecipe, Dialogues
from models.training.encoded import Encoded, encode_corpus, encode_latents
from models.training.predictor_samples import draw_codes
from models.training.short_context_data import ShortContextData

TEXTS = (
    "Who baked the onion?",
    "The baker did, in the old oven. Nobody saw it! Did you taste it?",
    "Yes. No. It was 42 degrees in there, and I waited for two hours before it was done.",
    "Hello...",
    "I can't say; ask the man at the counter.",
    "Well",
)
PREDICTORS = ("gpt-talker", "ham-tts", "flow-omni")


@pytest.fixture(scope="module", autouse=True)
def exactly() -> None:
    """Fp32: in bfloat16, training and inference differ in the last bits."""
    precision.choose("fp32")
    yield
    precision.choose("auto")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dialogue of noise with turns of equal length and no phone times."""
    where = tmp_path_factory.mktemp("spoken")
    generator = np.random.default_rng(1)
    sounds = [(0.1 * generator.standard_normal(3 * SAMPLE_RATE)).astype(np.float32) for _ in TEXTS]
    turns = [
        Turn(i % 2, text, samples=sound, extra={"voice": f"v{i % 2}"})
        for i, (text, sound) in enumerate(zip(TEXTS, sounds, strict=True))
    ]
    write_ncssd_dialogue(where, Dialogue("0", turns, {}))
    return where


@pytest.fixture(scope="module")
def heard(spoken: Path) -> Corpus:
    return Corpus(prepare(spoken, workers=1))


@pytest.fixture(params=PREDICTORS)
def speaker(request: pytest.FixtureRequest, weights: Path) -> Speaker:
    return Speaker.load(weights, predictor=request.param)


def predictor_of(speaker: Speaker) -> DialogueModel:
    return speaker.open_dialogue().model


def dialogues_for(
    speaker: Speaker, spoken: Path, heard: Corpus, weights: Path, **recipe: float
) -> Dialogues:
    encoded = encode_corpus(spoken, heard, weights)
    latents = encode_latents(spoken, heard, weights)
    model = predictor_of(speaker)

    def frames(index: int) -> Frames:
        mean = torch.from_numpy(latents[index].mean).float()
        if model.frames == "acoustic":
            acoustic = speaker.acoustic_decoder.acoustic
            return AcousticCodes(acoustic.encode(mean, 1)[:, 0])
        return Latents(mean) if model.frames == "latent" else encoded[index].semantic

    tokenizer = load_tokenizer(weights)
    return Dialogues(heard, encoded, tokenizer, frames, DialogueRecipe(**recipe), 1000)


def live(speaker: Speaker, heard: Corpus, index: int) -> list[Segment]:
    utterance = heard.utterances[index]
    sound = utterance.samples.astype(np.float32) / 32767
    text = normalise(utterance.text)
    return speaker.encoder.segments_of(predictor_of(speaker), utterance.speaker, text, sound)


def assert_same(one: list[Segment], other: list[Segment], style: bool = True) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert (a.speaker, a.continues, type(a.frames)) == (b.speaker, b.continues, type(b.frames))
        assert torch.equal(a.units, b.units) and a.num_positions == b.num_positions
        if style:
            torch.testing.assert_close(a.style, b.style, atol=2e-3, rtol=2e-3)  # stored as float16
        if a.frames is None:
            assert b.frames is None and a.pointer is b.pointer is a.plan is b.plan is None
            continue
        assert torch.equal(a.plan, b.plan) and torch.equal(a.pointer, b.pointer)
        torch.testing.assert_close(a.frames.values, b.frames.values, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("index", range(len(TEXTS)))
def test_training_builds_the_segments_of_a_reply(
    speaker: Speaker, spoken: Path, heard: Corpus, weights: Path, index: int
) -> None:
    model = predictor_of(speaker)
    never = {"no_sound": 0.0, "no_text": 0.0, "no_style": 0.0}
    dialogues = dialogues_for(speaker, spoken, heard, weights, **never)
    expected = live(speaker, heard, index)
    assert_same(dialogues.segments_of(index, model), expected)
    drawn = dialogues._turn(np.random.default_rng(0), index, False, model)
    assert_same(drawn, expected, style=False)  # from another utterance of the voice


def test_turns_without_audio_or_text_are_built_alike(
    speaker: Speaker, spoken: Path, heard: Corpus, weights: Path
) -> None:
    model = predictor_of(speaker)
    for index, utterance in enumerate(heard.utterances):
        typed = dialogues_for(speaker, spoken, heard, weights, no_sound=1.0)
        found = typed._turn(np.random.default_rng(0), index, False, model)
        text = normalise(utterance.text)
        assert_same(found, speaker.encoder.segments_of(model, utterance.speaker, text, None))
        wordless = dialogues_for(speaker, spoken, heard, weights, no_sound=0.0, no_text=1.0)
        found = wordless._turn(np.random.default_rng(0), index, False, model)
        sound = utterance.samples.astype(np.float32) / 32767
        expected = speaker.encoder.segments_of(model, utterance.speaker, "", sound)
        assert_same(found, expected, style=False)
        assert len(found) == 1 and torch.equal(found[0].units, no_text().fields)


@pytest.mark.parametrize("name", ["gpt-talker", "ham-tts"])
def test_code_sampling_builds_the_segments_of_a_reply(
    name: str, spoken: Path, heard: Corpus, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker = Speaker.load(weights, predictor=name)
    model = predictor_of(speaker)
    assert isinstance(model, CodeModel)
    dialogues = dialogues_for(speaker, spoken, heard, weights)
    rows: list[list[Segment]] = []
    read = model.read
    monkeypatch.setattr(model, "read", lambda row, *a: (rows.extend(row), read(row, *a))[1])
    encoded = encode_corpus(spoken, heard, weights)
    draw_codes(spoken, heard, encoded, weights, model, dialogues.frames, seed=len(name))
    expected = [live(speaker, heard, index) for index in range(len(TEXTS))]
    assert_same([s for row in rows for s in row], [s for turn in expected for s in turn])


def test_code_sampling_uses_the_inference_sampler(
    spoken: Path, heard: Corpus, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its options, given the codes sampled before in the sentence."""
    speaker = Speaker.load(weights, predictor="gpt-talker")
    model = predictor_of(speaker)
    asked: list[list[int]] = []

    def noted(logits, options, generator, recent):  # type: ignore[no-untyped-def]
        assert options == SamplingOptions() and generator.device.type == "cpu"
        asked.append(list(recent))
        return draw(logits, options, generator, recent)

    monkeypatch.setattr(sampling, "draw", noted)
    encoded = encode_corpus(spoken, heard, weights)
    codes = draw_codes(
        spoken, heard, encoded, weights, model, lambda index: encoded[index].semantic, seed=99
    )
    sentences = [s for index in range(len(TEXTS)) for s in live(speaker, heard, index)]
    begins = [i for i, recent in enumerate(asked) if not recent]
    assert begins == np.cumsum([0, *(len(s.frames) for s in sentences)])[:-1].tolist()
    flat = np.concatenate(codes).tolist()
    for number, recent in enumerate(asked):
        assert recent == flat[number - len(recent) : number]


def test_short_context_frames_match_the_segments(
    spoken: Path, heard: Corpus, weights: Path
) -> None:
    speaker = Speaker.load(weights, predictor="flow-omni")
    model = predictor_of(speaker)
    dialogues = dialogues_for(speaker, spoken, heard, weights)
    latents = encode_latents(spoken, heard, weights)
    near = ShortContextData(dialogues, latents, model)
    segments = [s for i in range(len(TEXTS)) for s in live(speaker, heard, i)]
    assert len(near._rows) == sum(len(s.frames) for s in segments)
    plans = torch.cat([s.plan.expand(len(s.frames), -1) for s in segments])
    assert torch.equal(near._rows[:, 4:].long(), plans)
    assert torch.equal(near._rows[:, 0].long(), torch.arange(len(near._rows)))


def test_frames_of_another_kind_are_refused(weights: Path) -> None:
    speaker = Speaker.load(weights, predictor="flow-omni")
    codes = SemanticCodes(torch.zeros(4, dtype=torch.long))
    sound = TurnSound(codes, torch.zeros(4, dtype=torch.long), codes)
    turn = EncodedTurn(0, units_of_text("Yes."), torch.zeros(16), sound)
    with pytest.raises(AssertionError):
        TurnBuilder(speaker.tokenizer).build(turn, predictor_of(speaker))


def test_an_encoded_utterance_becomes_a_turn_of_its_speaker(heard: Corpus) -> None:
    codes = np.arange(75, dtype=np.int16) % 16
    encoded = Encoded(codes, np.zeros(75, np.int16), np.ones(16, np.float16))
    turn = encoded.turn(heard.utterances[1], encoded.semantic)
    assert turn.speaker == 1 and turn.units == heard.utterances[1].units
    assert torch.equal(turn.style, torch.ones(16))
    other = encoded.turn(heard.utterances[1], encoded.semantic, style=torch.zeros(16))
    assert dataclasses.replace(other, style=turn.style).speaker == 1
    assert torch.equal(other.style, torch.zeros(16))
