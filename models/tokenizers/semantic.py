"""The semantic tokenizer: content and prosody, one code per 40 ms."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_model
from models.mel import FRAME_SAMPLES, NUM_FEATURES, SpeechFeatures, num_frames
from models.streaming import ConvNeXtStack, Downsample
from models.text.symbols import SYMBOLS
from models.tokenizers.fsq import FSQ
from models.transformer import Transformer


@dataclass(frozen=True)
class SemanticConfig:
    """Sizes of the semantic tokenizer."""

    symbols: tuple[str, ...] = SYMBOLS  # inventory of its phone probes
    dim: int = 256
    depth: int = 4
    num_heads: int = 4
    ffn_dim: int = 704
    chunk_frames: int = 16  # attention chunk, 640 ms
    levels: tuple[int, ...] = (8, 8, 8, 5)
    probe_depth: int = 2


LOG_F0_UNIT = 0.25  # nats


@dataclass
class Prosody:
    """Prosody decoded from codes, each `[B, T]` at 25 Hz.

    `log_f0` is log-F0 relative to the speaker's mean, in units of `LOG_F0_UNIT`; `voicing` is a
    logit; `energy` is the level relative to the speaker's mean, in units of 10 dB.
    """

    log_f0: Tensor
    voicing: Tensor
    energy: Tensor


class SemanticTokenizer(nn.Module):
    """Quantises speech features as codes at 25 Hz that carry content and prosody, not the speaker.

    A convolutional stem, a chunk-causal transformer and FSQ. Probes on the quantised values define
    what codes must carry: phonemes (CTC, and frame-wise cross-entropy where phone times are known),
    speaker-normalised log-F0, voicing and energy. Replaces GPT-Talker's HuBERT with vector
    quantisation (section 3.2); follows the FSQ speech tokenizer of CosyVoice 2 (arXiv 2412.10117,
    section 2.2). 24 kHz in, 25 Hz out; looks ahead to the end of its 16-frame chunk. Runs on whole
    turns.
    """

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.features = SpeechFeatures()
        self.stem = nn.Sequential(Downsample(NUM_FEATURES, dim), nn.GELU(), Downsample(dim, dim))
        self.local = ConvNeXtStack(dim, 1)
        self.transformer = Transformer(dim, config.depth, config.num_heads, config.ffn_dim)
        self.project = nn.Linear(dim, len(config.levels))
        self.quantiser = FSQ(config.levels)
        self.embed = nn.Linear(len(config.levels), dim)
        self.probe = ConvNeXtStack(dim, config.probe_depth, kernel=5)
        self.phone_head = nn.Linear(dim, len(config.symbols))
        self.ctc_head = nn.Linear(dim, len(config.symbols) + 1)  # the last one is the blank
        self.prosody_head = nn.Linear(dim, 3)

    @property
    def num_codes(self) -> int:
        return self.quantiser.num_codes

    def encode_features(self, features: Tensor) -> Tensor:
        """Features `[B, 4 T, 128]` to the transformer's output `[B, T, dim]`."""
        h = self.local(self.stem(features))
        frames = torch.arange(h.shape[1], device=h.device)
        chunk = frames // self.config.chunk_frames
        return self.transformer(h, frames, (chunk[:, None] >= chunk[None, :])[None, None])

    def quantise(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features `[B, 4 T, 128]` to quantised values `[B, T, D]` and codes `[B, T]`."""
        return self.quantiser(self.project(self.encode_features(features)))

    def read(self, values: Tensor) -> tuple[Tensor, Tensor, Prosody]:
        """Runs the probes on quantised values `[B, T, D]`.

        Returns:
            Phone logits of each frame `[B, T, num_symbols]`, CTC logits `[B, T, num_symbols + 1]`,
            and prosody.
        """
        # The probes look two frames ahead: information may spread over neighbouring codes.
        shifted = F.pad(self.embed(values), (0, 0, 0, 2))
        h = self.probe(shifted)[:, 2:]
        log_f0, voicing, energy = self.prosody_head(h).unbind(-1)
        return self.phone_head(h), self.ctc_head(h), Prosody(log_f0, voicing, energy)

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> Tensor:
        """Samples `[B, T]` at 24 kHz to codes `[B, ceil(T / 960)]`.

        The last chunk is padded with silence, so that codes do not depend on batch padding.
        """
        return self.quantise(self.features(self._padded(samples)))[1][
            :, : num_frames(samples.shape[1])
        ]

    @torch.inference_mode()
    def continuous_features(self, samples: Tensor) -> Tensor:
        """Samples `[B, T]` at 24 kHz to continuous features before quantisation,
        `[B, ceil(T / 960), dim]`."""
        features = self.encode_features(self.features(self._padded(samples)))
        return features[:, : num_frames(samples.shape[1])]

    def _padded(self, samples: Tensor) -> Tensor:
        chunk = self.config.chunk_frames * FRAME_SAMPLES
        return F.pad(samples, (0, -samples.shape[1] % chunk))

    @torch.inference_mode()
    def inspect(self, codes: Tensor) -> tuple[Tensor, Prosody]:
        """Phone log-probabilities of each frame `[B, T, num_symbols]` and prosody, from codes."""
        phones, _, prosody = self.read(self.quantiser.decode(codes))
        return phones.log_softmax(-1), prosody


def load_tokenizer(folder: Path) -> SemanticTokenizer:
    """Loads the trained semantic tokenizer.

    Raises:
        MissingModelError: it is missing from `folder`.
    """
    return load_model(folder, "semantic", SemanticTokenizer, SemanticConfig)
