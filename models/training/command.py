"""`launch.py train`: the recipes by name."""

import argparse
import logging
from pathlib import Path

import torch

from data.files import prepare_folder
from models import precision
from models.checkpoint import WEIGHTS
from models.training.bundle import finish_bundle
from models.training.corpus import Corpus, prepare
from models.training.job import Job
from models.training.loop import CHECKPOINT, Budget, device, done_once, first_process_first, forget
from models.vocoder.encodec import KBPS, EncodecConfig

STEPS = {
    "style": 1500,
    "tokenizer": 6000,
    "vocoder": 12_000,
    "gpt-talker": 8000,
    "prior": 8000,
    "flow-omni": 8000,
    "acoustic": 0,  # fitted, not trained by steps
    "ham-tts": 8000,
    "acoustic-decoder": 8000,
    "omni-thinker": 8000,
}
DISTILL_STEPS = 2000
FURTHER = [name for name in STEPS if name not in ("tokenizer", "acoustic")]  # what can go on
_ABLATIONS = ("lvs", "augmentation")
BUNDLE = [*STEPS, "voices"]


def main(argv: list[str]) -> int:
    """Trains one model, or all in order (`bundle`)."""
    parser = argparse.ArgumentParser(prog="launch.py train", description=main.__doc__)
    parser.add_argument("model", choices=[*STEPS, "voices", "bundle"])
    parser.add_argument("--data", type=Path, required=True, help="a folder in NCSSD layout")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where weights are written")
    parser.add_argument("--work", type=Path, default=Path("runs"), help="checkpoints and logs")
    parser.add_argument("--steps", type=int, help="how long (default: by model)")
    parser.add_argument("--minutes", type=float, help="how long by the clock, instead of --steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--threads", type=int, help="processor threads (default: all)")
    parser.add_argument(
        "--precision",
        choices=precision.CHOICES,
        default="auto",
        help="auto: bf16 where the hardware has it, else fp32",
    )
    parser.add_argument(
        "--distill",
        action="store_true",
        help="flow-omni: the one in --out learns to take one step where it takes several",
    )
    parser.add_argument(
        "--backbone", type=Path, help="omni-thinker: a folder with a Hugging Face language model"
    )
    parser.add_argument(
        "--hubert", type=Path, help="ham-tts: a folder with a HuBERT of Hugging Face"
    )
    parser.add_argument(
        "--encodec",
        type=Path,
        help="acoustic: weights of EnCodec 24 kHz, whose codes and decoder the folder in --out has "
        "from then on in place of our own",
    )
    parser.add_argument(
        "--kbps", type=float, choices=KBPS, default=EncodecConfig.kbps, help="of --encodec"
    )
    parser.add_argument(
        "--order",
        choices=("ABAB", "AABB"),
        default="ABAB",
        help="gpt-talker: of a dialogue's past; AABB has all texts before all sounds",
    )
    parser.add_argument(
        "--stage",
        type=int,
        choices=(1, 2),
        default=2,
        help="omni-thinker: 1 keeps the backbone as it is, 2 trains all",
    )
    parser.add_argument("--limit", type=int, help="use only the first dialogues of the data")
    parser.add_argument(
        "--from-scratch",
        action="store_true",
        help="flow-omni, ham-tts: not with the weights of the gpt-talker in --out",
    )
    parser.add_argument(
        "--further",
        action="store_true",
        help=f"{', '.join(FURTHER)}: begin with that in --out (vocoder: its latents move; style: "
        "to say the same in rooms and noise)",
    )
    parser.add_argument(
        "--latent-dim",
        type=int,
        help="vocoder: how many numbers a latent has; with --further no fewer than there are",
    )
    parser.add_argument(
        "--hold",
        action="store_true",
        help="vocoder: latents stay as they are; the decoder in --out alone goes on",
    )
    parser.add_argument(
        "--like",
        type=Path,
        help="acoustic: a folder of weights; first codes keep what they say there, as far as they "
        "can, for ham-tts --further",
    )
    parser.add_argument(
        "--without",
        choices=_ABLATIONS,
        help="ham-tts: an ablation",
    )
    args = parser.parse_args(argv)
    if args.distill and args.model != "flow-omni":
        parser.error("--distill is for flow-omni")
    if args.without and (args.model != "ham-tts" or args.further):
        parser.error("--without is for ham-tts, without --further")
    if args.like and (args.model != "acoustic" or args.encodec):
        parser.error("--like is for acoustic, without --encodec")
    if args.latent_dim is not None and (args.model != "vocoder" or args.latent_dim < 1):
        parser.error("--latent-dim is for vocoder, and at least 1")
    if args.hold and (args.model != "vocoder" or args.further or args.latent_dim):
        parser.error("--hold is for vocoder, without --further and --latent-dim")
    if args.further and args.model not in FURTHER:
        parser.error(f"--further is for {', '.join(FURTHER)}")
    if args.order != "ABAB" and args.model != "gpt-talker":
        parser.error("--order is for gpt-talker")
    if args.backbone and args.model != "omni-thinker":
        parser.error("--backbone is for omni-thinker")
    if args.encodec and args.model != "acoustic":
        parser.error("--encodec is for acoustic")
    if args.hubert and args.model != "ham-tts":
        parser.error("--hubert is for ham-tts")
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    for folder in (args.out, args.work):
        prepare_folder(folder)
    precision.choose(args.precision)
    logging.info("training in %s", precision.describe(device()))
    if args.threads:
        torch.set_num_threads(args.threads)
    with first_process_first():
        shards = prepare(args.data, limit=args.limit)
    corpus = Corpus(shards)
    logging.info(
        "%.1f hours, %d utterances, %d voices",
        corpus.hours,
        len(corpus.utterances),
        len(corpus.voices),
    )
    if args.model == "bundle" and not args.resume:
        done_once(lambda: _forget_all(args.work))
    for name in BUNDLE if args.model == "bundle" else [args.model]:
        steps = DISTILL_STEPS if args.distill else STEPS.get(name, 0)
        budget = Budget(args.steps or steps, args.minutes)
        _train_one(name, args, corpus, budget)
    if args.model in ("voices", "bundle"):
        done_once(lambda: finish_bundle(args.out, args.work, corpus, args.data, args.seed))
    return 0


