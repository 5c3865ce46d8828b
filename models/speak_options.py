"""How a reply is spoken."""

from dataclasses import dataclass, replace

from data.errors import InputError
from models.delivery.delivery import PLAIN, Delivery, Plan
from models.delivery.lexicon import NO_LEXICON, Lexicon
from models.predictors.sampling import SamplingOptions
from models.vocoder.lookahead import TEMPERATURE


@dataclass(frozen=True)
class SpeakOptions:
    """How to speak.

    Attributes:
        seed: the same seed, dialogue and text give the same speech; None draws one.
        temperature, top_k, top_p, typical_p, duration_spread, flow_steps, guidance: see
            `SamplingOptions`.
        pitch, rate, energy: factors on what the dialogue asks for.
        latent_temperature: of the noise of latents.
        plan: see `Delivery`.
        lexicon: how words are said, before the speaker's own.
        streamed: whether somebody listens while it is being made. If not, it is decoded in long
            chunks, when there is time.
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
        """These options with a delivery on top of theirs.

        Raises:
            InputError: both together are out of range.
        """
        whole = self.delivery @ delivery
        factors = {"pitch": whole.pitch, "rate": whole.rate, "energy": whole.energy}
        return replace(self, plan=whole.plan, **factors)
