"""Recipe: the voices of a folder of weights, each the mean style of many utterances."""

from dataclasses import dataclass

import torch
from torch import nn

from data.audio import SAMPLE_RATE
from models.named_voices import NAMED
from models.training.configuration import setting
from models.training.corpus import Corpus
from models.training.encoded import encode_corpus
from models.training.job import Job
from models.training.loop import done_once
from models.voice import Voice, save_voices


@dataclass(frozen=True)
class VoicesRecipe:
    """Which voices are kept."""

    utterances: int = setting(60, "utterances of a voice whose mean style it has")
    voices: int = setting(8, "how many, where the data name none")


def make_voices(job: Job, recipe: VoicesRecipe) -> VoicesRecipe:
    """Writes `voices.safetensors` and `voices.json`: those of the corpus that are `NAMED`, or where
    it has none of them, as recordings have none, those that speak longest, the longest first, by
    the names that they have there. Returns what was made.

    Raises:
        MissingModelError: the style encoder or the tokenizer is not in `out`.
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
    done_once(lambda: save_voices(job.out, voices))
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
