"""HAM-TTS: the dialogue in, the first acoustic code of each frame of the answer out."""

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.predictors.code_model import CodeModel
from models.predictors.dialogue_model import DialogueConfig
from models.predictors.lvs import Aligner, Fusion, LVSPredictor
from models.predictors.sequence import Positions, Segment
from models.predictors.units import valid_units
from models.transformer import initialise


@dataclass(frozen=True)
class HamTTSConfig(DialogueConfig):
    """Sizes of the predictor.

    Attributes:
        num_codes: of the acoustic tokenizer's first level.
        num_refined: clusters of the self-supervised features that the aligner hears; 0 leaves out
            the aligner, which only training needs.
        lvs_dim: of a phone's latent; 0 is the ablation without a latent variable sequence.
    """

    num_codes: int = 1024
    num_refined: int = field(default=512, metadata={"low": 0})
    lvs_dim: int = field(default=64, metadata={"low": 0})
    aligner_depth: int = 2
    lvs_depth: int = 2


@dataclass
class Losses:
    """`code`, `advance` and `plan` are cross-entropies in nats, `lvs` a mean absolute error."""

    code: Tensor
    advance: Tensor
    plan: Tensor
    lvs: Tensor


class HamTTS(CodeModel):
    """A dialogue model whose frames are the acoustic tokenizer's first codes, and whose phones are
    told by a predicted latent variable sequence what they sound like.

    After HAM-TTS (arXiv 2403.05989): text and latents are fused and lead the sequence, an
    autoregressive model predicts the first codes and `AcousticDecoder` the others. The prompt of a
    cloned voice stands in front, as a turn of the dialogue. The paper
    leaves open whether the model is trained on the aligner's latents or the predicted ones: here
    on either, by chance, for each segment; and the absolute error teaches the predictor alone, so
    that it cannot pull the aligner's latents to a constant.
    """

    name = "ham-tts"
    frames = "acoustic"
    prompted = True
    voice_in_frames = True  # an acoustic code holds the voice
    config: HamTTSConfig

    def __init__(self, config: HamTTSConfig) -> None:
        super().__init__(config)
        dim = config.dim
        self.begin = config.num_codes
        self.code = nn.Embedding(config.num_codes + 1, dim)
        self.code_head = nn.Linear(dim, config.num_codes)
        if config.lvs_dim and config.num_refined:
            self.aligner = Aligner(
                config.num_refined, dim, config.lvs_dim, config.aligner_depth, config.num_heads
            )
        if config.lvs_dim:
            self.lvs = LVSPredictor(dim, config.lvs_dim, config.lvs_depth)
            self.fusion = Fusion(dim, config.lvs_dim)
        self.apply(initialise)

    def for_speech(self) -> "HamTTS":
        """The same model without its aligner."""
        spoken = HamTTS(dataclasses.replace(self.config, num_refined=0))
        kept = {k: v for k, v in self.state_dict().items() if not k.startswith("aligner.")}
        spoken.load_state_dict(kept)
        return spoken

    def encode_texts(self, units: Tensor, lengths: Tensor) -> Tensor:
        texts = self.units(units, lengths)
        if not self.config.lvs_dim:
            return texts
        return self.fusion(texts, self.lvs(texts, lengths), lengths)

    def taught_texts(
        self, segments: list[Segment], refined: list[Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """For training: as `encode_texts`, but half of the segments that have sound are told the
        aligner's latents instead of the predicted ones.

        Args:
            segments: S of them.
            refined: the refined units of each segment's frames `[T]`, or None without sound.

        Returns:
            The texts `[S, N, dim]` and the predictor's mean absolute error.
        """
        device = self.kind.weight.device
        units, lengths, _, _ = self.collate(segments)
        texts = self.units(units, lengths)
        if not self.config.lvs_dim:
            return texts, texts.new_zeros(())
        predicted = self.lvs(texts, lengths)
        heard = [i for i, units_heard in enumerate(refined) if units_heard is not None]
        if not heard:
            return self.fusion(texts, predicted, lengths), predicted.new_zeros(())
        pad = nn.utils.rnn.pad_sequence
        sounds = pad([refined[i] for i in heard], batch_first=True)  # type: ignore[misc]
        pointers = pad(
            [segments[i].pointer for i in heard],  # type: ignore[misc]
            batch_first=True,
            padding_value=-1,
        )
        chosen = torch.tensor(heard, device=device)
        latents = self.aligner(texts[chosen], sounds.to(device), pointers.to(device))
        valid = valid_units(lengths[chosen], units.shape[1])
        error = (predicted[chosen] - latents.detach()).float().abs()[valid].mean()
        told = torch.rand(len(heard), 1, 1, device=device) < 0.5
        mixed = torch.where(told, latents, predicted[chosen].to(latents.dtype))
        given = predicted.to(latents.dtype).index_copy(0, chosen, mixed)
        return self.fusion(texts, given, lengths), error

    def losses(self, hidden: Tensor, positions: Positions, lvs: Tensor | None = None) -> Losses:
        """Losses at hidden states `[B, L, dim]`; `lvs` is the error that `taught_texts` returned,
        None where texts were not taught."""
        return Losses(
            self.code_loss(hidden, positions),
            self.advance_loss(hidden, positions),
            self.plan_loss(hidden, positions),
            hidden.new_zeros(()) if lvs is None else lvs,
        )
