"""Write what PyTorch's LSTM answers for small random weights: outputs and gradients, beside this file as lstm.json.

`python tests/reference/make_lstm.py` with the extra `peers` installed.
"""

import json
from pathlib import Path
from typing import Any

import torch

PATH = Path(__file__).with_name("lstm.json")
BATCH, TIME, FEATURES, HIDDEN = 2, 5, 3, 4
CASES = {
    "one layer": {"num_layers": 1, "bidirectional": False},
    "two layers": {"num_layers": 2, "bidirectional": False},
    "bidirectional": {"num_layers": 2, "bidirectional": True},
}


def plain(tensor: torch.Tensor) -> Any:
    """Nested lists; nine digits name every float32."""
    if tensor.ndim:
        return [plain(row) for row in tensor]
    return float(f"{tensor.item():.9g}")


def answer(settings: dict[str, Any]) -> dict[str, Any]:
    """Inputs, parameters, outputs, and the gradients of `sum(loss_weights * outputs ** 2)`."""
    lstm = torch.nn.LSTM(FEATURES, HIDDEN, batch_first=True, **settings)
    past = torch.randn(BATCH, TIME, FEATURES, requires_grad=True)
    outputs, _ = lstm(past)
    loss_weights = torch.randn(outputs.shape)
    (loss_weights * outputs**2).sum().backward()
    parameters = dict(lstm.named_parameters())
    return {
        "settings": {"hidden": HIDDEN, **settings},
        "past": plain(past.detach()),
        "loss_weights": plain(loss_weights),
        "parameters": {name: plain(value.detach()) for name, value in parameters.items()},
        "outputs": plain(outputs.detach()),
        "past_gradient": plain(past.grad),
        "gradients": {name: plain(value.grad) for name, value in parameters.items()},
    }


def answers() -> dict[str, Any]:
    """Every case from one seed."""
    torch.manual_seed(0)
    return {name: answer(settings) for name, settings in CASES.items()}


if __name__ == "__main__":
    PATH.write_text(json.dumps(answers()) + "\n")
