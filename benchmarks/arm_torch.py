"""One arm, PyTorch: as the tutorials write it, as an expert writes it, or compiled.

python benchmarks/arm_torch.py S3 [--mode dataloader|eager|compile] [--weights FILE] [--quick]

dataloader: TensorDataset and DataLoader, Adam as it comes
eager:      rows of tensors in memory by index, fused Adam, gradients set to None
compile:    the same with model and loss through torch.compile
"""

import argparse
import time

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
    x, y = map(torch.from_numpy, work.examples(scenario))
    model = make_model(scenario, read(given.weights) if given.weights else None)
    optimiser = make_adam(model, RATE, fused=given.mode != "dataloader")
    dataset, losses = TensorDataset(x, y), []

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(model(x), y)

    objective = torch.compile(loss_of) if given.mode == "compile" else loss_of

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss = objective(x, y)
        loss.backward()
        optimiser.step()
        if len(losses) < CHECKED:
            losses.append(loss.detach())

    def run(order: np.ndarray) -> None:
        if given.mode == "dataloader":
            for batch in DataLoader(dataset, batch_sampler=order.tolist()):
                step(*batch)
        else:
            for rows in torch.from_numpy(order).long():
                step(x[rows], y[rows])

    orders = work.chunks(scenario)
    first = timed(run, next(orders))
    found = [float(loss) for loss in losses[: scenario.steps]]
    times = repeat(run, orders, quick=given.quick)
    report(scenario, f"torch {given.mode}", imported=imported, first=first, times=times, losses=found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario")
    parser.add_argument("--mode", choices=("dataloader", "eager", "compile"), default="eager")
    parser.add_argument("--weights")
    parser.add_argument("--quick", action="store_true")
    main(parser.parse_args())
