"""Which latents a folder of weights speaks in: our own, or EnCodec's."""

from pathlib import Path

from models.checkpoint import load_config, load_model
from models.vocoder import encodec
from models.vocoder.decoder import Decoder, DecoderConfig
from models.vocoder.encodec import EncodecConfig, EncodecDecoder, EncodecLatents, read_encodec
from models.vocoder.posterior import Posterior, PosteriorConfig


def is_encodec(folder: Path) -> bool:
    """Whether the models of a folder speak through EnCodec."""
    return (folder / f"{encodec.FILE}.safetensors").is_file()


def latents_file(folder: Path) -> Path:
    """The weights on which latents depend."""
    return folder / f"{encodec.FILE if is_encodec(folder) else 'posterior'}.safetensors"


def load_codec(folder: Path) -> tuple[Posterior | EncodecLatents, Decoder | EncodecDecoder]:
    """What makes latents of sound, and sound of latents.

    Raises:
        MissingModelError: there are neither posterior and decoder nor an EnCodec in `folder`.
    """
    if is_encodec(folder):
        config = load_config(folder, encodec.FILE, EncodecConfig)
        model = read_encodec(latents_file(folder))
        return EncodecLatents(model, config), EncodecDecoder(model, config)
    return (
        load_model(folder, "posterior", Posterior, PosteriorConfig),
        load_model(folder, "decoder", Decoder, DecoderConfig),
    )
