"""Kokoro's text encoder and prosody predictor: phone durations, F0 and energy."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data.synthetic.kokoro.blocks import StyleBlock, mask_of, run_lstm, silence


class Albert(nn.Module):
    """ALBERT (arXiv 1909.11942) over phones: one layer, applied `num_layers` times."""

    def __init__(
        self, num_symbols: int, dim: int, embedding_dim: int, hidden: int, heads: int,
        num_layers: int, max_tokens: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.heads, self.num_layers = heads, num_layers
        self.word = nn.Embedding(num_symbols, embedding_dim)
        self.position = nn.Embedding(max_tokens, embedding_dim)
        self.kind = nn.Embedding(2, embedding_dim)
        self.embedding_norm = nn.LayerNorm(embedding_dim, eps=1e-12)
        self.widen = nn.Linear(embedding_dim, dim)
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.attention_out = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, eps=1e-12)
        self.ffn, self.ffn_out = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.layer_norm = nn.LayerNorm(dim, eps=1e-12)

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens `[B, N]` -> `[B, N, dim]`."""
        seen = None if mask is None else mask[:, None].bool()
        x = self.word(ids) + self.position.weight[: ids.shape[1]] + self.kind.weight[0]
        x = self.widen(self.embedding_norm(x))
        for _ in range(self.num_layers):
            query, key, value = (
                project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                for project in (self.query, self.key, self.value)
            )
            heard = F.scaled_dot_product_attention(query, key, value, seen)
            x = self.attention_norm(x + self.attention_out(heard.transpose(1, 2).flatten(2)))
            x = self.layer_norm(x + self.ffn_out(F.gelu(self.ffn(x), approximate="tanh")))
        return x


class StyleLayerNorm(nn.Module):
    """Layer norm with gain and shift from the style."""

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(style_dim, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """`[B, N, C]` and `[B, style]` -> `[B, N, C]`."""
        gain, shift = self.fc(style)[:, None].chunk(2, dim=-1)
        return (1 + gain) * F.layer_norm(x, x.shape[-1:]) + shift


class DurationEncoder(nn.Module):
    """Alternating LSTMs and style norms (`lstms`), with the style appended after each."""

    def __init__(self, dim: int, style_dim: int, num_layers: int) -> None:
        super().__init__()
        self.lstms = nn.ModuleList()
        for _ in range(num_layers):
            self.lstms.append(
                nn.LSTM(dim + style_dim, dim // 2, batch_first=True, bidirectional=True)
            )
            self.lstms.append(StyleLayerNorm(style_dim, dim))

    def forward(self, x: Tensor, style: Tensor, lengths: Tensor | None) -> Tensor:
        """`[B, N, dim]` -> `[B, N, dim + style]`."""
        appended = style[:, None].expand(-1, x.shape[1], -1)
        x = torch.cat([x, appended], -1)
        for layer in self.lstms:
            if isinstance(layer, nn.LSTM):
                x = run_lstm(layer, x, lengths)
            else:
                x = torch.cat([layer(x, style), appended], -1)
        return x


class _Projection(nn.Module):
    """A linear layer with the parameter names of the published weights."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.linear_layer = nn.Linear(dim, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_layer(x)


class ProsodyPredictor(nn.Module):
    """Predicts durations of tokens, then F0 and energy of frames."""

    def __init__(self, dim: int, style_dim: int, num_layers: int, max_frames: int) -> None:
        super().__init__()

        def lstm() -> nn.LSTM:
            return nn.LSTM(dim + style_dim, dim // 2, batch_first=True, bidirectional=True)

        def curve() -> nn.ModuleList:
            half = dim // 2
            return nn.ModuleList(
                (
                    StyleBlock(style_dim, dim, dim),
                    StyleBlock(style_dim, dim, half, double=True),
                    StyleBlock(style_dim, half, half),
                )
            )

        self.text_encoder = DurationEncoder(dim, style_dim, num_layers)
        self.lstm, self.shared = lstm(), lstm()
        self.duration_proj = _Projection(dim, max_frames)
        self.F0, self.N = curve(), curve()
        self.F0_proj, self.N_proj = nn.Conv1d(dim // 2, 1, 1), nn.Conv1d(dim // 2, 1, 1)

    def durations(self, x: Tensor, style: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Text features `[B, N, dim]` -> features `[B, N, dim + style]`, and durations in frames
        `[B, N]`, not rounded."""
        features = self.text_encoder(x, style, lengths)
        logits = self.duration_proj(run_lstm(self.lstm, features, lengths))
        return features, torch.sigmoid(logits).sum(-1)

    def curves(self, x: Tensor, style: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Frame features `[B, T, dim + style]` -> F0 in Hz and energy, both `[B, 2 T]`."""
        masks = mask_of(lengths, x.device), mask_of(lengths, x.device, 2)
        x = silence(run_lstm(self.shared, x, lengths).transpose(1, 2), masks[0])
        return tuple(
            silence(project(_through(blocks, x, style, *masks)), masks[1])[:, 0]
            for blocks, project in ((self.F0, self.F0_proj), (self.N, self.N_proj))
        )  # type: ignore[return-value]


def _through(
    blocks: nn.ModuleList, x: Tensor, style: Tensor, mask: Tensor | None, doubled: Tensor | None
) -> Tensor:
    first, second, third = blocks
    return third(second(first(x, style, mask), style, mask, doubled), style, doubled)


class _ChannelNorm(nn.Module):
    """Layer norm over the channels of `[B, C, T]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = F.layer_norm(x.transpose(1, 2), self.gamma.shape, self.gamma, self.beta)
        return y.transpose(1, 2)


class TextEncoder(nn.Module):
    """Convolutions and an LSTM over phones."""

    def __init__(self, num_symbols: int, dim: int, num_layers: int, kernel: int = 5) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_symbols, dim)
        self.cnn = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(dim, dim, kernel, padding=kernel // 2),
                _ChannelNorm(dim),
                nn.LeakyReLU(0.2),
            )
            for _ in range(num_layers)
        )
        self.lstm = nn.LSTM(dim, dim // 2, batch_first=True, bidirectional=True)

    def forward(self, ids: Tensor, lengths: Tensor | None, mask: Tensor | None) -> Tensor:
        """Tokens `[B, N]` -> `[B, dim, N]`."""
        x = silence(self.embedding(ids).transpose(1, 2), mask)
        for layer in self.cnn:
            x = silence(layer(x), mask)
        return run_lstm(self.lstm, x.transpose(1, 2), lengths).transpose(1, 2)
