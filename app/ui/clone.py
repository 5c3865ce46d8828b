"""The tab for cloning: a few seconds of a voice, a text, and the text in that voice."""

import gradio as gr
import numpy as np

from app.hub import Engines
from data.audio import SAMPLE_RATE, resample
from data.errors import RepError

_MAX_TEXT = 1000
_MAX_SAMPLE_S = 60


def clone_tab(engines: Engines) -> None:
    """Puts the widgets on the page."""
    gr.Markdown(
        "Give a few seconds of one person speaking, clearly and without music. "
        "Use a voice only with the consent of the person whose voice it is."
    )
    with gr.Row():
        sample = gr.Audio(label="Voice sample", sources=["upload", "microphone"], type="numpy")
        with gr.Column():
            text = gr.Textbox(
                label="Text", lines=3, max_length=_MAX_TEXT, value="Hello, this is how I sound now."
            )
            consent = gr.Checkbox(label="I may use this voice")
            button = gr.Button("Speak", variant="primary")
    result = gr.Audio(label="Result", type="numpy", interactive=False)

    def speak(
        recording: tuple[int, np.ndarray] | None, words: str, allowed: bool
    ) -> tuple[int, np.ndarray]:
        try:
            return SAMPLE_RATE, clone_and_speak(engines, recording, words, allowed)
        except RepError as error:
            raise gr.Error(str(error), print_exception=False) from None

    button.click(speak, [sample, text, consent], result, concurrency_limit=1)


def clone_and_speak(
    engines: Engines, recording: tuple[int, np.ndarray] | None, text: str, consent: bool
) -> np.ndarray:
    """The text in the voice of a recording (rate, samples as Gradio gives them); [T] int16.

    Raises:
        InputError: no recording or consent, a bad one, or nothing to speak.
    """
    from data.errors import InputError

    if recording is None:
        raise InputError("there is no voice sample; upload or record one")
    if not consent:
        raise InputError("tick the box: a voice may be used only with its owner's consent")
    if not text.strip():
        raise InputError("there is no text; write what is to be spoken")
    rate, samples = recording
    sound = np.asarray(samples, np.float32)
    if np.issubdtype(np.asarray(samples).dtype, np.integer):
        sound = sound / np.iinfo(samples.dtype).max
    if sound.ndim == 2:
        sound = sound.mean(axis=1)
    speaker = engines.speaker
    voice = speaker.clone(resample(sound[: rate * _MAX_SAMPLE_S], rate, SAMPLE_RATE))
    chunks = list(speaker.speak(speaker.open_dialogue(), text[:_MAX_TEXT], voice))
    return (np.clip(np.concatenate(chunks), -1, 1) * 32767).astype(np.int16)
