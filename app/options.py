"""Options that several verbs share."""

import argparse
from pathlib import Path

from models.delivery.instructions import understand
from models.delivery.lexicon import read_lexicon
from models.predictors.table import PREDICTORS
from models.speaker import SpeakOptions

VOICE_HELP = "a voice's name, or an audio file (default: the first that `voices` lists)"
LEXICON_HELP = 'a JSON file of pronunciations: {"Nguyen": "win", "GIF": "/dʒɪf/"}'
_FLOATS = {
    "temperature": "of codes or latents; 0 takes the most likely",
    "top_p": "keep codes up to this share of probability",
    "typical_p": "locally typical sampling: keep up to this share",
    "duration_spread": "how far the lengths of phones spread around their medians, 0 to 1",
    "guidance": "how far the text leads the sound: 1 as it was learnt, up to 3; 0 the models' own",
    "pitch": "factor on the pitch",
    "rate": "factor on the rate",
    "energy": "factor on the level",
}


def add_speaking(parser: argparse.ArgumentParser) -> None:
    """Adds what `speak_options` reads."""
    defaults = SpeakOptions()
    for name, text in _FLOATS.items():
        flag = "--" + name.replace("_", "-")
        default = getattr(defaults, name)
        parser.add_argument(flag, type=float, default=default, help=f"{text} ({default:g})")
    parser.add_argument("--top-k", type=int, default=defaults.top_k, help="keep k codes (0: all)")
    parser.add_argument(
        "--flow-steps", type=int, default=defaults.flow_steps, help="of flow-omni (0: its own)"
    )
    parser.add_argument(
        "--predictor", choices=PREDICTORS, default=PREDICTORS[0], help="the speech model"
    )
    parser.add_argument("--instructions", default="", help='a manner, as "cheerful, a bit slower"')
    parser.add_argument("--lexicon", type=Path, help=LEXICON_HELP)
    parser.add_argument("--weights", type=Path, help="a folder of models (default: bundled)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")


def speak_options(args: argparse.Namespace, seed: int | None) -> SpeakOptions:
    """What `add_speaking` added, as options.

    Raises:
        InputError: a value out of range.
    """
    given = {name: getattr(args, name) for name in _FLOATS}
    if args.lexicon is not None:
        given["lexicon"] = read_lexicon(args.lexicon)
    options = SpeakOptions(seed=seed, top_k=args.top_k, flow_steps=args.flow_steps, **given)
    return options.delivered(understand(args.instructions).delivery)
