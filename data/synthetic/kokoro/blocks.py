"""Building blocks of Kokoro: style-conditioned convolutions that ignore padding.

Sequences are `[B, C, T]`, masks `[B, 1, T]` with 1 for speech, or None without padding, which is
faster. Padding is zero before and after every block, so that an utterance does not depend on its
batch.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def mask_of(
    lengths: Tensor | None, device: torch.device, rate: int = 1, extra: int = 0
) -> Tensor | None:
    """The mask of sequences of `rate * lengths + extra` positions, with `lengths` `[B]`."""
    if lengths is None:
        return None
    ends = (lengths * rate + extra).to(device)
    positions = torch.arange(int(lengths.max()) * rate + extra, device=device)
    return (positions < ends[:, None]).float()[:, None]


def silence(x: Tensor, mask: Tensor | None) -> Tensor:
    """Sets padding to zero."""
    return x if mask is None else x * mask


def run_lstm(lstm: nn.LSTM, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Runs a bidirectional LSTM over `[B, T, C]`, each row up to its own length."""
    if lengths is None:
        return lstm(x)[0]
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class StyleNorm(nn.Module):
    """Instance norm over time with gain and shift from the style (AdaIN, arXiv 1703.06868)."""

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(style_dim, 2 * channels)

    def forward(self, x: Tensor, style: Tensor, mask: Tensor | None) -> Tensor:
        """Normalises `[B, C, T]`; padding becomes non-zero and must be silenced again."""
        gain, shift = self.fc(style)[..., None].chunk(2, dim=1)
        count = x.shape[-1] if mask is None else mask.sum(-1, keepdim=True)
        mean = x.sum(-1, keepdim=True) / count
        # torch.var_mean takes twenty times as long on a CPU
        variance = silence(x - mean, mask).square_().sum(-1, keepdim=True) / count
        scale = (1 + gain) * torch.rsqrt(variance + 1e-5)
        return torch.addcmul(shift - mean * scale, x, scale)


class StyleBlock(nn.Module):
    """Residual block of the decoder and of the F0 and energy predictors; `double` doubles the
    rate."""

    def __init__(
        self, style_dim: int, in_channels: int, out_channels: int, double: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = StyleNorm(style_dim, in_channels)
        self.norm2 = StyleNorm(style_dim, out_channels)
        self.conv1 = nn.Conv1d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv1d(out_channels, out_channels, 3, padding=1)
        self.pool = (
            nn.ConvTranspose1d(
                in_channels, in_channels, 3, 2, padding=1, output_padding=1, groups=in_channels
            )
            if double
            else None
        )
        self.conv1x1 = (
            nn.Conv1d(in_channels, out_channels, 1, bias=False)
            if in_channels != out_channels
            else None
        )

    def forward(
        self, x: Tensor, style: Tensor, mask: Tensor | None, doubled: Tensor | None = None
    ) -> Tensor:
        """`[B, in, T]` -> `[B, out, T]`, or `[B, out, 2 T]` with the mask `doubled` of that."""
        y = silence(F.leaky_relu(self.norm1(x, style, mask), 0.2), mask)
        if self.pool is not None:
            x, y, mask = x.repeat_interleave(2, -1), self.pool(y), doubled
        y = self.conv1(silence(y, mask))
        y = silence(F.leaky_relu(self.norm2(silence(y, mask), style, mask), 0.2), mask)
        skip = x if self.conv1x1 is None else self.conv1x1(x)
        return silence((self.conv2(y) + skip) * 0.5**0.5, mask)


class SnakeStack(nn.Module):
    """Three dilated residual convolutions of one kernel size, with Snake activations (arXiv
    2006.08195)."""

    def __init__(self, style_dim: int, channels: int, kernel: int) -> None:
        super().__init__()

        def convolution(dilation: int) -> nn.Conv1d:
            padding = dilation * (kernel - 1) // 2
            return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding)

        def alphas() -> nn.ParameterList:
            return nn.ParameterList(nn.Parameter(torch.ones(1, channels, 1)) for _ in range(3))

        self.convs1 = nn.ModuleList(convolution(dilation) for dilation in (1, 3, 5))
        self.convs2 = nn.ModuleList(convolution(1) for _ in range(3))
        self.adain1 = nn.ModuleList(StyleNorm(style_dim, channels) for _ in range(3))
        self.adain2 = nn.ModuleList(StyleNorm(style_dim, channels) for _ in range(3))
        self.alpha1, self.alpha2 = alphas(), alphas()

    def forward(self, x: Tensor, style: Tensor, mask: Tensor | None) -> Tensor:
        """`[B, C, T]` -> `[B, C, T]`."""
        first = zip(self.adain1, self.alpha1, self.convs1, strict=True)
        second = zip(self.adain2, self.alpha2, self.convs2, strict=True)
        for (norm1, alpha1, conv1), (norm2, alpha2, conv2) in zip(first, second, strict=True):
            y = silence(conv1(silence(_snake(norm1(x, style, mask), alpha1), mask)), mask)
            y = silence(conv2(silence(_snake(norm2(y, style, mask), alpha2), mask)), mask)
            x = x + y
        return x


def _snake(x: Tensor, alpha: Tensor) -> Tensor:
    """x + sin(alpha x)^2 / alpha; overwrites `x`."""
    wave = (x * alpha).sin_()
    return x.addcmul_(wave, wave / alpha)
