"""Encodes past turns for the predictors: codes, latents, style vectors, segments."""

import numpy as np
import torch
from torch import Tensor

from data.errors import InputError
from data.limits import last_words
from models.dialogue_state import ContextTurn
from models.mel import in_16_bits
from models.predictors.alignment import align_units
from models.predictors.dialogue_model import DialogueModel
from models.predictors.frames import AcousticCodes, Frames, Latents, SemanticCodes
from models.predictors.segments import EncodedTurn, TurnBuilder, TurnSound, last_segments
from models.predictors.sequence import Segment
from models.predictors.units import units_of_text
from models.text import normalise, read_as
from models.tokenizers.semantic import SemanticTokenizer
from models.vocoder.acoustic_decoder import AcousticDecoder
from models.vocoder.encodec import EncodecLatents
from models.vocoder.posterior import Posterior
from models.vocoder.style import StyleEncoder


class TurnEncoder:
    """The speech encoders, 24 kHz mono, on one device."""

    def __init__(
        self,
        tokenizer: SemanticTokenizer,
        style: StyleEncoder,
        posterior: Posterior | EncodecLatents,
        acoustic_decoder: AcousticDecoder | None,
        device: torch.device,
    ) -> None:
        self.tokenizer, self.style, self.posterior = tokenizer, style, posterior
        self.acoustic_decoder = acoustic_decoder
        self.device = device
        self._turns = TurnBuilder(tokenizer)

    def last_segments(self, model: DialogueModel, turn: ContextTurn) -> list[Segment]:
        """Segments of a turn for the predictor `model`, or of the end that fits its window."""
        most = model.config.max_positions
        # A character takes about one position.
        text = last_words(normalise(turn.text, read_as(model.config.languages)), most)
        return last_segments(self.segments_of(model, turn.who, text, turn.samples), most)

    @torch.inference_mode()
    def segments_of(
        self, model: DialogueModel, who: int, text: str, sound: np.ndarray | None
    ) -> list[Segment]:
        """Segments of a turn for the predictor `model`; `text` is normalised, `sound` `[T]` at most
        30 s."""
        units = units_of_text(text, read_as(model.config.languages))
        if sound is None:
            nobody = torch.zeros(self.style.config.style_dim)
            return self._turns.build(EncodedTurn(who, units, nobody, None), model)
        codes = self.tokenizer.encode(self.tensor(sound))
        pointer = align_units(self.tokenizer.inspect(codes)[0][0], units)
        semantic = SemanticCodes(codes[0].cpu())
        heard = TurnSound(semantic, pointer, self._frames_of(model, sound, semantic))
        turn = EncodedTurn(who, units, self.style_of(sound), heard)
        return self._turns.build(turn, model)

    def _frames_of(self, model: DialogueModel, sound: np.ndarray, codes: SemanticCodes) -> Frames:
        """Encodes audio as frames of `model`'s kind."""
        if model.frames == "semantic":
            return codes
        latents = self.posterior.encode(self.tensor(sound))[0]
        if model.frames == "latent":
            return Latents(latents.cpu())
        assert self.acoustic_decoder is not None
        return AcousticCodes(self.acoustic_decoder.acoustic.encode(latents, 1)[:, 0].cpu())

    def style_of(self, samples: np.ndarray) -> Tensor:
        """Style vector `[style_dim]` of samples `[T]`."""
        return self.style.encode(self.tensor(samples))[0].clone()

    def tensor(self, samples: np.ndarray) -> Tensor:
        """Samples `[T]` as model input `[1, T]`, rounded to 16 bits."""
        return in_16_bits(torch.from_numpy(samples))[None].to(self.device)


def checked_samples(samples: np.ndarray) -> np.ndarray:
    """Validates samples `[T]`; returns contiguous float32.

    Raises:
        InputError: samples are not finite or not one channel.
    """
    array = np.ascontiguousarray(samples, dtype=np.float32)
    if array.ndim != 1:
        raise InputError(f"samples have shape {array.shape}; they must be one channel, [T]")
    if not np.isfinite(array).all():
        raise InputError("the samples hold NaN or infinity; the recording is damaged")
    return array
