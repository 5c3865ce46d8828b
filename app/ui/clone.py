"""The tab for cloning: a few seconds of a voice, a text, and the text in that voice."""

import contextlib
import html
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app.hub import Engines
from app.voice_sample import VoiceSample, clean_sample, similarity
from data.audio import SAMPLE_RATE
from data.audio.pcm import to_int16
from data.errors import InputError, RepError
from data.limits import limited_text
from data.recognition.recognizer import transcribe

TEXTS = (
    "Hello, this is how I sound now.",
    "The train to the coast leaves at half past nine.",
    "I would love to hear more about your brother's garden.",
    "Are you sure that nobody has seen the grey cat?",
    "It rained all morning, and then the sun came out.",
    "Please put the two letters on the kitchen table.",
    "What a wonderful idea! Let us begin at once.",
    "I am sorry, that must have been a hard day.",
    "Seven people came to dinner, and five of them stayed.",
    "My sister plays the piano better than anyone I know.",
    "Where did you learn to cook like this?",
    "Good night, and thank you for the lovely evening.",
)
_MAX_TEXT = 1000
_SHOW_S = 0.3
_MAX_SAMPLE_S = 60


_ON_LOAD = """
import('/repartee/listen.js')
  .then((listen) => listen.mount(element))
  .catch((error) => { element.textContent = String(error); });
"""


@dataclass
class Cloned:
    """A voice that is tried: its sample, and the name under which it can be heard."""

    voice: Any
    sample: VoiceSample
    name: str


def clone_tab(engines: Engines) -> None:
    """Puts the widgets on the page."""
    gr.Markdown(
        "Give 5 to 15 seconds of one person speaking, clearly and without music. "
        "Use a voice only with the consent of the person whose voice it is."
    )
    tried = gr.State(None)
    with gr.Row():
        sample = gr.Audio(label="Voice sample", sources=["upload", "microphone"], type="filepath")
        with gr.Column():
            consent = gr.Checkbox(label="I may use this voice")
            button = gr.Button("Clone", variant="primary")
            verdict = gr.Markdown()
    with gr.Row():
        cleaned = gr.Audio(label="Cleaned sample", type="numpy", interactive=False)
        picture = gr.Image(label="Its spectrogram", interactive=False, height=200)
    said = gr.Textbox(
        label="What is said in the sample, as it was recognised (mend it where it is wrong)",
        max_lines=3,
        max_length=2000,
    )
    text = gr.Dropdown(
        list(TEXTS),
        value=TEXTS[0],
        label="Text (choose, or write your own)",
        allow_custom_value=True,
    )
    listen = gr.HTML("", js_on_load=_ON_LOAD, apply_default_css=False, elem_id="listen")
    compare = gr.Button("Compare: whole, by each model, with its similarity to the sample")
    with gr.Row():
        results = [
            gr.Audio(label=f"Result: {name}", type="numpy", interactive=False)
            for name in engines.speaker.predictors
        ]
    likeness = gr.Markdown()
    with gr.Row():
        name = gr.Textbox(label="Name", max_lines=1, max_length=40, placeholder="anna")
        words = gr.Textbox(
            label="Whose voice it is, and who allows its use", max_lines=2, max_length=1000
        )
        with gr.Column():
            keep = gr.Button("Keep this voice")
            discard = gr.Button("Discard it")
    kept = gr.Markdown()

    def clone(recording: str | None, allowed: bool, text: str) -> tuple[Any, ...]:
        with _told():
            made = try_clone(engines, recording, allowed)
        shown = (SAMPLE_RATE, to_int16(made.sample.samples))
        verdict = f"Sample: {made.sample.verdict}."
        picture = spectrogram(made.sample.samples)
        of_no_other = "", "", *[None] * len(results)
        return made, verdict, shown, picture, _buttons(engines, made, text), *of_no_other

    def recognise(made: Cloned) -> str:
        with _told():
            return transcribe(engines.recognizer, made.sample.samples)

    def forget() -> tuple[Any, ...]:
        return None, "", None, None, "", "", "", *[None] * len(results)

    def speak(made: Cloned | None, text: str) -> Iterator[tuple[Any, ...]]:
        spoken: dict[str, np.ndarray] = {}
        with _told():
            # In steps, between which Gradio notices that the visitor has left.
            for spoken in speak_by_each(engines, made, text):
                seconds = sum(map(len, spoken.values())) / SAMPLE_RATE
                yield f"{seconds:.1f} s are spoken ...", *[gr.skip()] * len(results)
        assert made is not None
        likeness = ", ".join(
            f"{name} {similarity(made.sample.samples, sound):.2f}" for name, sound in spoken.items()
        )
        sounds = [(SAMPLE_RATE, to_int16(one)) for one in spoken.values()]
        yield f"Similarity to the sample (1 is the same): {likeness}.", *sounds

    def remember(made: Cloned | None, called: str, allowed: str, transcript: str) -> str:
        with _told():
            return keep_voice(engines, made, called.strip(), allowed, transcript)

    outputs = [tried, verdict, cleaned, picture, listen, said, likeness, *results]
    cloned = button.click(clone, [sample, consent, text], outputs, concurrency_limit=1)
    cloned.success(recognise, tried, said, concurrency_limit=1)
    discard.click(forget, None, outputs)
    text.change(lambda made, text: _buttons(engines, made, text), [tried, text], listen)
    compare.click(speak, [tried, text], [likeness, *results], concurrency_limit=1)
    keep.click(remember, [tried, name, words, said], kept, concurrency_limit=1)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """An error that the user can mend is shown on the page."""
    try:
        yield
    except RepError as error:
        # Gradio shows an error as HTML.
        raise gr.Error(html.escape(str(error)), print_exception=False) from None


