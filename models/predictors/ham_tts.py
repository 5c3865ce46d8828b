"""HAM-TTS: predicts the first acoustic code of each frame of the answer from the dialogue."""

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
    """Sizes of HAM-TTS.

    Attributes:
        num_codes: codebook size of the acoustic tokenizer's first level.
        num_refined: number of clusters of self-supervised features that the aligner sees; 0 omits
            the aligner, which only training needs.
        lvs_dim: dimension of the latent variable per phone; 0 is the ablation without it.
    """

    num_codes: int = 1024
    num_refined: int = field(default=512, metadata={"low": 0})
    lvs_dim: int = field(default=64, metadata={"low": 0})
    aligner_depth: int = 2
    lvs_depth: int = 2


@dataclass
class HamTTSLosses:
    """`code`, `advance` and `plan` are cross-entropies (nats), `lvs` is a mean absolute error."""

    code: Tensor
    advance: Tensor
    plan: Tensor
    lvs: Tensor


class HamTTS(CodeModel):
    """A dialogue model over the acoustic tokenizer's first codes, conditioned on a latent variable
    per phone.

    After HAM-TTS (arXiv 2403.05989): fused text and latents are prepended, an autoregressive model
    predicts the first codes and `AcousticDecoder` the others. A cloned voice's prompt comes first,
    as a turn of the dialogue. The paper does not say whether the model is trained on the aligner's
    latents or on predicted ones; here each segment uses either with probability 1/2. The absolute
    error reaches the predictor alone, so it cannot collapse the aligner's latents to a constant.
    """

    name = "ham-tts"
    frames = "acoustic"
    prompted = True
    voice_in_frames = True  # acoustic codes carry the voice
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
        """The model without its aligner, for inference."""
        spoken = HamTTS(dataclasses.replace(self.config, num_refined=0))
        kept = {k: v for k, v in self.state_dict().items() if not k.startswith("aligner.")}
        spoken.load_state_dict(kept)
        return spoken

    def encode_texts(self, units: Tensor, lengths: Tensor) -> Tensor:
        texts = self.units(units, lengths)
        if not self.config.lvs_dim:
            return texts
        return self.fusion(texts, self.lvs(texts, lengths), lengths)

    def encode_training_texts(
        self, segments: list[Segment], refined: list[Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """As `encode_texts`, for training: half of the segments with sound, at random, get the
        aligner's latents instead of the predicted ones.

        Args:
            segments: S segments.
            refined: refined units `[T]` of each segment's frames, None without sound.

        Returns:
            The texts `[S, N, dim]`, and the mean absolute error of the latent predictor.
        """
        device = self.kind.weight.device
        units, lengths, _, _ = self.collate(segments)
        texts = self.units(units, lengths)
        if not self.config.lvs_dim:
            return texts, texts.new_zeros(())
        predicted = self.lvs(texts, lengths)
        with_sound = [i for i, found in enumerate(refined) if found is not None]
        if not with_sound:
            return self.fusion(texts, predicted, lengths), predicted.new_zeros(())
        pad = nn.utils.rnn.pad_sequence
        refined_units = pad([refined[i] for i in with_sound], batch_first=True)  # type: ignore[misc]
        pointers = pad(
            [segments[i].pointer for i in with_sound],  # type: ignore[misc]
            batch_first=True,
            padding_value=-1,
        )
        chosen = torch.tensor(with_sound, device=device)
        latents = self.aligner(texts[chosen], refined_units.to(device), pointers.to(device))
        valid = valid_units(lengths[chosen], units.shape[1])
        error = (predicted[chosen] - latents.detach()).float().abs()[valid].mean()
        from_aligner = torch.rand(len(with_sound), 1, 1, device=device) < 0.5
        mixed = torch.where(from_aligner, latents, predicted[chosen].to(latents.dtype))
        given = predicted.to(latents.dtype).index_copy(0, chosen, mixed)
        return self.fusion(texts, given, lengths), error

    def losses(
        self, hidden: Tensor, positions: Positions, lvs: Tensor | None = None
    ) -> HamTTSLosses:
        """Losses at hidden states `[B, L, dim]`; `lvs` is the error of `encode_training_texts`,
        or None."""
        return HamTTSLosses(
            self.code_loss(hidden, positions),
            self.advance_loss(hidden, positions),
            self.plan_loss(hidden, positions),
            hidden.new_zeros(()) if lvs is None else lvs,
        )
