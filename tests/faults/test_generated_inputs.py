"""A fixed part of the inputs that `make faults` generates: a parser gives a value or an error of one line."""

import generated_inputs
import input_targets
import pytest

COUNT = 25
SEED = 1
# Those whose inputs all pass. `make faults` generates more, and for the others too.
CHOSEN = ["labels.tsv", "annotations", "dataset description", "experiment", "cluster profile", "--model", "NIfTI bytes"]
CHOSEN += ["motion parameters", "events", "recording"]
CHOSEN += ["plan.tsv", "experiment.yaml of a run", "sources.json"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_a_parser_gives_a_value_or_an_error_of_one_line(name, examples):
    report = generated_inputs.run_one(name, examples, COUNT, SEED)
    assert report.tried >= COUNT
    assert not report.found


def test_every_parser_has_a_name_of_its_own():
    names = [target.name for target in input_targets.TARGETS]
    assert len(set(names)) == len(names)
