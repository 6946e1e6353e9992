"""`gymjax data pull`: telemetry from a Prometheus server into a file that training reads."""

import time
from typing import Annotated

import typer

from gym_jax.cli.options import AsJson


def pull(
    ctx: typer.Context,
    prometheus: Annotated[str, typer.Option("--prometheus", help="Address of the server: http://HOST:9090.")],
    out: Annotated[str, typer.Option("--out", "-o", help="File to write: .parquet.")],
    query: Annotated[
        list[str] | None,
        typer.Option(help="PromQL, as NAME=PROMQL where there are several: each becomes a column; may be repeated."),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(help="cpu, memory: of containers; cpu-workload, memory-workload: of their workloads."),
    ] = None,
    range: Annotated[str, typer.Option("--range", help="How far back: 90s, 1h30m, 14d or 2w.")] = "14d",
    step: Annotated[str, typer.Option(help="Time between two rows.")] = "5m",
    end: Annotated[str | None, typer.Option(help="Last time, UTC where it names no zone.", show_default="now")] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Labels that make a series' id, in this order.", show_default="namespace,workload,pod,container"
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="'Name: value' to send along, such as a tenant's; may be repeated.")
    ] = None,
    token_file: Annotated[str | None, typer.Option(help="File with a bearer token.")] = None,
    as_json: AsJson = False,
) -> None:
    """Pull a range of times from Prometheus into Parquet, page by page; the same line takes up an interrupted pull.

    The file has unique_id, ds and a column per query, as gymjax train reads them. Where there was no sample there is no
    row. Nothing is sent anywhere but to that server.
    """
    from gym_jax.cli.parse import parse_seconds
    from gym_jax.cli.show import print_json
    from gym_jax.cli.telling import telling
    from gym_jax.errors import Interrupted
    from gym_jax.pull.http import make_server
    from gym_jax.pull.pull import pull_prometheus
    from gym_jax.pull.request import make_request, parse_time

    server = make_server(prometheus, header or (), token_file)
    now = time.time()
    request = make_request(
        query or (),
        preset or (),
        span=parse_seconds(range, "--range", "data pull"),
        step=parse_seconds(step, "--step", "data pull"),
        end=now if end is None else parse_time(end),
        now=now,
    )
    chosen = [name for word in (labels or "").split(",") if (name := word.strip())]
    try:
        with telling(ctx.obj) as tell:
            facts = pull_prometheus(server, request, out, end_said=end is not None, labels=chosen, watch=tell)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped by Ctrl-C; what was pulled lies beside {out}", exit_code=130, hint="the same line goes on with it"
        ) from None
    if as_json:
        print_json("data pull", facts)
        return
    for note in facts["notes"]:
        print(f"note: {note}")
    columns = ", ".join(facts["columns"][2:])
    print(f"{facts['rows']:,} {'row' if facts['rows'] == 1 else 'rows'} of {facts['series']:,} series: {columns}")
    print(f"{facts['first']} to {facts['last']} every {step} in {facts['out']}")
