"""The public interface of `models`: turns a dialogue, a text and a voice into streamed speech."""

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
from models.cuda import prepare_talkers
from models.delivery.lexicon import Lexicon
from models.device import parse_device
from models.dialogue_memory import DialogueMemory
from models.dialogue_state import AGENT, MAX_USER_AUDIO_S, DialogueState, truncated_turn
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
_RESTED_S = 0.5


class Speaker:
    """All models, loaded once for many concurrent dialogues; one caller at a time per dialogue.

    Audio is 24 kHz mono in and out; replies stream in whole frames of 40 ms.

    Attributes:
        predictors: names of the loaded predictors; the first is the default.
        voices: the bundled voices by name.
        lexicon: pronunciations for all replies.
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
        self.engine = Engine.on(device)
        weakref.finalize(self, self.engine.close)
        self._memory = DialogueMemory(self.encoder, self.engine, device)

    @classmethod
    def load(
        cls, weights: Path | None = None, device: str = "cpu", predictor: str | None = None
    ) -> "Speaker":
        """Loads the models in a folder.

        On the CPU this sets PyTorch to one thread per operation, for the whole process: several
        engine threads are faster than several threads per operation. Predictors then run with
        8-bit weights (`kernels.int8_linear`), other models with packed ones
        (`kernels.packed_linear`). On a GPU their transformers have bf16 weights where it supports
        them, and CUDA graphs (`models.cuda`); everything else is float32.

        Args:
            weights: the folder; defaults to the bundled weights.
            device: "cpu", "cuda" or "cuda:N".
            predictor: the only one to load; None loads all in the folder.

        Raises:
            InputError: the device does not exist.
            MissingModelError: a model is missing from the folder.
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
            for model in (prior, acoustic_decoder, decoder, *talkers):
                if model is not None and not isinstance(model, EncodecDecoder):
                    with_packed_layers(model)
        else:
            prepare_talkers(talkers, where)
        analysis = (load_tokenizer(folder), load_style(folder), posterior)
        parts = (prior, decoder, talkers, load_voices(folder), where, acoustic_decoder)
        return cls(*analysis, *parts)

    def clone(self, samples: np.ndarray, name: str = "cloned") -> Voice:
        """Clones a voice from samples `[T]`, float32 at 24 kHz.

        The style is computed from the first `MAX_CLONE_SECONDS`.

        Raises:
            InputError: the samples are too short, silent or not finite.
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
        self, predictor: str | None = None, abandoned: Callable[[], bool] = lambda: False
    ) -> DialogueState:
        """Opens an empty dialogue.

        Args:
            predictor: name of the predictor; defaults to the first.
            abandoned: whether all clients have left; adding a turn then raises AbandonedError.

        Raises:
            InputError: there is no such predictor.
        """
        name = self.predictors[0] if predictor is None else predictor
        if name not in self._talkers:
            raise InputError(f"unknown predictor {name!r}; available: {', '.join(self.predictors)}")
        model = self._talkers[name]
        return DialogueState(model, model.init_state(self.device), abandoned=abandoned)

    def add_turn(
        self, dialogue: DialogueState, who: int, text: str, samples: np.ndarray | None
    ) -> None:
        """Adds a turn to the dialogue's history.

        Args:
            dialogue: the dialogue; a reply that was started but not committed is dropped.
            who: 0 for the user, 1 for the agent.
            text: the transcript, cut to its last `MAX_TURN` characters; empty if unknown.
            samples: `[T]` at 24 kHz, of which the last 30 s are used; None for a typed turn.

        Raises:
            InputError: neither text nor audio, or samples that are not finite.
            AbandonedError: all clients have left the dialogue.
        """
        if who not in (0, 1):
            raise InputError(f"the speaker is {who!r}; it must be 0 (the user) or 1 (the agent)")
        sound = None if samples is None or len(samples) == 0 else checked_samples(samples)
        turn = truncated_turn(who, text, sound)
        if sound is None and not normalise(turn.text, None):
            raise InputError("a turn needs text or audio; this one has neither")
        self.drop_reply(dialogue)
        self._memory.add(dialogue, turn)

    def take_back_turn(self, dialogue: DialogueState) -> None:
        """Removes the turn that was added last; a reply since then is dropped.

        Raises:
            InputError: no turn was added since a reply was committed or a voice prepared.
        """
        self.drop_reply(dialogue)
        if dialogue.before_turn is None:
            raise InputError("there is no turn to take back; add one first")
        self._memory.take_back(dialogue)

    def speak(
        self,
        dialogue: DialogueState,
        text: str | Iterable[str],
        voice: Voice,
        options: SpeakOptions | None = None,
    ) -> Reply:
        """Starts speaking `text` as the agent's next turn and returns immediately.

        Args:
            dialogue: the dialogue; the turn joins its history on `Reply.commit`.
            text: the text, or an iterable of pieces of it, with control tags
                (`models.delivery.controls`). Invalid tags raise in a string, are skipped in pieces.
            voice: one of `voices`, or a cloned voice.
            options: sampling, delivery and streaming options.

        Raises:
            InputError: `text` has nothing to speak or is longer than `MAX_SPOKEN` (raised by the
                iteration if it comes in pieces), or the decoder does not support the delivery.
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

    def warm_up(self, predictor: str | None = None) -> None:
        """Adds a short turn to a dialogue of its own and answers it, unless the models ran within
        half a second.

        The first run in a process is slow, and so is one after seconds of rest, when nothing is in
        the caches any more and a virtual machine may have lent its memory to others.

        Args:
            predictor: a name from `predictors`; None for the default.
        """
        if self.engine.rested_s < _RESTED_S:
            return
        dialogue = self.open_dialogue(predictor)
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE // 4).astype(np.float32)
        self.add_turn(dialogue, 1 - AGENT, "Yes.", 0.05 * noise)
        voice = next(iter(self.voices.values()))
        reply = self.speak(dialogue, "Yes.", voice, SpeakOptions(seed=0))
        next(iter(reply))
        reply.cancel()

    def step_graphs(self, predictor: str) -> str:
        """Whether steps of the predictor of this name run as CUDA graphs."""
        pooled = self._talkers[predictor].transformer.pooled
        return "off: this device is a CPU" if pooled is None else pooled.status

    @torch.inference_mode()
    def listen(self, samples: np.ndarray) -> Tensor:
        """The tokenizer's features of the last 30 s of samples `[T]` before quantisation,
        `[ceil(T / 960), dim]` at 25 Hz.

        Raises:
            InputError: the samples are not finite, or not one channel.
        """
        checked = checked_samples(samples[-MAX_USER_AUDIO_S * SAMPLE_RATE :])
        return self.tokenizer.continuous_features(self.encoder.tensor(checked))[0]

    def reconstruct(self, samples: np.ndarray) -> np.ndarray:
        """Resynthesises samples `[T]` through posterior and decoder, `[T]`."""
        checked = checked_samples(samples)
        with torch.inference_mode():
            latents = self.posterior.encode(self.encoder.tensor(checked))
            made = decode_whole(self.decoder, latents, self.encoder.style_of(checked)[None])
        return made[0, : len(checked)].cpu().numpy()

    @torch.inference_mode()
    def revoice(self, samples: np.ndarray, text: str, voice: Voice) -> np.ndarray:
        """Converts samples `[T]` to another voice, `[T]`; their semantic codes keep words, timing
        and manner.

        Args:
            samples: float32 at 24 kHz.
            text: their transcript; empty if unknown.
            voice: the target voice.

        Raises:
            InputError: the samples are not finite, or not one channel.
        """
        checked = checked_samples(samples)
        units = units_of_text(normalise(text, None), None)
        codes = self.tokenizer.encode(self.encoder.tensor(checked))
        return self.decode(codes[0], units, voice).numpy()[: len(checked)]

    @torch.inference_mode()
    def decode(self, codes: Tensor, units: Units, voice: Voice) -> Tensor:
        """Decodes semantic codes `[T]` of the text `units` in `voice` to samples `[960 T]`."""
        pointer = align_units(self.tokenizer.inspect(codes[None])[0][0], units)
        phones = neighbours(torch.tensor(units.symbols), pointer)
        stream = self.stream(voice, SpeakOptions())
        return stream.push(codes, phones, last=True)

    def drop_reply(self, dialogue: DialogueState) -> None:
        """Cancels an uncommitted reply and removes it from the predictor's cache."""
        self._memory.drop_reply(dialogue)

    def commit(self, dialogue: DialogueState, reply: Reply, played_s: float | None) -> None:
        """Called by `Reply.commit`."""
        samples = reply.samples()
        if played_s is None and reply.complete:
            dialogue.model.end_turn(dialogue.predictor)
            dialogue.turns.append(truncated_turn(AGENT, reply.text, samples))
        else:
            heard_s = reply.duration_s if played_s is None else played_s
            text = text_heard_until(reply.text, reply.words, heard_s)
            cut = samples[: max(0, round(heard_s * SAMPLE_RATE))]
            self._memory.return_to(dialogue, reply.work.mark)
            if text and len(cut) >= SAMPLE_RATE // 25:
                self._memory.add(dialogue, truncated_turn(AGENT, text, cut))
        dialogue.open_reply = dialogue.before_reply = dialogue.before_turn = None

    def stream(
        self, voice: Voice, options: SpeakOptions, model: DialogueModel | None = None
    ) -> Synthesis:
        """Opens a decoder stream in `voice` for the frames of `model`, or for semantic codes.

        Raises:
            MissingModelError: semantic codes need a prior and none is loaded.
        """
        style = voice.style.to(self.device)
        frames = "semantic" if model is None else model.frames
        drawing = (options.latent_temperature, options.guidance)
        return Synthesis(self._renderer(frames), self.decoder, style, options.delivery, *drawing)

    def check_text(self, units: Units, model: DialogueModel) -> None:
        """Checks that the tokenizer, `model` and its renderer all know the symbols of a text.

        Raises:
            InputError: a symbol is missing from the inventory of one of them.
        """
        known = {"the semantic tokenizer": self.tokenizer.config, model.name: model.config}
        read = {name: config.symbols for name, config in known.items()}
        renderer = self._renderer(model.frames)
        if renderer.inventory is not None:
            read[renderer.title] = renderer.inventory
        for name, symbols in read.items():
            check_symbols(units.symbols, len(symbols), name)

    def _renderer(self, frames: FrameKind) -> Renderer:
        """The renderer from frames of this kind to latents.

        Raises:
            MissingModelError: semantic codes need a prior and none is loaded.
        """
        if frames == "latent":
            return LatentFrames()
        made = self.prior if frames == "semantic" else self.acoustic_decoder
        if made is None:
            raise MissingModelError(
                "the weights folder has no prior, which semantic codes need; train one with: "
                "python3 launch.py train prior --data DIR --out WEIGHTS"
            )
        return made
