"""Jobs around an experiment: refused, after packing, and after a change of the code."""

import shutil

import pandas as pd
import pytest
from study import HALF, LAUNCH, LINEAR, QUICK, assert_nothing_stayed, wait_for

from launcher.slurm import submissions

pytestmark = pytest.mark.slow


def test_what_the_site_does_not_have_is_refused(study):
    for keys, reason in (({"partition": "gpus"}, "gpus"), ({"gpus_per_node": 3}, "GPU"), ({"nodes": 9}, "nodes")):
        profile = study.profile("wrong", **keys)
        refused = study.launch("refused", QUICK, "--on", "slurm", "--cluster", profile, "--detach")
        assert refused.returncode == 2, refused.stderr
        assert reason in refused.stderr.splitlines()[-1]
        assert not study.queue("%i")
        assert not list(study.run("refused").slurm.glob("submission-*"))


def test_raw_data_to_results_in_one_line(study):
    packed = study.folder / "packed-by-array"
    profile = study.profile("pack", **HALF, nodes=1)
    pack = f"{LAUNCH} pack {study.folder}/dataset --out {packed} --on slurm-array --cluster {profile}"
    train = f"{LAUNCH} --all-subjects --config demo --data {packed} --labels {study.folder}/labels.tsv"
    train += f" --runs {study.folder}/runs --name line --set train.epochs={QUICK} --set data.drop_overlaps=false"
    line = f"{train} --on slurm-array --trials-per-task 5 --cluster {profile} --after $({pack})"
    done = study.cluster.run("sh", "-c", line, timeout=900)
    assert done.returncode == 0, done.stderr
    study.wait_until_done("line")
    assert len(list(packed.glob("sub-*.h5"))) == 19
    before = {path.name: path.read_bytes() for path in packed.glob("sub-*.h5")}
    assert len(before) == 19


def test_code_changes_after_submission(study):
    """A snapshot is what runs; without one, a job whose code is another than at submission refuses."""
    profile = study.profile("code", nodes=1)
    hold = study.cluster.run(
        "sbatch", "--parsable", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=sleep 600"
    )
    assert hold.returncode == 0
    wait_for(lambda: "RUNNING" in study.queue("%T"), "the holding job")
    # The working directory is often a checkout, which may have been edited since.
    edited = study.cluster.shared / "deepemotion"
    edited.mkdir()
    (edited / "__init__.py").write_text("raise ImportError('not the code of the snapshot')")
    try:
        for name, more in (("changed", []), ("snapshot", ["--snapshot"])):
            words = [name, QUICK, "--no-pooled", "--on", "slurm", "--cluster", profile, "--detach", *more]
            assert study.launch(*words, subjects="1").returncode == 0
            record = study.run(name).slurm / "submission-001.json"
            if not more:
                # As if the code had been another when the job was submitted.
                record.write_text(record.read_text().replace(submissions.code_checksum(), "0" * 16))
        pending = study.ask("status", "snapshot").stdout
        assert "pending" in pending
        assert "Resources" in pending or "Priority" in pending
        study.cluster.run("scancel", hold.stdout.strip())
        wait_for(lambda: not study.queue("%i"), "an empty queue")
        assert study.results("snapshot")
        assert not study.results("changed")
        shown = study.ask("status", "changed").stdout
        assert "the code has changed since submission 1" in shown
        assert "exit code" in shown
    finally:
        shutil.rmtree(edited)
    code = next(study.run("snapshot").slurm.glob("code-*"))
    assert (code / "deepemotion" / "training" / "loop.py").is_file()


def test_the_job_that_trains_the_last_inner_trials_trains_the_refits_too(study):
    words = ["--no-pooled", "--protocol", "block", "--lr", "1e-3,1e-5", "--select", "nested", *LINEAR]
    for setting in ("split.folds=3", "split.block_s=30", "split.gap_s=4"):
        words += ["--set", setting]
    # Over two nodes, whose Ray starts once more for the refits, and in two tasks that share the inner trials.
    runs = {"nested-ray": study.by_ray("nested-ray", nodes=2), "nested-array": study.by_array("nested-array", 6)}
    for name, on in runs.items():
        study.submit(name, QUICK, *words, *on, subjects="1")
    for name in runs:
        # Of each of 3 folds, 2 inner ones with 2 rates, and then a refit.
        study.wait_until_done(name, trials=15)
        trials = pd.read_parquet(study.run(name).tables / "trials.parquet")
        assert trials["chosen"].ne("").sum() == 3, trials["chosen"].tolist()
        assert trials["outer"].notna().sum() == 12
    assert_nothing_stayed(study.cluster)
