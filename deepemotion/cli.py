"""The `deepemotion` program: data, labels and single models. Each command imports what it needs when it runs."""

from deepemotion import console
from deepemotion.commands import ceiling, evaluate, explain, inspect, label, pack, simulate, train, verify

app = console.new_app("Decode emotion from fMRI volumes: label, pack, train and look at single models.")
app.command()(simulate.simulate)
app.command()(label.label)
app.command()(pack.pack)
app.command()(inspect.inspect)
app.command()(verify.verify)
app.command()(ceiling.ceiling)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(explain.explain)
console.add_completion(app)


def main() -> None:
    """Entry point of the console script."""
    console.run(app)


if __name__ == "__main__":
    main()
