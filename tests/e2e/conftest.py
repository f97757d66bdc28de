"""Fixtures of the tests that launch runs."""

import pytest


@pytest.fixture
def launch(command, tiny_packed, tiny_labels, tmp_path):
    """Return a function that launches into tmp_path/runs."""

    def run(*words, data=tiny_packed, **options):
        where = ("--config", "demo", "--data", data, "--labels", tiny_labels, "--runs", tmp_path / "runs")
        return command("deepemotion-launch", *words, *where, **options)

    return run
