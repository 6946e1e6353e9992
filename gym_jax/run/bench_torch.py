"""Our models in PyTorch: the same layers with the same settings. Imported only in the process of such an arm."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

torch: Any = import_module("torch")
nn = torch.nn
functional = nn.functional


def make_torch(settings: Mapping[str, Any], shape: Any) -> Any:
    """Return the module of a model kind: [batch, context, channels] to [batch, horizon, targets]."""
    own = {name: value for name, value in settings.items() if name not in ("kind", "normalise", "kernel")}
    inner = {"mlp": _MLP, "lstm": _LSTM, "transformer": _Transformer}[settings["kind"]](shape, **own)
    return _Normalised(inner, settings["normalise"], shape)


class _Normalised(nn.Module):
    """Takes the level of each window out and puts it back, as ours do."""

    def __init__(self, inner: Any, kind: str, shape: Any) -> None:
        super().__init__()
        self.inner, self.kind, self.shape = inner, kind, shape

    def forward(self, x: Any) -> Any:
        if self.kind == "none":
            shift, scale = torch.zeros_like(x[:, :1]), torch.ones_like(x[:, :1])
        elif self.kind == "last":
            shift, scale = x[:, -1:], torch.ones_like(x[:, :1])
        else:
            shift, scale = x.mean(1, keepdim=True), torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5)
        out = self.inner((x - shift) / scale).reshape(-1, self.shape.horizon, self.shape.targets)
        return out * scale[..., : self.shape.targets] + shift[..., : self.shape.targets]


class _MLP(nn.Module):
    def __init__(self, shape: Any, hidden: list[int], dropout: float) -> None:
        super().__init__()
        widths = [shape.context * shape.channels, *hidden]
        layers = [
            layer
            for i, width in enumerate(hidden)
            for layer in (nn.Linear(widths[i], width), nn.ReLU(), nn.Dropout(dropout))
        ]
        self.layers = nn.Sequential(nn.Flatten(), *layers, nn.Linear(widths[-1], shape.horizon * shape.targets))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


def _in_patches(x: Any, patch: int) -> Any:
    if patch == 1:
        return x
    x = functional.pad(x, (0, 0, -x.shape[1] % patch, 0))
    return x.reshape(x.shape[0], x.shape[1] // patch, -1)


class _LSTM(nn.Module):
    def __init__(self, shape: Any, hidden: int, layers: int, bidirectional: bool, patch: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(
            patch * shape.channels, hidden, layers, batch_first=True, dropout=between, bidirectional=bidirectional
        )
        self.dropout, self.hidden, self.patch = nn.Dropout(dropout), hidden, patch
        self.head = nn.Linear(hidden * (1 + bidirectional), shape.horizon * shape.targets)

    def forward(self, x: Any) -> Any:
        out, _ = self.lstm(_in_patches(x, self.patch))
        last = torch.cat([out[:, -1, : self.hidden], out[:, 0, self.hidden :]], dim=-1)
        return self.head(self.dropout(last))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.norm_attention, self.norm_feedforward = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, feedforward), nn.Linear(feedforward, width)

    def forward(self, x: Any) -> Any:
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        mixed = functional.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, tokens, width)))
        wide = functional.gelu(self.up(self.norm_feedforward(x)), approximate="tanh")
        return x + self.dropout(self.down(wide))


class _Transformer(nn.Module):
    def __init__(
        self,
        shape: Any,
        width: int,
        heads: int,
        layers: int,
        feedforward: int,
        patch: int,
        channels: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.shape, self.patch, self.separate = shape, patch, channels == "separate"
        tokens, seen, answers = -(-shape.context // patch), shape.channels, shape.horizon * shape.targets
        if self.separate:
            seen, answers = 1, shape.horizon
        self.embed = nn.Linear(patch * seen, width)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.blocks = nn.Sequential(*(_Block(width, heads, feedforward, dropout) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(tokens * width, answers)

    def forward(self, x: Any) -> Any:
        batch, targets = x.shape[0], self.shape.targets
        if self.separate:
            x = x[..., :targets].movedim(2, 1).reshape(batch * targets, -1, 1)
        x = self.embed(_in_patches(x, self.patch)) + self.position
        out = self.head(self.norm(self.blocks(x)).flatten(1))
        return out.reshape(batch, targets, self.shape.horizon).movedim(1, 2) if self.separate else out
