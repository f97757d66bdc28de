"""A further node of a session: it joins, joins once more, and watches the head even if it takes no part itself."""

import os
import socket
import subprocess
import sys
import time

import pytest

SERVE = """
import sys
from pathlib import Path
from launcher.slurm import ray_node
ray_node._LOOK_EVERY_S, ray_node._LOST_AFTER_S = 0.05, 0.5
raise SystemExit(ray_node.serve(sys.argv[1], Path(sys.argv[2])))
"""


@pytest.fixture
def head():
    """Return a socket that answers as the head of a session does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def node(head, tmp_path):
    """Return a function that starts the node's process with a Ray of this code, and the file of scontrol's words."""
    said = tmp_path / "scontrol.txt"
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    scontrol.chmod(0o755)
    started = []

    def start(ray: str):
        package = tmp_path / "python" / "ray" / "scripts"
        package.mkdir(parents=True)
        (package.parent / "__init__.py").touch()
        (package / "__init__.py").touch()
        (package / "scripts.py").write_text(ray)
        env = {
            **os.environ,
            "PATH": f"{scontrol.parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(tmp_path / "python"), *filter(None, sys.path)]),
            "SLURM_JOB_ID": "7",
        }
        where = f"127.0.0.1:{head.getsockname()[1]}"
        words = [sys.executable, "-c", SERVE, where, str(tmp_path / "de-ray-node")]
        pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": env}
        started.append(subprocess.Popen(words, **pipes))
        return started[-1]

    yield start, said
    for process in started:
        process.kill()
        process.communicate()


ENDS = r"print('\x1b[31mthe raylet\x1b[0m failed')" + "\nraise SystemExit(1)\n"
RUNS = "import time\ntime.sleep(600)\n"


def read_until(process, words):
    lines = []
    while not lines or words not in lines[-1]:
        line = process.stderr.readline()
        assert line, lines
        lines.append(line)
    return "".join(lines)


def test_a_node_whose_ray_ends_joins_once_more_and_then_watches_the_head(node, head):
    start, said = node
    process = start(ENDS)
    told = read_until(process, "the session continues without it")
    assert told.count("the raylet failed") == 2
    assert "\x1b" not in told
    assert told.count("joining once more") == 1
    time.sleep(1)
    assert process.poll() is None
    assert not said.exists()
    head.close()
    assert process.wait(60) == 0
    assert said.read_text() == "requeue 7\n"


@pytest.mark.parametrize("ray", [ENDS, RUNS])
def test_a_node_leaves_when_the_session_ends(node, ray):
    start, said = node
    process = start(ray)
    if ray == ENDS:
        read_until(process, "the session continues without it")
    _, told = process.communicate("leave\n", timeout=60)
    assert process.returncode == 0, told
    assert "Fatal Python error" not in told
    assert not said.exists()


def test_a_node_stays_when_its_input_ends_without_a_word(node):
    start, _ = node
    process = start(RUNS)
    process.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    process.stdin = None
