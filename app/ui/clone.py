"""The cloning tab: clone a voice from a sample, compare the models, and save the voice."""

import contextlib
import html
from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from app.cloning import keep_voice, speak_by_each, spectrogram, try_clone
from app.hub import Engines
from app.spoken_consent import SENTENCES
from app.voice_sample import similarity
from data.audio import SAMPLE_RATE
from data.audio.pcm import to_int16
from data.errors import RepError
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
_ON_LOAD = """
import('/repartee/listen.js')
  .then((listen) => listen.mount(element))
  .catch((error) => { element.textContent = String(error); });
"""


def clone_tab(engines: Engines) -> None:
    """Adds the tab's widgets."""
    do = Callbacks(engines)
    tried = gr.State(None)  # only its name, since Gradio keeps the state of visitors who have left
    sample, consent, button, verdict = _sample_widgets()
    with gr.Row():
        cleaned = gr.Audio(label="Cleaned sample", type="numpy", interactive=False)
        picture = gr.Image(label="Spectrogram", interactive=False, height=200)
    said = gr.Textbox(
        label="Transcript of the sample (correct any errors)",
        max_lines=3,
        max_length=2000,
    )
    text = gr.Dropdown(
        list(TEXTS),
        value=TEXTS[0],
        label="Text (choose one or write your own)",
        allow_custom_value=True,
    )
    listen = gr.HTML("", js_on_load=_ON_LOAD, apply_default_css=False, elem_id="listen")
    compare = gr.Button("Compare all models by their similarity to the sample")
    with gr.Row():
        results = [
            gr.Audio(label=f"Result: {name}", type="numpy", interactive=False)
            for name in engines.speaker.predictors
        ]
    likeness = gr.Markdown()
    name, words, spoken, keep, discard = _keeping_widgets()
    kept = gr.Markdown()

    outputs = [tried, verdict, cleaned, picture, listen, said, likeness, *results]
    cloned = button.click(do.clone, [sample, consent, text], outputs, concurrency_limit=1)
    cloned.success(do.recognise, tried, said, concurrency_limit=1)
    discard.click(do.forget, None, outputs)
    text.change(do.offer, [tried, text], listen)
    compare.click(
        do.speak, [tried, text], [likeness, *results], concurrency_limit=1, api_name="compare"
    )
    keep.click(do.keep, [tried, name, words, said, spoken], kept, concurrency_limit=1)


def _sample_widgets() -> tuple[gr.Audio, gr.Checkbox, gr.Button, gr.Markdown]:
    """The sample, the consent, the clone button, and the assessment of the sample."""
    gr.Markdown(
        "# Clone a voice\n"
        "Give 5 to 15 seconds of one person speaking clearly, without music. "
        "Only use a voice with that person's consent."
    )
    with gr.Row():
        sample = gr.Audio(label="Voice sample", sources=["upload", "microphone"], type="filepath")
        with gr.Column():
            consent = gr.Checkbox(label="I may use this voice")
            button = gr.Button("Clone", variant="primary")
            verdict = gr.Markdown()
    return sample, consent, button, verdict


def _keeping_widgets() -> tuple[gr.Textbox, gr.Textbox, gr.Audio, gr.Button, gr.Button]:
    """Name, written and spoken consent, and the buttons to keep or discard the voice."""
    with gr.Row():
        name = gr.Textbox(label="Name", max_lines=1, max_length=40, placeholder="anna")
        words = gr.Textbox(
            label="Consent: whose voice it is, and who allows its use", max_lines=2, max_length=1000
        )
        with gr.Column():
            keep = gr.Button("Keep this voice")
            discard = gr.Button("Discard it")
    gr.Markdown(f'Optionally, that person records: "{SENTENCES["en"]}" ({SENTENCES["zh"]})')
    spoken = gr.Audio(
        label="Spoken consent, checked against the sample (optional)",
        sources=["microphone", "upload"],
        type="filepath",
    )
    return name, words, spoken, keep, discard


class Callbacks:
    """The callbacks; `clone_tab` wires their results to widgets."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._num_results = len(engines.speaker.predictors)

    def clone(self, recording: str | None, allowed: bool, text: str) -> tuple[Any, ...]:
        with _page_errors():
            tried = try_clone(self._engines, recording, allowed)
            made = self._engines.voices.tried(tried)
        shown = (SAMPLE_RATE, to_int16(made.sample.samples))
        verdict = f"Sample: {made.sample.verdict}."
        picture = spectrogram(made.sample.samples)
        cleared = "", "", *[None] * self._num_results
        return tried, verdict, shown, picture, self.offer(tried, text), *cleared

    def recognise(self, tried: str) -> str:
        with _page_errors():
            sample = self._engines.voices.tried(tried).sample
            return transcribe(self._engines.recognizer, sample.samples)

    def forget(self) -> tuple[Any, ...]:
        return None, "", None, None, "", "", "", *[None] * self._num_results

    def offer(self, tried: str | None, text: str) -> str:
        """One button per predictor; `listen.js` streams the text with it."""
        if tried is None:
            return ""
        attributes = f'data-voice="{html.escape(tried)}" data-text="{html.escape(text or "")}"'
        buttons = "".join(
            f'<button type="button" data-model="{name}" {attributes}>Hear {name}</button>'
            for name in self._engines.speaker.predictors
        )
        return f'<div class="rp-listen">{buttons}<span role="status"></span></div>'

    def speak(self, tried: str | None, text: str) -> Iterator[tuple[Any, ...]]:
        spoken: dict[str, np.ndarray] = {}
        with _page_errors():
            sample = self._engines.voices.tried(tried).sample
            # In steps, between which Gradio notices if the visitor has left.
            for spoken in speak_by_each(self._engines, tried, text):
                seconds = sum(map(len, spoken.values())) / SAMPLE_RATE
                yield f"{seconds:.1f} s synthesised ...", *[gr.skip()] * self._num_results
        likeness = ", ".join(
            f"{name} {similarity(sample.samples, sound):.2f}" for name, sound in spoken.items()
        )
        sounds = [(SAMPLE_RATE, to_int16(one)) for one in spoken.values()]
        yield f"Similarity to the sample (1 is the same): {likeness}.", *sounds

    def keep(
        self,
        tried: str | None,
        called: str,
        allowed: str,
        transcript: str,
        spoken: str | None = None,
    ) -> str:
        with _page_errors():
            return keep_voice(self._engines, tried, called.strip(), allowed, transcript, spoken)


@contextlib.contextmanager
def _page_errors() -> Iterator[None]:
    """Shows a RepError on the page."""
    try:
        yield
    except RepError as error:
        # Gradio renders errors as HTML.
        raise gr.Error(html.escape(str(error)), print_exception=False) from None
