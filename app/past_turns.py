"""Opens dialogues with turns read from files."""

from collections.abc import Iterable

from data.dialogue import Turn
from models.dialogue_state import DialogueState
from models.omni import Omni
from models.predictors.thinker import USER, Exchange
from models.speaker import Speaker


def hear_turns(speaker: Speaker, turns: Iterable[Turn]) -> DialogueState:
    """A dialogue with `turns` as its history."""
    dialogue = speaker.open_dialogue()
    for turn in turns:
        speaker.add_turn(dialogue, int(turn.speaker), turn.text, turn.load())
    return dialogue


def hear_sound(
    speaker: Speaker, omni: Omni, turns: Iterable[Turn]
) -> tuple[DialogueState, list[Exchange]]:
    """A dialogue with `turns` as its history, for speech-to-speech: user turns with audio are used
    without their transcript."""
    dialogue = speaker.open_dialogue()
    exchanges = []
    for turn in turns:
        who, samples = int(turn.speaker), turn.load()
        text = "" if who == USER and samples is not None else turn.text
        speaker.add_turn(dialogue, who, text, samples)
        exchanges.append(omni.exchange(who, text, samples))
    return dialogue, exchanges
