"""Tiny models with random weights, for logic; in memory or as a folder of weights."""

from pathlib import Path

import torch

from models.checkpoint import save_model
from models.predictors.flow_omni import FlowOmni, FlowOmniConfig
from models.predictors.frames import Latents, SemanticCodes
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.predictors.ham_tts import HamTTS, HamTTSConfig
from models.predictors.segments import EncodedTurn, TurnBuilder, TurnSound
from models.predictors.sequence import Segment
from models.predictors.table import PREDICTORS
from models.predictors.thinker import Thinker, ThinkerConfig, build_thinker
from models.predictors.units import Units
from models.speaker import Speaker
from models.tokenizers.acoustic import AcousticConfig, AcousticTokenizer
from models.tokenizers.semantic import SemanticConfig, SemanticTokenizer
from models.vocoder.acoustic_decoder import AcousticDecoder, AcousticDecoderConfig
from models.vocoder.decoder import Decoder, DecoderConfig
from models.vocoder.posterior import Posterior, PosteriorConfig
from models.vocoder.prior import Prior, PriorConfig
from models.vocoder.style import StyleConfig, StyleEncoder
from models.voice import Voice, save_voices

LEVELS = (4, 4)
STYLE = 16
CONFIGS = {
    "semantic": SemanticConfig(dim=16, depth=1, num_heads=2, ffn_dim=32, levels=LEVELS),
    "style": StyleConfig(dim=16, depth=1, style_dim=STYLE),
    "posterior": PosteriorConfig(dim=16, depth=1, latent_dim=8),
    "prior": PriorConfig(
        levels=LEVELS,
        latent_dim=8,
        style_dim=STYLE,
        symbol_dim=8,
        dim=16,
        depth=2,
        num_couplings=2,
        coupling_dim=16,
        coupling_depth=1,
        guidance=1.5,
    ),
    "decoder": DecoderConfig(
        latent_dim=8,
        style_dim=STYLE,
        frame_dim=16,
        frame_depth=1,
        dim=16,
        depth=2,
        window=480,
        filters=2,
    ),
    "acoustic": AcousticConfig(latent_dim=8, num_levels=3, num_codes=16),
    "acoustic-decoder": AcousticDecoderConfig(
        style_dim=STYLE, symbol_dim=8, dim=16, depth=1, level_depth=1
    ),
    "gpt-talker": GPTTalkerConfig(
        levels=LEVELS,
        style_dim=STYLE,
        dim=16,
        depth=2,
        num_heads=2,
        ffn_dim=32,
        unit_depth=1,
        max_positions=200,
    ),
    "ham-tts": HamTTSConfig(
        style_dim=STYLE,
        dim=16,
        depth=2,
        num_heads=2,
        ffn_dim=32,
        unit_depth=1,
        max_positions=200,
        num_codes=16,
        num_refined=8,
        lvs_dim=4,
        aligner_depth=1,
        lvs_depth=1,
    ),
    "flow-omni": FlowOmniConfig(
        latent_dim=8,
        style_dim=STYLE,
        dim=16,
        depth=2,
        num_heads=2,
        ffn_dim=32,
        unit_depth=1,
        max_positions=200,
        context_dim=16,
        context_depth=2,
        flow_dim=16,
        flow_depth=2,
    ),
}
WORDS = ("yes", "no", "the", "baker", "oven", "is", "in", "I", "see")
THINKER = ThinkerConfig(
    feature_dim=16, dim=16, listen_depth=1, depth=2, num_heads=2, ffn_dim=32, words=WORDS
)
_KINDS = {
    "semantic": SemanticTokenizer,
    "style": StyleEncoder,
    "posterior": Posterior,
    "prior": Prior,
    "decoder": Decoder,
    "acoustic": AcousticTokenizer,
    "gpt-talker": GPTTalker,
    "ham-tts": HamTTS,
    "flow-omni": FlowOmni,
}


def tiny(name: str) -> torch.nn.Module:
    """One tiny model; some weights start at zero, which would hide mistakes."""
    torch.manual_seed(list(CONFIGS).index(name))
    if name == "acoustic-decoder":
        acoustic = tiny("acoustic")
        assert isinstance(acoustic, AcousticTokenizer)
        module = AcousticDecoder(CONFIGS[name], acoustic)
    else:
        module = _KINDS[name](CONFIGS[name])
    if isinstance(module, AcousticTokenizer):
        module.codebooks.normal_()
    for parameter in module.parameters():
        if parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, std=0.05)
        if name in PREDICTORS:
            parameter.data *= 6.0  # or every code would be about as likely, whatever came before
    return module.eval().requires_grad_(False)


def tiny_thinker(seed: int = 77) -> Thinker:
    """A thinker whose answers end; with a seed of 10 they also differ from one draw to the next."""
    torch.manual_seed(seed)
    thinker = build_thinker(THINKER, Path())
    thinker.backbone.embedding.weight.data *= 3.0
    thinker.state_head.weight.data *= 6.0
    return thinker.eval().requires_grad_(False)


def tiny_segments(units: Units, pointer: torch.Tensor | None, speaker: int = 0) -> list[Segment]:
    """A turn's segments as Flow-Omni reads them, without sound or of frames that are numbered."""
    sound = None
    if pointer is not None:
        frames = torch.arange(len(pointer))
        numbered = Latents(frames[:, None].float().expand(-1, 8))
        sound = TurnSound(SemanticCodes(frames % 16), pointer, numbered)
    turn = EncodedTurn(speaker, units, torch.zeros(STYLE), sound)
    return TurnBuilder(tiny("semantic")).build(turn, tiny("flow-omni"))


def tiny_voices() -> dict[str, Voice]:
    names = {"one": 1, "two": 2, "slt": 3}
    return {
        name: Voice(name, "random", torch.randn(STYLE, generator=torch.Generator().manual_seed(i)))
        for name, i in names.items()
    }


def tiny_speaker(*predictors: str) -> Speaker:
    """With all predictors, or only those named."""
    made = [tiny(name) for name in ("semantic", "style", "posterior", "prior", "decoder")]
    talkers = [tiny(name) for name in predictors or PREDICTORS]
    return Speaker(*made, talkers, tiny_voices(), torch.device("cpu"), tiny("acoustic-decoder"))


def save_tiny(folder: Path) -> Path:
    """A folder of weights as a bundle has them."""
    for name, config in CONFIGS.items():
        save_model(folder, name, tiny(name), config, half=True)
    save_model(folder, "omni-thinker", tiny_thinker(), THINKER, half=True)
    save_voices(folder, tiny_voices())
    return folder
