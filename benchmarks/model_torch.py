"""A scenario in PyTorch: the same arithmetic, and names that `weights.for_torch` knows."""

import numpy as np
import torch
from scenarios import HORIZON, Scenario
from torch import nn
from weights import Weights, for_torch


class MLP(nn.Module):
    """Dense layers with ReLU over the whole window."""

    def __init__(self, inputs: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        for i, width in enumerate(hidden):
            setattr(self, f"layer_{i}", nn.Linear(inputs, width))
            inputs = width
        self.depth = len(hidden)
        self.head = nn.Linear(inputs, HORIZON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the forecast, [batch, horizon]."""
        x = x.flatten(1)
        for i in range(self.depth):
            x = torch.relu(getattr(self, f"layer_{i}")(x))
        return self.head(x)


class LSTM(nn.Module):
    """`nn.LSTM` with one trained bias a layer, as ours has; the last state feeds the head."""

    def __init__(self, features: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, HORIZON)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                nn.init.zeros_(parameter)
                parameter.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the forecast, [batch, horizon]."""
        return self.head(self.lstm(x)[0][:, -1])


class Attention(nn.Module):
    """Fused projection without bias, PyTorch's own attention, projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the tokens see of each other."""
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a skip."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.norm_attention, self.norm_feedforward = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, feedforward), nn.Linear(feedforward, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens, changed."""
        x = x + self.attention(self.norm_attention(x))
        wide = nn.functional.gelu(self.up(self.norm_feedforward(x)), approximate="tanh")
        return x + self.down(wide)


class Transformer(nn.Module):
    """Every step is a token; all tokens feed one head."""

    def __init__(
        self, context: int, features: int, width: int, heads: int, layers: int, feedforward: int, patch: int
    ) -> None:
        super().__init__()
        assert patch == 1
        self.embed = nn.Linear(features, width)
        self.position = nn.Parameter(torch.randn(context, width) * 0.02)
        for i in range(layers):
            setattr(self, f"block_{i}", Block(width, heads, feedforward))
        self.depth = layers
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(context * width, HORIZON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the forecast, [batch, horizon]."""
        x = self.embed(x) + self.position
        for i in range(self.depth):
            x = getattr(self, f"block_{i}")(x)
        return self.head(self.norm(x).flatten(1))


def make_model(scenario: Scenario, weights: Weights | None = None) -> nn.Module:
    """Return the module, with these weights when there are some."""
    settings = scenario.settings
    if scenario.kind == "mlp":
        model: nn.Module = MLP(scenario.context * scenario.features, **settings)
    elif scenario.kind == "lstm":
        model = LSTM(scenario.features, **settings)
    else:
        model = Transformer(scenario.context, scenario.features, **settings)
    if weights is not None:
        state = for_torch(weights, settings.get("heads", 1))
        model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
    return model


def make_adam(model: nn.Module, rate: float, fused: bool = True, capturable: bool = False) -> torch.optim.Optimizer:
    """Return Adam over what is trained."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.Adam(trained, rate, fused=True if fused else None, capturable=capturable)
