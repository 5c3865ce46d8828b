"""Options of a reply."""

from dataclasses import dataclass, replace

from data.errors import InputError
from models.delivery.delivery import PLAIN, Delivery, Plan
from models.delivery.lexicon import NO_LEXICON, Lexicon
from models.predictors.sampling import SamplingOptions
from models.vocoder.lookahead import TEMPERATURE


@dataclass(frozen=True)
class SpeakOptions:
    """How to speak a reply.

    Attributes:
        seed: equal seed, dialogue and text give equal speech; None draws one.
        temperature, top_k, top_p, typical_p, duration_spread, flow_steps, guidance: see
            `SamplingOptions`.
        pitch, rate, energy: factors on the prosody that the model chooses.
        latent_temperature: temperature of the latents' noise.
        plan: see `Delivery`.
        lexicon: pronunciations; takes precedence over the speaker's own.
        streamed: whether a listener plays it as it is generated; otherwise it is decoded in long
            chunks, at low priority.
    """

    seed: int | None = None
    temperature: float = SamplingOptions.temperature
    top_k: int = SamplingOptions.top_k
    top_p: float = SamplingOptions.top_p
    typical_p: float = SamplingOptions.typical_p
    duration_spread: float = SamplingOptions.duration_spread
    flow_steps: int = SamplingOptions.flow_steps
    guidance: float = SamplingOptions.guidance
    pitch: float = 1.0
    rate: float = 1.0
    energy: float = 1.0
    latent_temperature: float = TEMPERATURE
    plan: Plan = PLAIN
    lexicon: Lexicon = NO_LEXICON
    streamed: bool = True

    def __post_init__(self) -> None:
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise InputError(f"the seed is {self.seed}; it must be from 0 to 2^63 - 1")
        self.delivery.checked()
        try:
            _ = self.sampling
        except ValueError as error:
            raise InputError(str(error)) from None

    @property
    def sampling(self) -> SamplingOptions:
        return SamplingOptions(
            self.temperature,
            self.top_k,
            self.top_p,
            self.typical_p,
            duration_spread=self.duration_spread,
            flow_steps=self.flow_steps,
            guidance=self.guidance,
        )

    @property
    def delivery(self) -> Delivery:
        return Delivery(self.pitch, self.rate, self.energy, self.plan)

    def delivered(self, delivery: Delivery) -> "SpeakOptions":
        """These options with a delivery applied on top.

        Raises:
            InputError: the combination is out of range.
        """
        whole = self.delivery @ delivery
        factors = {"pitch": whole.pitch, "rate": whole.rate, "energy": whole.energy}
        return replace(self, plan=whole.plan, **factors)
