"""One arm, PyTorch: as the tutorials write it, as an expert writes it, or compiled.

python benchmarks/arm_torch.py S3 [--mode dataloader|eager|graph|compile] [--device cpu|cuda] [--weights FILE] [--quick]

dataloader: TensorDataset and DataLoader, Adam as it comes
eager:      rows of tensors on the device by index, fused Adam, gradients set to None
graph:      the same, a whole step recorded once as a CUDA graph and played again
compile:    eager with model and loss through torch.compile; on a GPU a CUDA graph of that
"""

import argparse
import copy
import time
from typing import Any

import work
from clock import cores, repeat, report, timed
from scenarios import CHECKED, RATE, find
from weights import read


def main(given: argparse.Namespace) -> None:
    """Print one line of JSON."""
    began = time.perf_counter()
    import numpy as np
    import torch
    from model_torch import make_adam, make_model
    from torch.utils.data import DataLoader, TensorDataset

    imported = time.perf_counter() - began
    torch.set_num_threads(cores())
    torch.manual_seed(0)
    scenario = find(given.scenario, given.quick)
    x, y = (torch.from_numpy(part).to(given.device) for part in work.examples(scenario))
    model = make_model(scenario, read(given.weights) if given.weights else None).to(given.device)
    recorded = given.mode == "graph" or (given.mode == "compile" and given.device == "cuda")
    optimiser = make_adam(model, RATE, fused=given.mode != "dataloader", capturable=recorded)
    dataset, losses = TensorDataset(x, y), []

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(model(x), y)

    objective = torch.compile(loss_of) if given.mode == "compile" else loss_of

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimiser.zero_grad(set_to_none=True)
        loss = objective(x, y)
        loss.backward()
        optimiser.step()
        return loss.detach()

    if recorded:
        step = _played(step, model, optimiser, x[: scenario.batch], y[: scenario.batch])

    def run(order: np.ndarray) -> None:
        if given.mode == "dataloader":
            batches = iter(DataLoader(dataset, batch_sampler=order.tolist()))
        else:
            batches = ((x[rows], y[rows]) for rows in torch.from_numpy(order).long().to(given.device))
        for batch in batches:
            loss = step(*batch)
            if len(losses) < CHECKED:
                losses.append(loss.clone())
        if given.device == "cuda":
            torch.cuda.synchronize()

    orders = work.chunks(scenario)
    first = timed(run, next(orders))
    found = [float(loss) for loss in losses[: scenario.steps]]
    times = repeat(run, orders, quick=given.quick)
    report(scenario, f"torch {given.mode}", imported=imported, first=first, times=times, losses=found)


def _played(step: Any, model: Any, optimiser: Any, x: Any, y: Any) -> Any:
    """Return the step as a CUDA graph; weights and moments are those before it was recorded."""
    import torch

    before = copy.deepcopy(model.state_dict())
    held_x, held_y = x.clone(), y.clone()
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(4):
            step(held_x, held_y)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    optimiser.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        loss = step(held_x, held_y)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            value.copy_(before[name])
        for moments in optimiser.state.values():
            for value in moments.values():
                value.zero_()

    def play(x: Any, y: Any) -> Any:
        held_x.copy_(x)
        held_y.copy_(y)
        graph.replay()
        return loss

    return play


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("--mode", choices=("dataloader", "eager", "graph", "compile"), default="eager")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--weights")
    parser.add_argument("--quick", action="store_true")
    main(parser.parse_args())
