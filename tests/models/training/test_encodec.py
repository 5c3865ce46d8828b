"""EnCodec in place of posterior and decoder, with random weights."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from data.errors import InputError, MissingModelError
from models.delivery.delivery import Delivery
from models.speaker import Speaker, SpeakOptions
from models.tokenizers.acoustic import load_acoustic
from models.training.acoustic import adopt_encodec
from models.training.acoustic_decoder import train_acoustic_decoder
from models.training.corpus import Corpus
from models.training.ham_tts import train_ham_tts
from models.training.job import Job
from models.training.loop import Budget
from models.vocoder.codec import load_codec
from models.vocoder.decoder import decode_whole
from models.vocoder.encodec import EncodecConfig, EncodecDecoder, empty_encodec, read_encodec
from models.vocoder.renderers import LatentFrames
from models.vocoder.synthesis import Synthesis
from tests.models.training.recipes import ACOUSTIC_DECODER, HAM_TTS_16_UNITS
from tests.tiny import save_tiny

CONFIG = EncodecConfig(1.5)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the published format, with random weights."""
    torch.manual_seed(5)
    model = empty_encodec()
    for layer in model.quantizer.vq.layers:
        layer._codebook.embed.normal_()
    path = tmp_path_factory.mktemp("encodec") / "encodec_24khz.th"
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def folder(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny weights with EnCodec's latent space."""
    tiny = save_tiny(tmp_path_factory.mktemp("tiny"))
    out = tmp_path_factory.mktemp("weights")
    for name in ("style", "semantic", "voices"):
        for path in tiny.glob(f"{name}.*"):
            shutil.copy(path, out)
    adopt_encodec(out, published, CONFIG)
    return out


@pytest.fixture(scope="module")
def decoder(folder: Path) -> EncodecDecoder:
    found = load_codec(folder)[1]
    assert isinstance(found, EncodecDecoder)
    return found


@pytest.mark.parametrize("cuts", [[20], [1] * 20, [4, 1, 2, 13], [2, 18], [3], [2], [1]])
@torch.inference_mode()
def test_streaming_equals_the_published_decoder(
    published: Path, decoder: EncodecDecoder, cuts: list[int]
) -> None:
    latents = torch.randn(1, sum(cuts), 384, generator=torch.Generator().manual_seed(1))
    steps = latents.unflatten(2, (3, 128)).flatten(1, 2).transpose(1, 2)
    whole = read_encodec(published).decoder(steps)[0, 0]
    style = torch.zeros(1, 16)
    state = decoder.init_state(1)
    pieces = []
    for part in latents.split(cuts, dim=1):
        pieces.append(decoder(part, style, state)[0])
        assert pieces[-1].shape == (1, 960 * part.shape[1])
    pieces.append(decoder.flush(state))
    streamed = torch.cat(pieces, dim=1)[0, decoder.delay_samples :]
    assert streamed.shape == whole.shape and whole.abs().max() > 1e-3
    torch.testing.assert_close(streamed, whole, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(decode_whole(decoder, latents, style)[0], whole)


@torch.inference_mode()
def test_codes_equal_the_published_ones(published: Path, folder: Path) -> None:
    """The levels of a frame are EnCodec's codes of three steps and decode alike."""
    model = read_encodec(published)
    model.set_target_bandwidth(CONFIG.kbps)
    sound = 0.1 * torch.randn(1, 4800, generator=torch.Generator().manual_seed(2))
    theirs = model.encode(sound[:, None])[0][0]  # [1, levels, steps]
    acoustic = load_acoustic(folder)
    assert acoustic.config.num_levels == 6
    latents = load_codec(folder)[0].encode(sound)
    ours = acoustic.encode(latents)
    assert torch.equal(ours, _by_frame(theirs))
    vectors = model.quantizer.decode(theirs.transpose(0, 1)).transpose(1, 2)
    torch.testing.assert_close(acoustic.decode(ours), vectors.unflatten(1, (-1, 3)).flatten(2))


def _by_frame(codes: Tensor) -> Tensor:
    """Codes `[B, levels, 3 T]` to `[B, T, levels * 3]`, coarse levels of all steps first."""
    return codes.unflatten(2, (-1, 3)).permute(0, 2, 1, 3).flatten(2)


def test_a_predictor_trains_and_speaks_with_encodec(
    root: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    job = Job(root, corpus, folder, tmp_path, 1, Budget(2))
    train_ham_tts(job, HAM_TTS_16_UNITS)
    train_acoustic_decoder(job, ACOUSTIC_DECODER)
    speaker = Speaker.load(folder)
    assert speaker.predictors == ("ham-tts",)
    voice = speaker.voices["one"]
    dialogue = speaker.open_dialogue()
    heard = 0.1 * np.random.default_rng(0).standard_normal(12_000).astype(np.float32)
    speaker.add_turn(dialogue, 0, "The baker did.", heard)
    reply = speaker.speak(dialogue, "Who baked?", voice, SpeakOptions(seed=1))
    sound = np.concatenate(list(reply))
    assert len(sound) > 0 and len(sound) % 960 == 0 and np.abs(sound).max() > 0
    with pytest.raises(InputError, match="leave both at 1"):
        speaker.speak(dialogue, "Who baked?", voice, SpeakOptions(pitch=1.2))
    copy = speaker.reconstruct(heard)
    assert copy.shape == heard.shape and np.abs(copy).max() > 0
    with pytest.raises(MissingModelError, match="train prior"):
        speaker.stream(voice, SpeakOptions())


def test_pitch_and_rate_are_refused(folder: Path, decoder: EncodecDecoder) -> None:
    style = torch.zeros(16)
    Synthesis(LatentFrames(), decoder, style, Delivery(energy=0.5), 0.2)
    for delivery in (Delivery(pitch=1.2), Delivery(rate=0.8)):
        with pytest.raises(InputError, match="leave both at 1"):
            Synthesis(LatentFrames(), decoder, style, delivery, 0.2)


def test_wrong_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    save_file({"encoder.x": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "torn.th").write_bytes(b"PK\x03\x04 torn")
    for name in ("other.safetensors", "torn.th", "nothing.th"):
        with pytest.raises(InputError):
            adopt_encodec(tmp_path / "out", tmp_path / name, CONFIG)
    assert not (tmp_path / "out").exists()
    ours = save_tiny(tmp_path / "ours")
    with pytest.raises(InputError, match="separate --out"):
        adopt_encodec(ours, folder / "encodec.safetensors", CONFIG)
