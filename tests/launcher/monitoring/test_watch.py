"""Following a run until its trials are done."""

import json

from watched_run import NAMES, epochs

from launcher.monitoring import watch


def test_following_says_once_what_keeps_it_from_seeing(run, site, monkeypatch, capsys):
    site(squeue=["7|0|RUNNING|None|node1|0|0|"])
    torn = run.trial(NAMES[0]).epochs
    torn.parent.mkdir(parents=True)
    torn.write_text("epoch")
    looks = []

    def wait(seconds):
        # Whoever waits for a program's answer sleeps less.
        if seconds >= 1:
            looks.append(seconds)
        if len(looks) == 3:
            for name in NAMES:
                epochs(run, name, 5)
                run.trial(name).result.write_text(json.dumps({"accuracy_validation": 0.5}))

    monkeypatch.setattr("time.sleep", wait)
    assert watch.watch(run)
    said = capsys.readouterr().err
    assert said.count(str(torn)) == 1
    assert "3 done" in said
