"""What the scaling page shows: what the model says of hosts with H100, a picture, tables."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from pages import markdown, put, where
from scaling_model import Compute, Link, Network, all_reduce, step
from table import aligned

CONTEXT, HORIZON = 96, 12
H100 = Network(4.4e-6, Link(1e-6, 450e9), Link(5e-6, 50e9))
"""NVLink 900 GB/s in both directions together, a ConnectX-7 of 400 Gb/s for each GPU; latencies as NCCL reckons."""
PEAK, REACHED, LAUNCH = 494.7e12, 0.1, 100e-6
"""TF32 without sparsity; what share of it small products reach, and what a step takes however small: assumed."""
HOSTS, GPUS = (1, 2, 4, 8, 16, 32, 64), 8
MODELS = {"MLP 512, 512": (512, 512), "MLP 2048, 2048": (2048, 2048)}
SHARES = (256, 4096)
"""Windows of a step on each device."""
WORKLOADS = 1e6
NAMES = {"one": "1 device", "devices": "2 devices, 1 process", "processes": "2 processes, gloo"}


def parameters(hidden: tuple[int, ...]) -> int:
    """Return how many parameters an MLP of one channel has."""
    sizes = (CONTEXT, *hidden, HORIZON)
    return sum(a * b + b for a, b in pairwise(sizes))


def many_hosts(hidden: tuple[int, ...], share: int, hosts: int) -> dict[str, float]:
    """Return what the model says of so many hosts with eight GPUs, when each GPU takes `share` windows a step."""
    count = parameters(hidden)
    compute = Compute(LAUNCH, 6 * count / (PEAK * REACHED))
    seconds = step(compute, H100, 4 * count, share * GPUS * hosts, GPUS, hosts)
    return {
        "step": seconds,
        "all_reduce": all_reduce(H100, 4 * count, GPUS, hosts),
        "windows_per_second": share * GPUS * hosts / seconds,
        "efficiency": compute.seconds(share) / seconds,
    }


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw predicted against measured, and efficiency over hosts."""
    from gym_jax.report.picture import save_figure
    from gym_jax.report.style import add_legend, dress, new_figure, set_title, theme_of

    theme = theme_of(False)
    figure, (left, right) = new_figure(1, 2, size=(10.4, 4.2))
    for (way, name), colour in zip(NAMES.items(), theme.colours, strict=False):
        rows = [row for row in document["rows"] if row["way"] == way]
        batches = [row["batch"] for row in rows]
        left.plot(batches, [1e3 * row["predicted"] for row in rows], color=colour, label=name)
        left.plot(batches, [1e3 * row["measured"] for row in rows], "o", color=colour)
    left.set(xscale="log", yscale="log", xlabel="windows of a step, all devices together")
    left.set_ylabel("milliseconds of a step")
    left.set_xticks(batches, [f"{batch:,}" for batch in batches])
    low, high = left.get_ylim()
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if low <= tick <= high]
    left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    left.minorticks_off()
    set_title(left, "two cores: predicted (lines), measured (dots)")
    styles = iter(zip(theme.colours, ("-", "--", "-", "--"), strict=False))
    for name, model in MODELS.items():
        for share in SHARES:
            colour, style = next(styles)
            values = [100 * many_hosts(model, share, hosts)["efficiency"] for hosts in HOSTS]
            right.plot(HOSTS, values, style, marker="o", color=colour, label=f"{name}; {share:,} windows a GPU")
    right.set(xscale="log", xlabel="hosts of 8 GPUs", ylabel="share of a step that computes (%)", ylim=(0, 102))
    right.set_xticks(HOSTS, [str(hosts) for hosts in HOSTS])
    right.minorticks_off()
    set_title(right, "H100: predicted, not measured")
    add_legend(left, False)
    add_legend(right, False, loc="lower left")
    save_figure(dress(figure, False), path)


def write_page(document: dict[str, Any]) -> None:
    """Write the tables of docs/scaling-model.md."""
    compute, links = document["compute"], document["links"]
    two = [f"{1e6 * link['latency']:.0f} us and {link['bandwidth'] / 1e9:.1f} GB/s" for link in links.values()]
    constants = (
        f"On {where(document['machine'])}: `fixed` {1e3 * compute['fixed']:.2f} ms, `window` "
        f"{1e6 * compute['window']:.1f} us; two devices {two[0]}, two processes {two[1]}; gradients of "
        f"{document['bytes'] / 1e6:.2f} MB."
    )
    rows = [("", "batch", "predicted", "measured", "error")]
    for row in document["rows"]:
        cells = (f"{1e3 * row['predicted']:.2f} ms", f"{1e3 * row['measured']:.2f} ms", f"{row['error']:+.0%}")
        rows.append((NAMES[row["way"]], f"{row['batch']:,}", *cells))
    put("scaling-model.md", "scaling", f"{constants}\n\n{markdown(rows)}")
    rows = [("model", "windows a GPU", "hosts", "step", "of it all-reduce", "windows/s", "computes")]
    for name, model in MODELS.items():
        for share in SHARES:
            for hosts in (1, 8, 64):
                one = many_hosts(model, share, hosts)
                cells = (f"{1e3 * one['step']:.2f} ms", f"{1e3 * one['all_reduce']:.2f} ms")
                cells += (f"{one['windows_per_second'] / 1e6:,.0f} M", f"{one['efficiency']:.0%}")
                rows.append((name, f"{share:,}", str(hosts), *cells))
    put("scaling-model.md", "scaling_hosts", markdown(rows))
    last = many_hosts(MODELS["MLP 512, 512"], SHARES[1], HOSTS[-1])
    text = (
        f"One core reads and judges {document['read'] / 1e6:.1f} million rows a second (measured here), "
        f"{WORKLOADS * 8640 / HOSTS[-1] / document['read']:.0f} s for the share of a host; "
        f"{HOSTS[-1]} hosts compute the epoch of the smaller model in "
        f"{WORKLOADS * 720 / last['windows_per_second']:.2f} s."
    )
    put("scaling-model.md", "scaling_input", text)


def told(document: dict[str, Any]) -> str:
    """Return the tables."""
    rows = [("way", "batch", "predicted ms", "measured ms", "error")]
    for row in document["rows"]:
        cells = (f"{1e3 * row['predicted']:.2f}", f"{1e3 * row['measured']:.2f}", f"{row['error']:+.0%}")
        rows.append((row["way"], f"{row['batch']:,}", *cells))
    more = [("model, windows a GPU", "hosts", "step ms", "all-reduce ms", "windows/s", "efficiency")]
    for name, model in MODELS.items():
        for share in SHARES:
            for hosts in (1, 8, 64):
                one = many_hosts(model, share, hosts)
                cells = (f"{1e3 * one['step']:.3f}", f"{1e3 * one['all_reduce']:.3f}")
                cells += (f"{one['windows_per_second']:,.0f}", f"{one['efficiency']:.0%}")
                more.append((f"{name}; {share:,}", str(hosts), *cells))
    compute, links = document["compute"], document["links"]
    lines = [f"compute: {1e3 * compute['fixed']:.3f} ms + {1e6 * compute['window']:.2f} us a window"]
    for way, link in links.items():
        lines.append(f"{way}: {1e6 * link['latency']:.0f} us, {link['bandwidth'] / 1e9:.2f} GB/s")
    lines.append(
        f"gradients: {document['bytes'] / 1e6:.2f} MB; {document['read'] / 1e6:.1f} million rows/s are read by one core"
    )
    return "\n".join([*lines, "", *aligned(rows), "", *aligned(more)])
