"""What a person sees who opens TensorBoard on a run of 42 and of 500 trials: Chromium, driven by playwright.

It needs the package playwright, and Debian's chromium, which it installs where it may, or another Chrome. Without them
it is skipped, but in CI it fails.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from finished_run import EPOCHS
from small_plan import planned

from launcher.run.directory import RunDirectory
from launcher.tables.tensorboard import write_aggregates

RATES = (0.001, 0.003)
RESULT = {"accuracy_train": 1.0, "accuracy_validation": 0.5, "epochs": EPOCHS, "n_train": 2, "n_validation": 2}
RESULT |= {"label_only_accuracy": 0.4, "majority_accuracy": 0.3, "chance": 0.25, "duration_s": 1.0, "n_unseen": 0}
RESULT |= {"classes": ["FEAR", "LOVE"], "missing": ""}
# The colours of the lines of each chart, in the shadows of TensorBoard's elements.
COLOURS = """() => {
    const inside = (root, name) => [...root.querySelectorAll("*")].flatMap(
        one => [...(one.matches(name) ? [one] : []), ...(one.shadowRoot ? inside(one.shadowRoot, name) : [])]);
    return inside(document, "tf-custom-scalar-margin-chart-card").map(card => [...new Set(
        inside(card.shadowRoot, "path.line")
            .filter(line => line.getBoundingClientRect().width > 50)
            .map(line => getComputedStyle(line).stroke)
            .filter(colour => colour != "none"))]);
}"""


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium: required in CI, optional elsewhere."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _lacks("the package playwright (pip install playwright)")
    program = _program() or _installed()
    if program is None:
        _lacks("chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def _lacks(what):
    assert os.environ.get("CI") != "true", f"{what} is missing"
    pytest.skip(f"needs {what}")


def _program():
    paths = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in paths if path), None)


def _installed():
    """Return Debian's chromium after installing it, None where that may not or cannot be done."""
    if os.geteuid() or not shutil.which("apt-get"):
        return None
    for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "-qq", *words], check=False, capture_output=True, timeout=300)
    return _program()


def make(path, trials):
    """Return a run of so many trials that are done, of two learning rates; every seventh is the pooled model's."""
    run = RunDirectory(path)
    path.mkdir()
    plan = []
    for number in range(trials):
        rate, training_set = RATES[number % 2], "pooled" if number % 7 == 0 else f"sub-{number:03d}"
        train = {"epochs": EPOCHS, "learning_rate": rate, "seed": number}
        plan.append(planned(f"{training_set}_{number}", training_set, f"lr-{rate}", subjects=["01"], train=train))
    run.add_to_plan(plan)
    for trial in plan:
        directory = run.trial(trial.name)
        directory.path.mkdir(parents=True)
        rows = "".join(f"{epoch}\t{0.5 + epoch / 10}\t{0.4 + epoch / 20}\n" for epoch in range(1, EPOCHS + 1))
        directory.epochs.write_text(f"epoch\taccuracy/train\taccuracy/validation\n{rows}")
        directory.result.write_text(json.dumps(RESULT))
    write_aggregates(run)
    return run


@pytest.fixture(params=[42, 500])
def address(request, tmp_path):
    """Return where a TensorBoard answers that was started on a run as a user starts it."""
    run = make(tmp_path / "run", request.param)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    words = ["-m", "tensorboard.main", "--logdir", str(run.path), "--port", str(port)]
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL) as server:
        try:
            yield _once_it_has_read(f"http://localhost:{port}/")
        finally:
            server.terminate()


def _once_it_has_read(address, patience_s=120):
    """Return the address once the last folder that was written is among TensorBoard's runs."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}data/runs", timeout=10) as answer:
                if any(name.endswith("about") for name in json.load(answer)):
                    return address
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{address}: no runs")


@pytest.mark.slow
def test_figure_3_is_drawn_at_first_open_and_hparams_has_the_swept_setting(browser, address):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(f"{address}#custom_scalars")
    # Training and validation, of the single-subject models and the pooled one, chance, and labels alone.
    page.wait_for_function(f"({COLOURS})().map(colours => colours.length).join() == '6,6'")
    assert page.get_by_text("Missing Tags").count() == 0
    page.goto(address)
    page.get_by_text("figure-3, set Smoothing to 0").first.wait_for()
    boxes = page.locator("runs-data-table input[type=checkbox]")
    boxes.last.wait_for()
    for i in range(boxes.count()):
        expect(boxes.nth(i)).to_be_checked()
    page.goto(f"{address}#hparams")
    page.get_by_text("train.learning_rate").first.wait_for()
    assert page.get_by_text("train.seed").count() == 0
    for rate in RATES:
        page.get_by_text(f"lr-{rate} single-subject").first.wait_for()
    page.close()
