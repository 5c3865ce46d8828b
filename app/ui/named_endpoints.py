"""Endpoints for `gradio_client`: `/speak` and `/chat`."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from app.hub import Engines
from app.multi_voice_reply import Line, lines_in, speak_lines
from app.replies import ChatMessage
from data.audio import SAMPLE_RATE, write_audio
from data.errors import InputError
from data.limits import MAX_SPOKEN, MAX_TYPED, limited_text
from models.delivery.instructions import understand
from models.speak_options import SpeakOptions

USER, AGENT = 0, 1
_MAX_TURNS = 64


def add_named_endpoints(engines: Engines) -> None:
    """Adds `/speak` and `/chat` to the current Gradio Blocks."""

    def speak(text: str, voice: str = "", instructions: str = "", seed: int = -1) -> str:
        """Synthesises a text with optional control tags; returns a WAV file.

        Args:
            text: the text.
            voice: name of a voice; empty for the first.
            instructions: the style, for example "cheerful, a little slower".
            seed: random seed; -1 for a random one.
        """
        return _with_page_errors(lambda: _spoken(engines, text, voice, instructions, seed))

    def chat(
        text: str, history: list[list[str]] | None = None, voice: str = ""
    ) -> tuple[str, str, list[list[str]]]:
        """Answers a typed turn; returns the answer's text, a WAV file, and the updated history.

        Args:
            text: the user's turn.
            history: [["user", "..."], ["agent", "..."], ...] from the last call.
            voice: name of a voice; empty for the first.
        """
        return _with_page_errors(lambda: _answered(engines, text, history or [], voice))

    # Invisible components that define the types of inputs and outputs.
    with gr.Row(visible=False):
        text, voice = gr.Textbox(label="text"), gr.Textbox(label="voice", value="")
        instructions = gr.Textbox(label="instructions", value="")
        seed, history = gr.Number(-1, label="seed", precision=0), gr.JSON([], label="history")
        answer, sound = gr.Textbox(label="answer"), gr.Audio(label="sound", type="filepath")
        given, one, two = [text, voice, instructions, seed], gr.Button(), gr.Button()
        one.click(speak, given, sound, api_name="speak", concurrency_limit=2)
        said = [answer, sound, history]
        two.click(chat, [text, history, voice], said, api_name="chat", concurrency_limit=2)


def _with_page_errors(work: Any) -> Any:
    try:
        return work()
    except InputError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _spoken(engines: Engines, text: str, voice: str, instructions: str, seed: int) -> str:
    speaker = engines.speaker
    who = engines.voices.find(voice)
    given = limited_text(text, MAX_SPOKEN)
    options = SpeakOptions(seed=None if seed < 0 else seed)
    options = options.delivered(understand(instructions).delivery)
    lines = lines_in(given, who, engines.voices.find) or [Line(who, given)]
    consents = "; ".join(dict.fromkeys(one.voice.consent for one in lines if one.voice.consent))
    reply = speak_lines(speaker, speaker.open_dialogue, lines, options)
    return _written(reply, engines.mark(consents))


def _answered(
    engines: Engines, text: str, history: Sequence[Sequence[str]], voice: str
) -> tuple[str, str, list[list[str]]]:
    turns = [*_turns(history), ChatMessage(USER, limited_text(text, MAX_TYPED))]
    responder = next(iter(engines.responders.values()))
    answer = "".join(responder.reply(turns)).strip()
    speaker = engines.speaker
    who = engines.voices.find(voice)
    dialogue = speaker.open_dialogue()
    for turn in turns:
        speaker.add_turn(dialogue, turn.who, turn.text, None)
    reply = speaker.speak(dialogue, answer, who, SpeakOptions())
    path = _written(reply, engines.mark(who.consent))
    said = [["agent" if turn.who else "user", turn.text] for turn in turns]
    return answer, path, [*said, ["agent", answer]]


def _turns(history: Sequence[Sequence[str]]) -> list[ChatMessage]:
    if len(history) > _MAX_TURNS:
        raise InputError(f"the history has {len(history)} turns; the maximum is {_MAX_TURNS}")
    turns = []
    for turn in history:
        if len(turn) != 2 or turn[0] not in ("user", "agent"):
            raise InputError(f'a turn is {turn!r:.60}; it must be ["user" or "agent", text]')
        turns.append(
            ChatMessage(AGENT if turn[0] == "agent" else USER, limited_text(turn[1], MAX_SPOKEN))
        )
    return turns


def _written(reply: Any, mark: str) -> str:
    """Writes the reply to a file in Gradio's cache, which Gradio cleans up."""
    for _ in reply:
        pass
    path = Path(get_upload_folder()) / f"speech-{uuid.uuid4().hex}.wav"
    write_audio(path, reply.samples(), SAMPLE_RATE, mark)
    return str(path)
