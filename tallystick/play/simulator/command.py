"""`tallystick simulate-provider`."""

from typing import Annotated

import typer

from tallystick.play.simulator.faults import InvalidFaults, parse_faults
from tallystick.play.simulator.profiles import InvalidWeights, parse_weights
from tallystick.play.simulator.server import serve
from tallystick.play.simulator.webhooks import InvalidSecret


def simulate_provider(
    secret: Annotated[
        str,
        typer.Option(
            envvar="TALLYSTICK_SIMULATOR_SECRET", help="Signs the webhooks: whsec_ and base64."
        ),
    ],
    token: Annotated[
        str,
        typer.Option(
            envvar="TALLYSTICK_SIMULATOR_TOKEN", help="The bearer token that calls have to carry."
        ),
    ],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to listen.")] = 8100,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="Decides, with the reference, what happens.")] = 1,
    webhook_url: Annotated[
        str | None, typer.Option(help="Where webhooks go; nowhere if not given.")
    ] = None,
    faults: Annotated[
        str, typer.Option(help="none, demo, all, or rates: duplicate=0.1,dispute=0.03,outage=1.")
    ] = "none",
    profiles: Annotated[
        str, typer.Option(help="Other weights than usual: declined=0,payout_returned=50.")
    ] = "",
    time_scale: Annotated[
        float, typer.Option(min=0.0, help="Multiplies every simulated delay.")
    ] = 1.0,
    settle_seconds: Annotated[
        float,
        typer.Option(min=0.0, help="Real seconds before a notice that contradicts or reverses."),
    ] = 1.0,
    evidence_seconds: Annotated[
        float, typer.Option(min=0.0, help="Real seconds a dispute waits for an answer.")
    ] = 86_400.0,
    quote_seconds: Annotated[
        float, typer.Option(min=0.0, help="Real seconds a quoted rate holds.")
    ] = 300.0,
    silence_seconds: Annotated[
        float, typer.Option(min=0.0, help="How long a silent answer takes.")
    ] = 60.0,
    webhook_concurrency: Annotated[
        int, typer.Option(min=1, max=1024, help="Webhooks on their way at once.")
    ] = 32,
    log_level: Annotated[str, typer.Option(help="critical, error, warning or info.")] = "warning",
) -> None:
    """Run a simulated payment provider, with faults, until interrupted."""
    try:
        serve(
            port,
            seed=seed,
            secret=secret,
            token=token,
            webhook_url=webhook_url,
            faults=parse_faults(faults),
            weights=parse_weights(profiles),
            time_scale=time_scale,
            settle_seconds=settle_seconds,
            evidence_seconds=evidence_seconds,
            quote_seconds=quote_seconds,
            silence_seconds=silence_seconds,
            webhook_concurrency=webhook_concurrency,
            host=host,
            log_level=log_level,
        )
    except (InvalidFaults, InvalidWeights, InvalidSecret) as error:
        raise typer.BadParameter(str(error)) from error
