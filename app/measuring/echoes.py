"""Echo of the agent's own voice: 20 minutes at -6 dB and 150 ms, without any other speech.

Each item is a separate conversation, in which the echo canceller starts unadapted.
"""

import random
from collections.abc import Sequence

import numpy as np

from app.endpointing import SEMANTIC, AudioInputSettings
from app.measuring.parts import Bench, Item, Part, Row, room, sound_of, spoken_turns
from app.measuring.virtual import Conversation
from app.settings import SessionSettings
from data.audio import SAMPLE_RATE
from models.evaluation.bars import FigureBars, at_most
from models.evaluation.figures import Figure, ratio

_COUNT = 60
_ITEM_S = 20.0
_GAIN, _DELAY_S = 10 ** (-6 / 20), 0.15


def echoes(bench: Bench) -> Part:
    """Conversations in which the agent plays held-out turns and nobody else speaks."""
    num = bench.count or _COUNT
    items = [
        Item(f"{bench.seed} {number}", lambda number=number: _heard(bench, number))
        for number in range(num)
    ]
    return Part("echoes", items, _figures)


def _heard(bench: Bench, number: int) -> Row:
    rng = random.Random(f"{bench.seed} {number}")
    turns = spoken_turns(bench.folders, "zh" if number % 4 == 3 else "en")
    agent, num = [], round(_ITEM_S * SAMPLE_RATE)
    while sum(map(len, agent)) < num:
        agent.append(sound_of(rng.choice(turns)))
    settings = SessionSettings(audio_input=AudioInputSettings(detection=SEMANTIC))
    said = np.concatenate(agent)[:num]
    with Conversation(
        bench.recognizer, bench.judge, settings, said, (_GAIN, _DELAY_S)
    ) as conversation:
        conversation.begin()
        conversation.push_audio(room(_ITEM_S + 1.0, number))
        stops = [e for e in conversation.of("stop") if e["reason"] == "interrupted"]
        begun, turns_taken = conversation.of("speech.started"), conversation.turns()
        ducked = len(conversation.of("duck"))
    return {
        "seconds": _ITEM_S, "stopped": len(stops), "begun": len(begun), "ducked": ducked,
        "heard": [turn["text"] for turn in turns_taken],
    }  # fmt: skip


def _figures(rows: Sequence[Row]) -> list[Figure]:
    minutes = sum(row["seconds"] for row in rows) / 60
    note = f"in {minutes:.0f} minutes"
    scale = len(rows) or 1
    taken = [max(row["stopped"], row["begun"], len(row["heard"])) for row in rows]
    return [
        ratio("echo", f"echo taken for the user {note}", taken, scale=scale,
              **FigureBars(bar=at_most(0.0))),
        ratio("ducked", f"agent ducked by its own echo {note}", [r["ducked"] for r in rows],
              scale=scale),
    ]  # fmt: skip
