"""Adds turns to a dialogue: to its history and to the predictor's KV cache."""

import time

import torch

from data.limits import MAX_PAST_TURNS
from models.dialogue_state import AGENT, ContextTurn, DialogueState, Mark
from models.engine.engine import Engine
from models.engine.slot import START_S
from models.mel import SAMPLE_RATE
from models.predictors.sequence import Segment
from models.turn_encoder import TurnEncoder
from models.voice import Prompt

MAX_PROMPT_SECONDS = 8


class DialogueMemory:
    """Fills the KV caches of dialogues; the engine's threads do the work.

    Args:
        encoder: builds segments of turns.
        engine: the device's engine.
        device: device of the caches.
    """

    def __init__(self, encoder: TurnEncoder, engine: Engine, device: torch.device) -> None:
        self._encoder, self._engine, self._device = encoder, engine, device

    def add(self, dialogue: DialogueState, turn: ContextTurn) -> None:
        """Adds a turn to cache and history.

        Raises:
            AbandonedError: every client has left the dialogue.
        """
        dialogue.before_turn = dialogue.mark()
        self._enter(dialogue, turn)
        dialogue.turns.append(turn)

    def take_back(self, dialogue: DialogueState) -> None:
        """Removes the turn added last from cache and history."""
        assert dialogue.before_turn is not None
        dialogue.turns.pop()
        self.return_to(dialogue, dialogue.before_turn)
        dialogue.before_turn = None

    def prepare(self, dialogue: DialogueState, prompt: Prompt | None) -> None:
        """Prepares the cache for a reply by a voice with this prompt, if it has one."""
        prompt = prompt if dialogue.model.prompted else None
        if dialogue.prompt is not prompt or dialogue.model.config.order == "AABB":
            self._lead(dialogue, prompt)

    def return_to(self, dialogue: DialogueState, mark: Mark) -> None:
        """Returns the cache to `mark`; rebuilds it if a long reply has evicted turns since."""
        if not dialogue.return_to(mark):
            self._lead(dialogue, dialogue.prompt)

    def drop_reply(self, dialogue: DialogueState) -> None:
        """Ends an uncommitted reply and removes it from the cache."""
        work = dialogue.open_reply and dialogue.open_reply()
        if work is not None:
            work.stop()
        if dialogue.before_reply is not None:
            self.return_to(dialogue, dialogue.before_reply)
        dialogue.open_reply = dialogue.before_reply = None

    def _lead(self, dialogue: DialogueState, prompt: Prompt | None) -> None:
        """Rebuilds the predictor's cache, with the voice's prompt first."""
        dialogue.predictor = dialogue.model.init_state(self._device)
        dialogue.prompt, dialogue.before_turn = prompt, None
        turns = list(dialogue.turns)
        if prompt is not None:
            # The text would be longer than truncated audio.
            sound = prompt.samples[: MAX_PROMPT_SECONDS * SAMPLE_RATE]
            text = prompt.text if len(sound) == len(prompt.samples) else ""
            turns.insert(0, ContextTurn(AGENT, text, sound))
        if dialogue.model.config.order == "AABB":
            self._enter_past(dialogue, turns)
            return
        for turn in turns:
            self._enter(dialogue, turn)

    def _enter_past(self, dialogue: DialogueState, turns: list[ContextTurn]) -> None:
        """Prefills the last turns that fit the window at once: in the order AABB a new turn shifts
        the audio of earlier ones, so their cache is invalid."""
        model = dialogue.model

        def enter() -> None:
            past: list[Segment] = []
            for turn in reversed(turns[-MAX_PAST_TURNS:]):
                dialogue.check()
                segments = self._encoder.last_segments(model, turn)
                if sum(s.num_positions for s in segments + past) > model.config.max_positions:
                    break
                past = segments + past
            if past:
                model.prefill(dialogue.predictor, past, all_past=True, check=dialogue.check)
                model.end_turn(dialogue.predictor)

        self._engine.call(enter, time.perf_counter() + START_S, dialogue.abandoned)

    def _enter(self, dialogue: DialogueState, turn: ContextTurn) -> None:
        model = dialogue.model
        if model.config.order == "AABB":
            return  # prefilled with all others before the answer

        def enter() -> None:
            dialogue.check()
            segments = self._encoder.last_segments(model, turn)
            model.prefill(dialogue.predictor, segments, check=dialogue.check)
            model.end_turn(dialogue.predictor)

        self._engine.call(enter, time.perf_counter() + START_S, dialogue.abandoned)
