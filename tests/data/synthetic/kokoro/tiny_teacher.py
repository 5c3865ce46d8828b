"""A tiny teacher of Kokoro's architecture with random weights."""

from pathlib import Path

import numpy as np
import torch

from data.synthetic.kokoro.engine import Teacher
from data.synthetic.kokoro.model import Kokoro, KokoroConfig
from data.synthetic.kokoro.store import Store
from data.synthetic.kokoro.voices import kokoro_voices

LETTERS = ';:,.!?—…"() abdefhijklmnopstuvwxzæðŋɑɒɔəɛɜɡɪɹʃʊʌʒʤʧˈˌːθᵊᵻATIOQWYɕʂɻʦʨꭧʰɤɨɚɥ→↗↓↘'
TINY = KokoroConfig(
    num_symbols=len(LETTERS) + 1, dim=16, style_dim=4, num_layers=1, max_frames=8, bert_dim=16,
    bert_embedding_dim=8, bert_hidden=16, bert_heads=2, bert_layers=2, max_tokens=512,
    decoder_width=16, generator_channels=16,
)  # fmt: skip
VOCABULARY = {letter: index for index, letter in enumerate(LETTERS, start=1)}


def tiny_network(seed: int = 0) -> Kokoro:
    torch.manual_seed(seed)
    network = Kokoro(TINY)
    with torch.no_grad():
        network.predictor.F0_proj.bias.fill_(150.0)  # a voice, not noise alone
        network.decoder.generator.conv_post.weight.mul_(0.1)  # its exponent explodes
    return network.requires_grad_(False).eval()


def fill(store: Store) -> Store:
    """Fills a store with a tiny teacher and all base voices."""
    rng = np.random.default_rng(1)
    names = {name for voice in kokoro_voices().values() for name, _ in voice.sounds}
    tables = {
        name: torch.from_numpy(rng.normal(size=(510, 2 * TINY.style_dim)).astype(np.float32))
        for name in sorted(names)
    }
    store.keep(tiny_network().state_dict(), VOCABULARY, tables, TINY)
    return store


def tiny_teacher(folder: Path, batch: int = 1) -> Teacher:
    store = fill(Store(folder / "teacher"))
    return Teacher(store.network(), store.vocabulary(), store, batch)
