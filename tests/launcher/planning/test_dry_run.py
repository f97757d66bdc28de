"""--dry-run and the errors of use: no Ray, no torch, nothing written."""

import json

import pytest
import torch
from small_plan import planned

from launcher.session.resources import short_of_memory

WORDS = ("--all-subjects", "--config", "demo")


def where(packed, labels, runs):
    return ("--data", packed, "--labels", labels, "--runs", runs)


def test_it_shows_every_trial_and_writes_nothing(command, tiny_packed, tiny_labels, tmp_path):
    words = (*WORDS, *where(tiny_packed, tiny_labels, tmp_path / "runs"), "--lr", "1e-3,1e-4", "--dry-run")
    done = command("deepemotion-launch", *words)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "8 trials"
    assert "memory" in lines[0]
    assert all("GiB" in line and line.endswith("pending") for line in lines[1:-1])
    assert not (tmp_path / "runs").exists()


def test_json_has_the_plan_and_writes_nothing_unless_it_is_to_be_written(
    in_process, tiny_packed, tiny_labels, tmp_path
):
    words = (*WORDS, *where(tiny_packed, tiny_labels, tmp_path / "runs"), "--lr", "1e-3,1e-4", "--json")
    code, out, err = in_process("deepemotion-launch", *words, "--dry-run")
    assert (code, err) == (0, "")
    assert not (tmp_path / "runs").exists()
    content = json.loads(out)
    assert content["run"] == str(tmp_path / "runs" / "demo")
    trials = content["trials"]
    assert len(trials) == 8
    assert {trial["settings"]["train"]["learning_rate"] for trial in trials} == {1e-3, 1e-4}
    assert {trial["training_set"] for trial in trials} == {"sub-01", "sub-02", "sub-03", "pooled"}
    code, out, _ = in_process("deepemotion-launch", *words, "--plan-only")
    assert (code, json.loads(out)) == (0, content)
    assert (tmp_path / "runs" / "demo" / "plan.tsv").is_file()
    code, out, err = in_process("deepemotion-launch", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_controls_are_counted_apart_and_missing_ones_are_named(command, tiny_packed, tiny_labels, tmp_path):
    words = (*WORDS, *where(tiny_packed, tiny_labels, tmp_path / "runs"), "--lr", "1e-3,1e-4", "--dry-run")
    done = command("deepemotion-launch", *words, "--controls", "time,global-signal")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "16 trials (8 of controls)"
    done = command("deepemotion-launch", *words, "--controls", "all")
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("controls not in the packed data: ")
    assert line.endswith("phantom")


def test_learning_curves_are_counted_apart(command, tiny_packed, tiny_labels, tmp_path):
    words = (*WORDS, *where(tiny_packed, tiny_labels, tmp_path / "runs"), "--protocol", "run", "--dry-run")
    done = command("deepemotion-launch", *words, "--learning-curve")
    assert (done.returncode, done.stderr) == (0, "")
    # 4 models of 8 folds, each on 1, 2 and 4 runs, and the pooled one on 2 subjects.
    assert done.stdout.splitlines()[-1] == f"{4 * 8 + 4 * 8 * 3 + 8} trials ({4 * 8 * 3 + 8} of learning curves)"


def test_a_thousand_trials_are_planned_without_heavy_imports(lightly, tiny_packed, tiny_labels, tmp_path):
    rates = ",".join(f"{i}e-6" for i in range(1, 251))
    words = (*WORDS, *where(tiny_packed, tiny_labels, tmp_path), "--lr", rates, "--dry-run")
    done = lightly("launcher.cli", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1000 trials"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give --all-subjects, or choose subjects with --subjects"),
        (("--all-subjects", "--subjects", "1"), "give --all-subjects, or choose subjects with --subjects"),
        (("--subjects", "1,44"), "subject 44: not packed; the packed ones are 01, 02, 03"),
        (("--all-subjects", "--config", "papers"), "built-in ones are demo, paper, rigorous"),
        (("--all-subjects", "--lr", "fast"), "--lr fast"),
        (("--all-subjects", "--sweep", "train.rate=1,2"), "train.rate: no such setting"),
        (("--all-subjects", "--set", "train.rate=1"), "train.rate"),
        (("--all-subjects", "--controls", "time,loudness"), "--controls time,loudness: 'loudness' is no control"),
        (("--all-subjects", "--controls", "phantom"), "controls: phantom is not packed for every subject"),
        (("--all-subjects", "--sweep", "data.lag_s=4,4.0"), "the sweep repeats a value"),
        (("--subjects", "1;2"), "--subjects: '1;2' is not a subject's label"),
        (("--all-subjects", "--detach"), "--detach: would do nothing with --on local; add --on slurm or slurm-array"),
        (
            ("--all-subjects", "--on", "slurm", "--max-parallel", "2"),
            "--max-parallel: would do nothing with --on slurm",
        ),
        (("--all-subjects", "--held-out-folds"), "held-out folds need at least 16 subjects"),
        (("--all-subjects", "--protocol", "run", "--set", "split.fold=9"), "split.fold=9: sub-01 has no such run"),
        (("--all-subjects", "--lr", "1e-3,inf"), "sweep (train.learning_rate=inf): train.learning_rate: "),
        (("--all-subjects", "--compare", "cnn3d"), "--compare cnn3d: write two names"),
        (("--all-subjects", "--compare", "cnn3d,linear"), "plan.compare: cnn3d: neither a swept value nor a condition"),
        (("--all-subjects", "--set", "plan.compare=3"), "plan.compare"),
        (("--all-subjects", "--data", "/nowhere"), "/nowhere: no such folder"),
        (("--all-subjects", "--labels", "/nowhere.tsv"), "/nowhere.tsv"),
        (("--all-subjects", "--name", "../../x"), "--name ../../x: the name becomes a folder in --runs"),
        (("--all-subjects", "--name", "a/b"), "--name a/b: the name becomes a folder in --runs"),
        (("--all-subjects", "--name", ".."), "--name ..: the name becomes a folder in --runs"),
        (("--all-subjects", "--name", ".hidden"), "--name .hidden: the name becomes a folder in --runs"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(command, tiny_packed, tiny_labels, tmp_path, words, message):
    options = where(tiny_packed, tiny_labels, tmp_path)
    known = dict(zip(options[::2], options[1::2], strict=True))
    given = [*words, *(part for pair in known.items() if pair[0] not in words for part in pair), "--dry-run"]
    done = command("deepemotion-launch", *given)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_gpu_that_is_not_there_is_told_before_anything_is_written(command, tiny_packed, tiny_labels, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    words = (*WORDS, *where(tiny_packed, tiny_labels, tmp_path / "runs"), "--set", "train.device=cuda")
    for more in ((), ("--dry-run",)):
        done = command("deepemotion-launch", *words, *more)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "train.device=cuda: there is no GPU" in done.stderr
    assert not (tmp_path / "runs").exists()
    # The nodes that --plan-only plans for may well have one.
    assert command("deepemotion-launch", *words, "--plan-only").returncode == 0


def test_too_little_memory_is_a_warning():
    trials = [planned("a", memory_bytes=size * 2**30) for size in (1, 9, 12)]
    assert short_of_memory(trials, 16 * 2**30) is None
    line = short_of_memory(trials, 8 * 2**30)
    assert line.startswith("warning: 2 of 3 trials need more memory than is available")
    assert "12.0 GiB" in line


LOOKING = ("results", "report", "figures", "status", "logs", "cancel", "retry", "work", "tensorboard")


@pytest.mark.parametrize("command", LOOKING)
def test_a_folder_that_is_no_run_is_told_without_heavy_imports(refusal, command):
    assert "nope: no run here" in refusal("launcher.cli", command, "nope")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--permutations", "-1"], "--permutations"),
        (["--on", "nowhere"], "nowhere"),
        (["resluts", "runs/r"], "resluts"),
        (["results"], "Missing argument"),
        (["results", "runs/r", "--hepl"], "--hepl"),
    ],
)
def test_words_that_the_program_does_not_know_are_told_in_one_line(refusal, words, said):
    line = refusal("launcher.cli", *words)
    assert said in line
    assert "--help lists commands and options" in line


@pytest.fixture
def half_packed(tiny_packed, tmp_path):
    """A folder of a whole subject, a truncated one, and one whose content is somewhere else."""
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "sub-01.h5").symlink_to(tiny_packed / "sub-01.h5")
    content = (tiny_packed / "sub-02.h5").read_bytes()
    (packed / "sub-02.h5").write_bytes(content[: len(content) // 2])
    (packed / "sub-03.h5").symlink_to("/not/fetched")
    return packed


def test_subjects_that_cannot_be_read_are_named_at_once_and_planned_with_the_others(
    command, half_packed, tiny_labels, tmp_path
):
    done = command("deepemotion-launch", *WORDS, *where(half_packed, tiny_labels, tmp_path), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert all(f"sub-{subject}_" in done.stdout for subject in ("01", "02", "03"))
    first, second = done.stderr.splitlines()
    assert first.startswith("warning: sub-02 cannot be read, so trials with it will fail: ")
    assert "sub-02.h5" in first
    assert second.startswith("warning: sub-03 cannot be read, so trials with it will fail: ")


def test_a_subject_that_is_asked_for_by_name_must_be_readable(command, half_packed, tiny_labels, tmp_path):
    words = ("--config", "demo", *where(half_packed, tiny_labels, tmp_path / "runs"), "--plan-only")
    done = command("deepemotion-launch", "--subjects", "1,2", *words)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "sub-02.h5" in done.stderr
    assert not (tmp_path / "runs").exists()
    # Those that nobody asked for are no matter of this launch.
    done = command("deepemotion-launch", "--subjects", "1", *words)
    assert (done.returncode, "cannot be read" in done.stderr) == (0, False)
