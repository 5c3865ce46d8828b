"""The codec of a folder of weights: our own or EnCodec."""

from pathlib import Path

from models.checkpoint import load_config, load_model
from models.vocoder import encodec
from models.vocoder.decoder import Decoder, DecoderConfig
from models.vocoder.encodec import EncodecConfig, EncodecDecoder, EncodecLatents, read_encodec
from models.vocoder.posterior import Posterior, PosteriorConfig


def is_encodec(folder: Path) -> bool:
    """Whether a folder's models use EnCodec."""
    return (folder / f"{encodec.FILE}.safetensors").is_file()


def latents_file(folder: Path) -> Path:
    """The weights file that defines the latent space."""
    return folder / f"{encodec.FILE if is_encodec(folder) else 'posterior'}.safetensors"


def load_codec(folder: Path) -> tuple[Posterior | EncodecLatents, Decoder | EncodecDecoder]:
    """Loads the encoder and decoder of latents.

    Raises:
        MissingModelError: `folder` has neither posterior and decoder nor EnCodec.
    """
    if is_encodec(folder):
        config = load_config(folder, encodec.FILE, EncodecConfig)
        model = read_encodec(latents_file(folder))
        return EncodecLatents(model, config), EncodecDecoder(model, config)
    return (
        load_model(folder, "posterior", Posterior, PosteriorConfig),
        load_model(folder, "decoder", Decoder, DecoderConfig),
    )
