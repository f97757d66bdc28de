"""A few of the inputs that `make faults` generates: a parser gives a value or an error of one line."""

import generated_inputs
import input_targets
import pytest

COUNT = 25
SEED = 1


@pytest.mark.slow
@pytest.mark.parametrize("name", [target.name for target in input_targets.TARGETS])
def test_a_parser_gives_a_value_or_an_error_of_one_line(name, examples):
    report = generated_inputs.run_one(name, examples, COUNT, SEED)
    assert report.tried >= COUNT
    assert not report.found


def test_every_parser_has_a_name_of_its_own():
    names = [target.name for target in input_targets.TARGETS]
    assert len(set(names)) == len(names)
