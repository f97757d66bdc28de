"""Cluster profiles: what a user may write, and what a submission gets of it."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion import config_files
from deepemotion.errors import UserError
from launcher.slurm.cluster_profile import ClusterProfile, format_time, parse_time, read

LEAST = "time: 60\ncpus_per_node: 8\n"


@pytest.fixture
def profile(tmp_path):
    """Return a function that reads a profile of these lines, after the two that every profile needs."""

    def written(text, start=LEAST):
        path = tmp_path / "mine.yaml"
        path.write_text(start + text, encoding="utf-8")
        return read(str(path))

    return written


def test_profiles_that_ship_are_valid():
    names = sorted(path.stem for path in (config_files.CONFIGS / "clusters").glob("*.yaml"))
    assert names == ["devcluster", "example"]
    assert all(read(name).parameters() for name in names)


def test_the_example_shows_every_key():
    keys = {field.alias or name for name, field in ClusterProfile.model_fields.items()}
    assert set(config_files.read_yaml(config_files.find("example", "clusters"))) == keys


def test_the_least_profile_leaves_the_rest_to_the_site(profile):
    assert profile("").parameters() == {
        "time": 60,
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": 8,
        "signal_delay_s": 120,
        "wckey": None,
        "additional_parameters": {"requeue": True},
    }
    assert profile("").setup_lines() == []


def test_submitit_writes_what_the_example_asks(tmp_path):
    slurm = pytest.importorskip("submitit.slurm.slurm")
    script = slurm._make_sbatch_string(command="true", folder=tmp_path, **read("example").parameters())
    asked = {line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")}
    assert asked >= {
        "account=my-project",
        "constraint=ib",
        "cpus-per-task=32",
        "exclusive",
        "gpus-per-node=a100:4",
        "mail-type=END,FAIL",
        "mail-user=me@example.org",
        "mem=131072M",
        "nodes=2",
        "ntasks-per-node=1",
        "partition=gpu",
        "qos=normal",
        "requeue",
        "reservation=course",
        "signal=USR2@300",
        "time=720",
    }
    assert "wckey" not in script


@given(st.integers(min_value=0, max_value=10**6))
def test_times_are_read_as_they_are_written(minutes):
    assert parse_time(format_time(minutes)) == minutes


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("060", 60),
        ("12:30", 13),
        ("1:00:00", 60),
        ("01:00:00", 60),
        ("1:00:01", 61),
        ("'12:00:00'", 720),
        ("2-0", 2880),
        ("2-03:04", 3064),
        ("1-00:00:00", 1440),
    ],
)
def test_a_time_means_what_it_means_to_slurm(profile, text, minutes):
    # YAML itself reads an unquoted 1:00:00 as 3600, which would be 60 hours.
    assert profile("", start=f"time: {text}\ncpus_per_node: 1\n").time_min == minutes


@pytest.mark.parametrize(
    "text", ["1h", "-5", "1.5", "infinite", "1:2:3:4", "1-", "٣", "0", "[60]", "9" * 400, f"{'9' * 400}-0"]
)
def test_another_time_is_refused(profile, text):
    with pytest.raises(UserError, match=r"mine\.yaml: time: "):
        profile("", start=f"time: {text}\ncpus_per_node: 1\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("partiton: gpu", "partiton: no such key; did you mean partition?"),
        ("time_min: 3", "time_min: no such key; did you mean time?"),
        ("7: 3", "7: no such key"),
        ("account: 123", "account: must be text: put it in quotes (YAML reads it as 123)"),
        ("partition: ''", "partition: is empty; leave the key out instead"),
        ("nodes: 0", "nodes: Input should be greater than or equal to 1"),
        ("memory_gb: 1.0e+308", "memory_gb: Input should be less than or equal to 10000000"),
        ("nodes: 1.0e+30", "nodes: Unable to parse input string as an integer, exceeded maximum size"),
        ("nodes: 99999999999", "nodes: Input should be less than or equal to 10000000"),
        ("nodes: true", "nodes: must be a number, not true"),
        ("memory_gb: .nan", "memory_gb: Input should be a finite number"),
        ("gpu_type: a100", "gpus_per_node: gpu_type is set, so gpus_per_node must be at least 1"),
        (
            "warn_before_end_s: 3600",
            "warn_before_end_s: 3600 s before the end is before the job starts: time is 60 minutes",
        ),
        ("environment: {MY-NAME: a}", "environment: 'MY-NAME' is not a valid name for a shell variable"),
        ("environment: {'A=1;rm': a}", "environment: 'A=1;rm' is not a valid name for a shell variable"),
        ("environment: {THREADS: 4}", "environment.THREADS: must be text: put it in quotes (YAML reads it as 4)"),
        ("extra: {exclusve: true}", "extra: exclusve: sbatch has no such long option; did you mean exclusive?"),
        ("extra: {mem_per_cpu: 1}", "extra: mem_per_cpu: sbatch has no such long option; did you mean mem-per-cpu?"),
        ("extra: {array: 0-3}", "extra: array: the launcher sets this option itself"),
        ("extra: {mem: 3}", "extra: mem: write it as the profile's own key memory_gb"),
        ("extra: {begin: [now]}", "extra.begin: must be a single value: text in quotes, a number, or true"),
    ],
)
def test_a_mistake_is_named_in_one_line(profile, tmp_path, line, message):
    with pytest.raises(UserError) as caught:
        profile(line)
    assert str(caught.value) == f"{tmp_path / 'mine.yaml'}: {message}"


@pytest.mark.parametrize("missing", ["time", "cpus_per_node"])
def test_what_no_default_can_know_is_required(profile, missing):
    kept = [line for line in LEAST.splitlines() if not line.startswith(missing)]
    with pytest.raises(UserError, match=f"{missing}: Field required"):
        profile("", start="\n".join(kept))


@pytest.mark.parametrize("end", ["\\n", "\\r", "\\0"])
@pytest.mark.parametrize("key", ["partition: ", "constraint: ", "setup: - ", "environment: A: ", "extra: comment: "])
def test_no_second_line_reaches_the_script(profile, key, end):
    nested = key.replace(": ", ":\n  ", 1) if key.count(":") > 1 or "-" in key else key
    with pytest.raises(UserError, match="must be a single line"):
        profile(f'{nested}"a{end}touch b"\n')


@pytest.mark.parametrize(
    "name",
    [
        "array",
        "job-name",
        "output",
        "error",
        "open-mode",
        "signal",
        "requeue",
        "no-kill",
        "ntasks",
        "wrap",
        "dependency",
        "chdir",
        "export",
    ],
)
def test_the_launchers_own_options_cannot_be_changed(profile, name):
    with pytest.raises(UserError, match="the launcher sets this option itself"):
        profile(f"extra: {{{name}: x}}")


def test_a_key_whose_values_are_commented_out_means_its_default(profile):
    assert profile("setup:\n  # - module load cuda\nenvironment:\naccount:\n") == profile("")


def test_memory_and_gpus_become_slurms_words(profile):
    assert profile("memory_gb: 5.5").parameters()["mem"] == "5632M"
    assert profile("memory_gb: 0.0001").parameters()["mem"] == "1M"
    assert profile("gpus_per_node: 2").parameters()["gpus_per_node"] == 2
    assert profile("gpus_per_node: 2\ngpu_type: a100").parameters()["gpus_per_node"] == "a100:2"
    assert "gpus_per_node" not in profile("gpus_per_node: 0").parameters()


def test_further_options_pass_with_their_types(profile):
    extra = profile("extra: {exclusive: true, reboot: false, nice: 100, comment: 'a b', licenses: 'x:1'}").parameters()
    assert extra["additional_parameters"] == {
        "exclusive": True,
        "nice": 100,
        "comment": "a b",
        "licenses": "x:1",
        "requeue": True,
    }


def test_environment_comes_first_and_reaches_the_shell_as_written(profile):
    lines = profile(
        "setup: ['printenv GREETING']\nenvironment:\n  GREETING: |-\n    $HOME `id` \"it's\"\n"
    ).setup_lines()
    said = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, check=True).stdout
    assert said == '$HOME `id` "it\'s"\n'
