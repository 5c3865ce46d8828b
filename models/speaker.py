"""The face of the folder: a voice, a dialogue and a text to a stream of samples."""

import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.errors import InputError, MissingModelError
from kernels.int8_linear import with_int8_linears
from kernels.packed_linear import with_packed_layers
from models.checkpoint import WEIGHTS, load_model
from models.delivery.lexicon import Lexicon
from models.device import parse_device
from models.dialogue_memory import DialogueMemory
from models.dialogue_state import AGENT, MAX_HEARD_SECONDS, DialogueState, end_of_turn
from models.engine.engine import Engine
from models.mel import SAMPLE_RATE
from models.predictors.alignment import align_units
from models.predictors.dialogue_model import DialogueModel
from models.predictors.frames import FrameKind
from models.predictors.table import load_predictors
from models.predictors.units import Units, neighbours, units_of_text
from models.reply import Reply, speakable
from models.speak_options import SpeakOptions
from models.text import normalise
from models.text.cutting import text_heard_until
from models.text.symbols import check_symbols
from models.tokenizers.fsq import with_folded_codes
from models.tokenizers.semantic import SemanticTokenizer, load_tokenizer
from models.turn_encoder import TurnEncoder, checked_samples
from models.vocoder.acoustic_decoder import AcousticDecoder, load_acoustic_decoder
from models.vocoder.codec import load_codec
from models.vocoder.decoder import Decoder, decode_whole
from models.vocoder.encodec import EncodecDecoder, EncodecLatents
from models.vocoder.posterior import Posterior
from models.vocoder.prior import Prior, PriorConfig
from models.vocoder.renderers import LatentFrames, Renderer
from models.vocoder.style import StyleEncoder, load_style
from models.vocoder.synthesis import Synthesis, check_delivery
from models.voice import Prompt, Voice, load_voices

MIN_CLONE_SECONDS = 1.0
MAX_CLONE_SECONDS = 20
_SILENCE_RMS = 1e-3


