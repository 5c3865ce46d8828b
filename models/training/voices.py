"""Recipe: the named voices of a folder of weights, each the mean style of many utterances."""

from dataclasses import dataclass

import torch
from torch import nn

from data.audio import SAMPLE_RATE
from models.named_voices import NAMED
from models.training.configuration import setting
from models.training.corpus import Corpus
from models.training.encoded import encode_corpus
from models.training.job import Job
from models.training.loop import on_first_process
from models.voice import Voice, save_voices


@dataclass(frozen=True)
class VoicesRecipe:
    """Choice of the voices."""

    utterances: int = setting(60, "utterances averaged per voice")
    voices: int = setting(8, "number of voices, if the data have no named ones")


def make_voices(job: Job, recipe: VoicesRecipe) -> VoicesRecipe:
    """Writes `voices.safetensors` and `voices.json`; returns the recipe as made.

    The voices are those of the corpus that are in `NAMED`; if there are none, as with recordings,
    those with the most speech, under their names in the corpus.

    Raises:
        MissingModelError: `out` lacks the style encoder or the tokenizer.
    """
    corpus = job.corpus
    encoded = encode_corpus(job.data, corpus, job.out)
    named = {key: NAMED[key] for key in NAMED if key in corpus.by_voice}
    named = named or _longest(corpus, recipe.voices)
    voices: dict[str, Voice] = {}
    for key, (name, description) in named.items():
        rows = corpus.by_voice[key][: recipe.utterances]
        mean = torch.stack([torch.from_numpy(encoded[row].style).float() for row in rows]).mean(0)
        voices[name] = Voice(name, description, nn.functional.layer_norm(mean, mean.shape))
    on_first_process(lambda: save_voices(job.out, voices))
    return recipe


def _longest(corpus: Corpus, count: int) -> dict[str, tuple[str, str]]:
    seconds = {
        voice: sum(len(corpus.utterances[row].samples) for row in rows) / SAMPLE_RATE
        for voice, rows in corpus.by_voice.items()
    }
    chosen = sorted(seconds, key=lambda voice: (-seconds[voice], voice))[:count]
    return {
        voice: (voice, f"speaks {seconds[voice] / 60:.1f} minutes of the data") for voice in chosen
    }
