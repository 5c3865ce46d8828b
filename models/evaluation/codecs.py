"""Codecs behind one interface: audio to tokens `[batch, length, heads]` and back."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from data.audio import SAMPLE_RATE
from models.evaluation.sets import Item
from models.mel import FRAME_SAMPLES
from models.predictors.units import units_of_text
from models.speaker import Speaker
from models.text import normalise
from models.tokenizers.acoustic import AcousticTokenizer
from models.vocoder.decoder import decode_whole
from models.vocoder.encodec import read_encodec

FRAME_HZ = SAMPLE_RATE / FRAME_SAMPLES


@dataclass(frozen=True)
class CodecFacts:
    """Static facts of a codec for the table.

    `num_codes` is 0 for continuous tokens; `inputs` names the decoder's additional inputs.
    """

    name: str
    hz: float
    kbps: float | None
    num_codes: int
    streamable: str
    inputs: str = ""


class Codec(Protocol):
    """A codec; `features` are vectors `[length, D]` for linear probes."""

    facts: CodecFacts

    def sig_to_tokens(self, sig: Tensor) -> Tensor: ...

    def tokens_to_sig(self, tokens: Tensor, item: Item) -> np.ndarray: ...

    def features(self, tokens: Tensor) -> np.ndarray: ...


class SemanticCodec:
    """Our semantic codes, decoded by prior and decoder.

    They do not carry the speaker, nor exact phones for the prior: both are additional inputs.
    """

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        num_codes = speaker.tokenizer.num_codes
        chunk_ms = speaker.tokenizer.config.chunk_frames * 1000 / FRAME_HZ
        self.facts = CodecFacts(
            "Repartee semantic",
            FRAME_HZ,
            FRAME_HZ * math.log2(num_codes) / 1000,
            num_codes,
            f"decoder; encoder in chunks of {chunk_ms:.0f} ms",
            "voice and phones",
        )

    @torch.inference_mode()
    def sig_to_tokens(self, sig: Tensor) -> Tensor:
        return self.speaker.tokenizer.encode(sig.to(self.speaker.device))[..., None].cpu()

    @torch.inference_mode()
    def tokens_to_sig(self, tokens: Tensor, item: Item) -> np.ndarray:
        codes = tokens[:, :, 0].to(self.speaker.device)
        units = units_of_text(normalise(item.text, None), None)
        voice = self.speaker.clone(item.samples)
        return self.speaker.decode(codes[0], units, voice).numpy()

    def features(self, tokens: Tensor) -> np.ndarray:
        quantiser = self.speaker.tokenizer.quantiser
        basis, sizes = quantiser.basis.cpu(), quantiser.levels.cpu()
        levels = tokens[0, :, 0, None] // basis % sizes
        parts = [
            torch.nn.functional.one_hot(levels[:, i], int(size)) for i, size in enumerate(sizes)
        ]
        return torch.cat(parts, dim=1).float().numpy()


class LatentCodec:
    """Our continuous tokens: the posterior's latents, rendered by the decoder."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.facts = CodecFacts(
            f"Repartee latent, {speaker.posterior.config.latent_dim} numbers",
            FRAME_HZ,
            None,
            0,
            "decoder; encoder looks 16 ms ahead",
            "voice",
        )

    @torch.inference_mode()
    def sig_to_tokens(self, sig: Tensor) -> Tensor:
        return self.speaker.posterior.encode(sig.to(self.speaker.device)).cpu()

    @torch.inference_mode()
    def tokens_to_sig(self, tokens: Tensor, item: Item) -> np.ndarray:
        style = self.speaker.clone(item.samples).style[None]
        latents = tokens.to(self.speaker.device)
        made = decode_whole(self.speaker.decoder, latents, style)
        return made[0, : len(item.samples)].cpu().numpy()

    def features(self, tokens: Tensor) -> np.ndarray:
        return tokens[0].numpy()


class AcousticCodec:
    """HAM-TTS's codes: residual quantisation of the latents, rendered by the decoder."""

    def __init__(self, speaker: Speaker, acoustic: AcousticTokenizer) -> None:
        self.speaker, self.acoustic = speaker, acoustic.to(speaker.device)
        config = acoustic.config
        self.facts = CodecFacts(
            f"Repartee acoustic, {config.num_levels} levels",
            FRAME_HZ,
            FRAME_HZ * config.num_levels * math.log2(config.num_codes) / 1000,
            config.num_codes,
            "decoder; encoder looks 16 ms ahead",
            "voice",
        )

    @torch.inference_mode()
    def sig_to_tokens(self, sig: Tensor) -> Tensor:
        latents = self.speaker.posterior.encode(sig.to(self.speaker.device))
        return self.acoustic.encode(latents).cpu()

    @torch.inference_mode()
    def tokens_to_sig(self, tokens: Tensor, item: Item) -> np.ndarray:
        style = self.speaker.clone(item.samples).style[None]
        latents = self.acoustic.decode(tokens.to(self.speaker.device))
        made = decode_whole(self.speaker.decoder, latents, style)
        return made[0, : len(item.samples)].cpu().numpy()

    @torch.inference_mode()
    def features(self, tokens: Tensor) -> np.ndarray:
        return self.acoustic.decode(tokens.to(self.speaker.device))[0].cpu().numpy()


class EncodecCodec:
    """EnCodec 24 kHz (arXiv 2210.13438) at one bitrate, by the `encodec` package."""

    def __init__(self, weights: Path, kbps: float) -> None:
        self.model = read_encodec(weights)
        self.model.set_target_bandwidth(kbps)
        self.facts = encodec_facts(kbps)

    @torch.inference_mode()
    def sig_to_tokens(self, sig: Tensor) -> Tensor:
        return self.model.encode(sig[:, None])[0][0].transpose(1, 2)

    @torch.inference_mode()
    def tokens_to_sig(self, tokens: Tensor, item: Item) -> np.ndarray:
        made = self.model.decode([(tokens.transpose(1, 2), None)])
        return made[0, 0, : len(item.samples)].numpy()

    @torch.inference_mode()
    def features(self, tokens: Tensor) -> np.ndarray:
        return self.model.quantizer.decode(tokens.permute(2, 0, 1))[0].T.numpy()


def encodec_facts(kbps: float) -> CodecFacts:
    """EnCodec's stated figures: 75 Hz, ten bits per level."""
    levels = round(kbps * 1000 / 750)
    return CodecFacts(f"EnCodec 24 kHz, {levels} levels", 75.0, kbps, 1024, "yes, 13 ms")
