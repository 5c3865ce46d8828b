"""Recipe: the voices of a folder of weights, each the mean style of many utterances."""

from pathlib import Path

import torch
from torch import nn

from data.audio import SAMPLE_RATE
from models.training.corpus import Corpus
from models.training.encoded import encode_corpus
from models.training.loop import done_once
from models.voice import Voice, save_voices

UTTERANCES = 60
NUM_VOICES = 8

# Voices of the synthetic corpus that have a name of their own: name and description.
NAMED = {
    "flite-slt": ("slt", "a woman, American (taught by flite slt)"),
    "flite-kal16": ("kal", "a plain man, American, a little robotic (taught by flite kal16)"),
    "flite-rms": ("rms", "a calm man, American (taught by flite rms)"),
    "flite-awb": ("awb", "a man, Scottish (taught by flite awb)"),
    "festival-ked": ("ked", "a man, American, robotic (taught by festival ked)"),
    "festival-slt": ("sally", "a woman, American, smooth (taught by festival slt)"),
    "espeak-en-us": ("robot", "a machine, American (taught by espeak-ng en-us)"),
    "espeak-en-gb-x-rp+f2": ("lady", "a woman-like machine, British (taught by espeak-ng)"),
}


def make_voices(root: Path, corpus: Corpus, out: Path) -> None:
    """Writes `voices.safetensors` and `voices.json`: those of the corpus that are `NAMED`, or where
    it has none of them, as recordings have none, the `NUM_VOICES` that speak longest, the longest
    first, by the names that they have there.

    Args:
        root: the data set.
        corpus: its prepared utterances.
        out: where the style encoder lies and the voices are written.
    """
    encoded = encode_corpus(root, corpus, out)
    named = {key: NAMED[key] for key in NAMED if key in corpus.by_voice} or _longest(corpus)
    voices: dict[str, Voice] = {}
    for key, (name, description) in named.items():
        rows = corpus.by_voice[key][:UTTERANCES]
        mean = torch.stack([torch.from_numpy(encoded[row].style).float() for row in rows]).mean(0)
        voices[name] = Voice(name, description, nn.functional.layer_norm(mean, mean.shape))
    done_once(lambda: save_voices(out, voices))


def _longest(corpus: Corpus) -> dict[str, tuple[str, str]]:
    seconds = {
        voice: sum(len(corpus.utterances[row].samples) for row in rows) / SAMPLE_RATE
        for voice, rows in corpus.by_voice.items()
    }
    chosen = sorted(seconds, key=lambda voice: (-seconds[voice], voice))[:NUM_VOICES]
    return {
        voice: (voice, f"speaks {seconds[voice] / 60:.1f} minutes of the data") for voice in chosen
    }
