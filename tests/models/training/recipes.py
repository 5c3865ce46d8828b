"""Recipes of test size: small batches, and small models if trained from scratch."""

import dataclasses

from models.predictors.ham_tts import HamTTSConfig
from models.training.acoustic_decoder import AcousticDecoderRecipe
from models.training.flow_omni import FlowOmniRecipe, ShortContextRecipe
from models.training.ham_tts import HamTTSRecipe
from models.training.prior import PriorRecipe
from models.training.style import StyleRecipe
from models.training.vocoder import VocoderRecipe
from tests.tiny import CONFIGS

_POSITIONS = 300

FLOW_OMNI = FlowOmniRecipe(
    batch=_POSITIONS,
    warm_batch=_POSITIONS,
    short_context=ShortContextRecipe(batch=64),
    model=CONFIGS["flow-omni"],
)
_HAM_TTS = CONFIGS["ham-tts"]
assert isinstance(_HAM_TTS, HamTTSConfig)
HAM_TTS = HamTTSRecipe(batch=_POSITIONS, warm_batch=_POSITIONS, model=_HAM_TTS)
HAM_TTS_16_UNITS = dataclasses.replace(HAM_TTS, model=dataclasses.replace(_HAM_TTS, num_refined=16))
ACOUSTIC_DECODER = AcousticDecoderRecipe(batch=4, model=CONFIGS["acoustic-decoder"])
PRIOR = PriorRecipe(model=CONFIGS["prior"])
STYLE = StyleRecipe(batch=8, crop_frames=25, steady_batch=16, steady_frames=25)
VOCODER = VocoderRecipe(batch=2, crop_frames=24, lead_frames=4, style_frames=25)