def _buttons(engines: Engines, made: Cloned | None, text: str) -> str:
    """A button for each speech model, which `listen.js` makes speak as the sound is made."""
    if made is None:
        return ""
    told = f'data-voice="{html.escape(made.name)}" data-text="{html.escape(text or "")}"'
    buttons = "".join(
        f'<button type="button" data-model="{name}" {told}>Hear {name}</button>'
        for name in engines.speaker.predictors
    )
    return f'<div class="rp-listen">{buttons}<span role="status"></span></div>'


def try_clone(engines: Engines, recording: str | Path | None, consent: bool) -> Cloned:
    """The voice of an audio file, of which the first minute is heard, to be tried.

    Raises:
        InputError: no recording or consent, or a bad one.
    """
    if recording is None:
        raise InputError("there is no voice sample; upload or record one")
    if not consent:
        raise InputError("tick the box: a voice may be used only with its owner's consent")
    with Path(recording).open("rb") as file:
        samples = engines.uploads.read(file, max_seconds=_MAX_SAMPLE_S, cut=True)
    sample = clean_sample([samples])
    voice = engines.speaker.clone(sample.samples)
    return Cloned(voice, sample, engines.try_voice(voice))


def speak_by_each(
    engines: Engines, made: Cloned | None, text: str
) -> Iterator[dict[str, np.ndarray]]:
    """The text in a tried voice by each speech model, `[T]` float32: what there is of it, several
    times a second, and in the end all. Closing the iterator ends the reply.

    Raises:
        InputError: nothing was tried, or there is nothing to speak.
    """
    if made is None:
        raise InputError("there is no voice yet; give a sample and press Clone first")
    text = limited_text(text or "", _MAX_TEXT)
    speaker, spoken = engines.speaker, {}
    for name in speaker.predictors:
        reply = speaker.speak(speaker.open_dialogue(name), text, made.voice)
        shown = time.monotonic()
        try:
            chunks = []
            for chunk in reply:
                chunks.append(chunk)
                if time.monotonic() - shown > _SHOW_S:
                    shown = time.monotonic()
                    yield {**spoken, name: np.concatenate(chunks)}
        finally:
            reply.cancel()
        spoken[name] = np.concatenate(chunks)
        yield spoken


def keep_voice(
    engines: Engines, made: Cloned | None, name: str, consent: str, transcript: str = ""
) -> str:
    """Keeps a voice that was tried, with what is said in its sample.

    Raises:
        InputError: nothing was tried, the name is taken or no name, or there is no consent.
    """
    if made is None:
        raise InputError("there is no voice yet; give a sample and press Clone first")
    engines.keep_voice(made.voice, made.sample, name, consent, transcript)
    return f"Kept as **{name}**. It can be chosen in Talk after the page is loaded again."


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """A picture of samples `[T]`: `[height, width]` uint8, low frequencies at the bottom."""
    size, hop = 1024, max(240, len(samples) // 900)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, size // 2), size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1))[:, : size // 3]
    level = 20 * np.log10(power + 1e-5)
    scaled = (level - level.max() + 70) / 70
    return (255 * np.clip(scaled, 0, 1)).astype(np.uint8).T[::-1]