class Speaker:
    """All models, loaded once; serves many dialogues, each from one thread at a time.

    24 kHz mono in and out; replies stream in whole frames of 40 ms. `predictors` are the names of
    those that are there; the first speaks where none is asked for. `lexicon` says how words are
    pronounced in all replies.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        tokenizer: SemanticTokenizer,
        style: StyleEncoder,
        posterior: Posterior | EncodecLatents,
        prior: Prior | None,
        decoder: Decoder | EncodecDecoder,
        talkers: list[DialogueModel],
        voices: dict[str, Voice],
        device: torch.device,
        acoustic_decoder: AcousticDecoder | None = None,
    ) -> None:
        assert acoustic_decoder or all(talker.frames != "acoustic" for talker in talkers)
        self.tokenizer = tokenizer.to(device)
        self.style = style.to(device)
        self.posterior = posterior.to(device)
        self.prior = prior and prior.to(device)
        self.decoder = decoder.to(device)
        self.acoustic_decoder = acoustic_decoder and acoustic_decoder.to(device)
        self.encoder = TurnEncoder(tokenizer, style, posterior, acoustic_decoder, device)
        self._talkers = {talker.name: talker.to(device) for talker in talkers}
        self.predictors = tuple(self._talkers)
        self.voices = voices
        self.lexicon = Lexicon()
        self.device = device
        self.engine = Engine(None if device.type == "cpu" else 1)
        weakref.finalize(self, self.engine.close)
        self._memory = DialogueMemory(self.encoder, self.engine, device)

    @classmethod
    def load(
        cls, weights: Path | None = None, device: str = "cpu", predictor: str | None = None
    ) -> "Speaker":
        """Loads the models of a folder, by default the bundled ones.

        On the CPU the program then uses one thread an operation: the engine's threads run side by
        side, which is faster than several threads in each. Predictors step with weights of 8 bits
        there (`kernels.int8_linear`), all else has packed ones (`kernels.packed_linear`).

        Args:
            weights: the folder.
            device: where the models run.
            predictor: the only one to load. None: all that are there.

        Raises:
            InputError: the device is not there.
            MissingModelError: a model is not in the folder.
        """
        folder, where = WEIGHTS if weights is None else Path(weights), parse_device(device)
        talkers = load_predictors(folder, predictor)
        kinds = {talker.frames for talker in talkers}
        posterior, decoder = load_codec(folder)
        prior = acoustic_decoder = None
        if "semantic" in kinds or (folder / "prior.safetensors").is_file():
            prior = load_model(folder, "prior", Prior, PriorConfig)
        if "acoustic" in kinds:
            acoustic_decoder = load_acoustic_decoder(folder)
        for model in (prior, *talkers):
            if model is not None:
                with_folded_codes(model)
        if where.type == "cpu":
            torch.set_num_threads(1)
            for talker in talkers:
                with_int8_linears(talker)
            for model in (prior, acoustic_decoder, decoder):
                if model is not None and not isinstance(model, EncodecDecoder):
                    with_packed_layers(model)
        analysis = (load_tokenizer(folder), load_style(folder), posterior)
        parts = (prior, decoder, talkers, load_voices(folder), where, acoustic_decoder)
        return cls(*analysis, *parts)

    def clone(self, samples: np.ndarray, name: str = "cloned") -> Voice:
        """The voice of samples `[T]`, float32 at 24 kHz.

        Raises:
            InputError: they are too short, silent or not finite.
        """
        checked = checked_samples(samples)
        seconds = len(checked) / SAMPLE_RATE
        if seconds < MIN_CLONE_SECONDS:
            raise InputError(
                f"the voice sample is {seconds:.2f} s long; give at least "
                f"{MIN_CLONE_SECONDS:.0f} s, better 5 s, of one person speaking"
            )
        if np.sqrt(np.square(checked).mean()) < _SILENCE_RMS:
            raise InputError("the voice sample is silent; give a recording of one person speaking")
        style = self.encoder.style_of(checked[: MAX_CLONE_SECONDS * SAMPLE_RATE])
        return Voice(name, f"cloned from {seconds:.1f} s", style, Prompt("", checked))

    def open_dialogue(
        self, predictor: str | None = None, unwanted: Callable[[], bool] = lambda: False
    ) -> DialogueState:
        """A dialogue in which nothing has been said.

        Args:
            predictor: who speaks; None for the first.
            unwanted: whether everybody has left: turns then stop entering its history, and what
                makes them enter raises UnwantedError.

        Raises:
            InputError: there is no such predictor.
        """
        name = self.predictors[0] if predictor is None else predictor
        if name not in self._talkers:
            raise InputError(
                f"the predictor {name!r} is not there; there are: {', '.join(self.predictors)}"
            )
        model = self._talkers[name]
        return DialogueState(model, model.init_state(self.device), unwanted=unwanted)

    def hear(
        self, dialogue: DialogueState, who: int, text: str, samples: np.ndarray | None
    ) -> None:
        """A turn enters the history.

        Args:
            dialogue: which; a reply that was started and not committed is dropped.
            who: 0 the user, 1 the agent.
            text: what was said; empty if it is not known.
            samples: `[T]` at 24 kHz, or None for a typed turn. Of more than 30 s the end is heard,
                and so it is of a text longer than `MAX_TURN`.

        Raises:
            InputError: neither text nor sound, or samples that are not finite.
            UnwantedError: everybody has left the dialogue.
        """
        if who not in (0, 1):
            raise InputError(f"the speaker is {who!r}; it must be 0 (the user) or 1 (the agent)")
        sound = None if samples is None or len(samples) == 0 else checked_samples(samples)
        turn = end_of_turn(who, text, sound)
        if sound is None and not normalise(turn.text, None):
            raise InputError("a turn needs text or sound; this one has neither")
        self.drop_reply(dialogue)
        self._memory.add(dialogue, turn)

    def speak(
        self,
        dialogue: DialogueState,
        text: str | Iterable[str],
        voice: Voice,
        options: SpeakOptions | None = None,
    ) -> Reply:
        """Begins to speak `text` as the agent's next turn and returns at once.

        Args:
            dialogue: which; it holds the turn only after `Reply.commit`.
            text: whole, or pieces in the order in which they are written. Controls in it
                (`models.delivery.controls`) are followed; a wrong one in pieces is left out.
            voice: one of `voices`, or a clone.
            options: how.

        Raises:
            InputError: there is nothing in `text` that can be spoken, or it is longer than
                `MAX_SPOKEN` (at once when it is a string, from the iteration when it comes in
                pieces), or `check_delivery`.
        """
        options = options or SpeakOptions()
        if isinstance(text, str):
            text = speakable(text, options.delivery, dialogue.model.config.languages)
        check_delivery(self.decoder, options.delivery)
        self.drop_reply(dialogue)
        self._memory.prepare(dialogue, voice.prompt)
        reply = Reply(self, dialogue, text, voice, options)
        dialogue.open_reply, dialogue.before_reply = weakref.ref(reply.work), reply.work.mark
        reply.work.start()
        return reply

    @torch.inference_mode()
    def listen(self, samples: np.ndarray) -> Tensor:
        """What is heard in samples `[T]` before anything is quantised, `[ceil(T / 960), dim]` at
        25 Hz; of more than 30 s the end.

        Raises:
            InputError: the samples are not finite, or not one channel.
        """
        checked = checked_samples(samples[-MAX_HEARD_SECONDS * SAMPLE_RATE :])
        return self.tokenizer.continuous_features(self.encoder.tensor(checked))[0]

    def reconstruct(self, samples: np.ndarray) -> np.ndarray:
        """Samples `[T]` through posterior and decoder, `[T]`."""
        checked = checked_samples(samples)
        with torch.inference_mode():
            latents = self.posterior.encode(self.encoder.tensor(checked))
            made = decode_whole(self.decoder, latents, self.encoder.style_of(checked)[None])
        return made[0, : len(checked)].cpu().numpy()

    @torch.inference_mode()
    def revoice(self, samples: np.ndarray, text: str, voice: Voice) -> np.ndarray:
        """What samples `[T]` say, in another voice, `[T]`: their codes keep words, timing and
        manner, `voice` says whose sound it is.

        Args:
            samples: float32 at 24 kHz.
            text: what they say; empty if it is not known.
            voice: the other voice.

        Raises:
            InputError: the samples are not finite, or not one channel.
        """
        checked = checked_samples(samples)
        units = units_of_text(normalise(text, None), None)
        codes = self.tokenizer.encode(self.encoder.tensor(checked))
        return self.decode(codes[0], units, voice).numpy()[: len(checked)]

    @torch.inference_mode()
    def decode(self, codes: Tensor, units: Units, voice: Voice) -> Tensor:
        """Codes `[T]` that say `units`, in `voice`: samples `[960 T]`."""
        pointer = align_units(self.tokenizer.inspect(codes[None])[0][0], units)
        phones = neighbours(torch.tensor(units.symbols), pointer)
        stream = self.stream(voice, SpeakOptions())
        return stream.push(codes, phones, last=True).cpu()

    def drop_reply(self, dialogue: DialogueState) -> None:
        """Ends a reply that nobody committed and takes it out of the cache."""
        self._memory.drop_reply(dialogue)

    def commit(self, dialogue: DialogueState, reply: Reply, played_s: float | None) -> None:
        """Called by `Reply.commit`."""
        samples = reply.samples()
        if played_s is None and reply.complete:
            dialogue.model.end_turn(dialogue.predictor)
            dialogue.turns.append(end_of_turn(AGENT, reply.text, samples))
        else:
            heard_s = reply.duration_s if played_s is None else played_s
            text = text_heard_until(reply.text, reply.words, heard_s)
            cut = samples[: max(0, round(heard_s * SAMPLE_RATE))]
            self._memory.return_to(dialogue, reply.work.mark)
            if text and len(cut) >= SAMPLE_RATE // 25:
                self._memory.add(dialogue, end_of_turn(AGENT, text, cut))
        dialogue.open_reply = dialogue.before_reply = None

    def stream(
        self, voice: Voice, options: SpeakOptions, model: DialogueModel | None = None
    ) -> Synthesis:
        """A stream of speech in `voice`, of what `model` says (None: of semantic codes).

        Raises:
            MissingModelError: semantic codes want a prior, and the folder has none.
        """
        style = voice.style.to(self.device)
        frames = "semantic" if model is None else model.frames
        drawing = (options.latent_temperature, options.guidance)
        return Synthesis(self._renderer(frames), self.decoder, style, options.delivery, *drawing)

    def check_text(self, units: Units, model: DialogueModel) -> None:
        """Refuses a text that one of the models that `model` speaks with cannot read.

        Raises:
            InputError: it needs a symbol beyond that model's inventory.
        """
        known = {"the semantic tokenizer": self.tokenizer.config, model.name: model.config}
        read = {name: config.symbols for name, config in known.items()}
        renderer = self._renderer(model.frames)
        if renderer.inventory is not None:
            read[renderer.title] = renderer.inventory
        for name, symbols in read.items():
            check_symbols(units.symbols, len(symbols), name)

    def _renderer(self, frames: FrameKind) -> Renderer:
        """What makes latents of frames.

        Raises:
            MissingModelError: semantic codes want a prior, and the folder has none.
        """
        if frames == "latent":
            return LatentFrames()
        made = self.prior if frames == "semantic" else self.acoustic_decoder
        if made is None:
            raise MissingModelError(
                "the folder of weights has no prior, which makes sound of semantic codes; make it "
                "with: python3 launch.py train prior --data DIR --out WEIGHTS"
            )
        return made
