"""The `deepemotion-launch` program: experiments of many trainings. Each command imports what it needs when it runs."""

from deepemotion import console
from launcher.commands import launch, report, results

app = console.new_app("Plan and run experiments: --all-subjects trains every model; the commands below look at a run.")
app.callback(invoke_without_command=True)(launch.launch)
app.command()(results.results)
app.command()(report.report)


def main() -> None:
    """Entry point of the console script."""
    console.run(app)


if __name__ == "__main__":
    main()