def _forget_all(work: Path) -> None:
    """A bundle begins anew: no model of it is to go on from what an earlier one left in `work`,
    even if this one is stopped before it comes to that model."""
    for checkpoint in work.glob(f"*/{CHECKPOINT}"):
        forget(checkpoint.parent)


def _train_one(name: str, args: argparse.Namespace, corpus: Corpus, budget: Budget) -> None:
    from models.training.acoustic import adopt_encodec, train_acoustic
    from models.training.acoustic_decoder import train_acoustic_decoder
    from models.training.flow_map import distill_flow_omni
    from models.training.flow_omni import train_flow_omni
    from models.training.gpt_talker import train_gpt_talker
    from models.training.ham_tts import train_ham_tts
    from models.training.prior import train_prior
    from models.training.style import steady_style, train_style
    from models.training.thinker import train_thinker
    from models.training.tokenizer import train_tokenizer
    from models.training.vocoder import train_vocoder
    from models.training.voices import make_voices

    job = Job(args.data, corpus, args.out, args.work, args.seed, budget, args.resume)
    if name == "style" and args.further:
        steady_style(job)
    elif name == "style":
        train_style(job)
    elif name == "tokenizer":
        train_tokenizer(job)
    elif name == "vocoder":
        train_vocoder(job, args.further, args.latent_dim, args.hold)
    elif name == "prior":
        train_prior(job, further=args.further)
    elif name == "voices":
        make_voices(args.data, corpus, args.out)
    elif name == "acoustic" and args.encodec:
        adopt_encodec(args.out, args.encodec, EncodecConfig(args.kbps))
    elif name == "acoustic":
        train_acoustic(job, args.like)
    elif name == "acoustic-decoder":
        train_acoustic_decoder(job, further=args.further)
    elif name == "ham-tts":
        warm = not args.from_scratch
        train_ham_tts(job, warm, args.without, args.hubert, args.further)
    elif name == "flow-omni" and args.distill:
        distill_flow_omni(job)
    elif name == "flow-omni":
        train_flow_omni(job, warm=not args.from_scratch, further=args.further)
    elif name == "omni-thinker":
        train_thinker(job, args.backbone, args.stage, args.further)
    else:
        train_gpt_talker(job, further=args.further, order=args.order)
