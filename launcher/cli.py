"""The `deepemotion-launch` program: experiments of many trainings. Commands import what they need when they run."""

import deepemotion.interrupts  # noqa: F401  It takes the signals, and so comes first.
from deepemotion import console
from launcher.commands import (
    compare,
    figures,
    jobs,
    launch,
    maps,
    pack,
    report,
    reproduce,
    results,
    runs,
    status,
    tensorboard,
    verify,
    work,
)

app = console.new_app(
    "Plan and run experiments. Without a command, trains the models; the commands below inspect and manage a run."
)
app.callback(invoke_without_command=True)(launch.launch)
app.command()(pack.pack)
app.command()(results.results)
app.command()(compare.compare)
app.command()(report.report)
app.command()(figures.figures)
app.command()(maps.maps)
app.command()(tensorboard.tensorboard)
app.command()(verify.verify)
app.command()(reproduce.reproduce)
app.command()(runs.runs)
app.command()(status.status)
app.command()(jobs.logs)
app.command()(jobs.cancel)
app.command()(jobs.retry)
app.command()(work.work)
app.command(hidden=True)(work.ray_node)
console.add_completion(app)


def main() -> None:
    """Entry point of the console script."""
    console.run(app)


if __name__ == "__main__":
    main()
