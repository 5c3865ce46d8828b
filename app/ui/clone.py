"""The tab for cloning: a few seconds of a voice, a text, and the text in that voice."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from app.hub import Engines
from app.voice_sample import VoiceSample, clean_sample, similarity
from data.audio import SAMPLE_RATE, resample
from data.errors import InputError, RepError

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
_MAX_SAMPLE_S = 60


@dataclass
class Cloned:
    """A voice that was tried: its sample, and the text by each speech model, `[T]` float32."""

    voice: Any
    sample: VoiceSample
    spoken: dict[str, np.ndarray]

    @property
    def verdict(self) -> str:
        """The sample's quality and each model's likeness to it, in words."""
        likeness = ", ".join(
            f"{name} {similarity(self.sample.samples, made):.2f}"
            for name, made in self.spoken.items()
        )
        return f"Sample: {self.sample.verdict}. Similarity to it (1 is the same): {likeness}."


def clone_tab(engines: Engines) -> None:
    """Puts the widgets on the page."""
    gr.Markdown(
        "Give 5 to 15 seconds of one person speaking, clearly and without music. "
        "Use a voice only with the consent of the person whose voice it is."
    )
    tried = gr.State(None)
    with gr.Row():
        sample = gr.Audio(label="Voice sample", sources=["upload", "microphone"], type="numpy")
        with gr.Column():
            text = gr.Dropdown(
                list(TEXTS),
                value=TEXTS[0],
                label="Text (choose, or write your own)",
                allow_custom_value=True,
            )
            consent = gr.Checkbox(label="I may use this voice")
            button = gr.Button("Speak", variant="primary")
    verdict = gr.Markdown()
    with gr.Row():
        cleaned = gr.Audio(label="Cleaned sample", type="numpy", interactive=False)
        picture = gr.Image(label="Its spectrogram", interactive=False, height=200)
    with gr.Row():
        results = [
            gr.Audio(label=f"Result: {name}", type="numpy", interactive=False)
            for name in engines.speaker.predictors
        ]
    with gr.Row():
        name = gr.Textbox(label="Name", max_lines=1, max_length=40, placeholder="anna")
        words = gr.Textbox(
            label="Whose voice it is, and who allows its use", max_lines=2, max_length=1000
        )
        keep = gr.Button("Keep this voice")
    kept = gr.Markdown()

    def speak(
        recording: tuple[int, np.ndarray] | None, said: str, allowed: bool
    ) -> tuple[Any, ...]:
        try:
            made = clone_and_speak(engines, recording, said, allowed)
        except RepError as error:
            raise gr.Error(str(error), print_exception=False) from None
        sounds = [(SAMPLE_RATE, _int16(one)) for one in made.spoken.values()]
        shown = (SAMPLE_RATE, _int16(made.sample.samples))
        return made, made.verdict, shown, spectrogram(made.sample.samples), *sounds

    def remember(made: Cloned | None, called: str, allowed: str) -> str:
        try:
            return keep_voice(engines, made, called.strip(), allowed)
        except RepError as error:
            raise gr.Error(str(error), print_exception=False) from None

    outputs = [tried, verdict, cleaned, picture, *results]
    button.click(speak, [sample, text, consent], outputs, concurrency_limit=1)
    keep.click(remember, [tried, name, words], kept, concurrency_limit=1)


def clone_and_speak(
    engines: Engines, recording: tuple[int, np.ndarray] | None, text: str, consent: bool
) -> Cloned:
    """The text in the voice of a recording (rate, samples as Gradio gives them).

    Raises:
        InputError: no recording or consent, a bad one, or nothing to speak.
    """
    if recording is None:
        raise InputError("there is no voice sample; upload or record one")
    if not consent:
        raise InputError("tick the box: a voice may be used only with its owner's consent")
    if not text or not text.strip():
        raise InputError("there is no text; write what is to be spoken")
    rate, samples = recording
    sound = np.asarray(samples, np.float32)
    if np.issubdtype(np.asarray(samples).dtype, np.integer):
        sound = sound / np.iinfo(samples.dtype).max
    if sound.ndim == 2:
        sound = sound.mean(axis=1)
    sample = clean_sample([resample(sound[: rate * _MAX_SAMPLE_S], rate, SAMPLE_RATE)])
    speaker = engines.speaker
    voice = speaker.clone(sample.samples)
    spoken = {}
    for name in speaker.predictors:
        chunks = list(speaker.speak(speaker.open_dialogue(name), text[:_MAX_TEXT], voice))
        spoken[name] = np.concatenate(chunks)
    return Cloned(voice, sample, spoken)


def keep_voice(engines: Engines, made: Cloned | None, name: str, consent: str) -> str:
    """Keeps a voice that was tried.

    Raises:
        InputError: nothing was tried, the name is taken or no name, or there is no consent.
    """
    if made is None:
        raise InputError("there is no voice yet; give a sample and press Speak first")
    engines.keep_voice(made.voice, made.sample, name, consent)
    return f"Kept as **{name}**. It can be chosen in Talk after the page is loaded again."


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """A picture of samples `[T]`: `[height, width]` uint8, low frequencies at the bottom."""
    size, hop = 1024, max(240, len(samples) // 900)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, size // 2), size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1))[:, : size // 3]
    level = 20 * np.log10(power + 1e-5)
    scaled = (level - level.max() + 70) / 70
    return (255 * np.clip(scaled, 0, 1)).astype(np.uint8).T[::-1]


def _int16(samples: np.ndarray) -> np.ndarray:
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)
