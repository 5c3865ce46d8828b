"""Synthesis options shared by several verbs."""

import argparse
from pathlib import Path

from models.delivery.instructions import understand
from models.delivery.lexicon import read_lexicon
from models.predictors.table import PREDICTORS
from models.speaker import SpeakOptions

VOICE_HELP = "voice name or audio file (default: the first voice listed by `voices`)"
LEXICON_HELP = 'JSON file of pronunciations: {"Nguyen": "win", "GIF": "/dʒɪf/"}'
_FLOATS = {
    "temperature": "sampling temperature; 0 is greedy",
    "top_p": "nucleus sampling threshold",
    "typical_p": "locally typical sampling threshold",
    "duration_spread": "spread of sampled phone durations around their medians, 0 to 1",
    "guidance": "classifier-free guidance scale: 1 disables it, at most 3; 0: the model's own",
    "pitch": "pitch factor",
    "rate": "speaking rate factor",
    "energy": "level factor",
}


def add_speaking(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `speak_options` reads."""
    defaults = SpeakOptions()
    for name, text in _FLOATS.items():
        flag = "--" + name.replace("_", "-")
        default = getattr(defaults, name)
        parser.add_argument(flag, type=float, default=default, help=f"{text} ({default:g})")
    parser.add_argument(
        "--top-k", type=int, default=defaults.top_k, help="top-k sampling (0: disabled)"
    )
    parser.add_argument(
        "--flow-steps",
        type=int,
        default=defaults.flow_steps,
        help="ODE solver steps of flow-omni (0: the model's own)",
    )
    parser.add_argument(
        "--predictor",
        choices=PREDICTORS,
        default=PREDICTORS[0],
        help="speech model (default: %(default)s)",
    )
    parser.add_argument(
        "--instructions", default="", help='style, such as "cheerful, a bit slower"'
    )
    parser.add_argument("--lexicon", type=Path, help=LEXICON_HELP)
    parser.add_argument("--weights", type=Path, help="weights folder (default: bundled)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")


def speak_options(args: argparse.Namespace, seed: int | None) -> SpeakOptions:
    """The options added by `add_speaking`.

    Raises:
        InputError: a value out of range.
    """
    given = {name: getattr(args, name) for name in _FLOATS}
    if args.lexicon is not None:
        given["lexicon"] = read_lexicon(args.lexicon)
    options = SpeakOptions(seed=seed, top_k=args.top_k, flow_steps=args.flow_steps, **given)
    return options.delivered(understand(args.instructions).delivery)
