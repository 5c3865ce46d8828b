"""Synthetic conversations with ground truth for every turn.

`speak` synthesises any text in any voice and manner, `VOICES` are the voices with their flags,
`held_out_sentences` are texts that occur in no training corpus, `corpus` makes whole corpora.
"""

from data.synthetic.grammar import held_out_sentences
from data.synthetic.manner import ANSWER_TO, MANNERS
from data.synthetic.speech import speak
from data.synthetic.voices import voices

VOICES = voices()

__all__ = ["ANSWER_TO", "MANNERS", "VOICES", "held_out_sentences", "speak"]
