"""What a session says of how busy its machine is."""

import socket

import pytest

from launcher.session.usage import usage


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Return a function that puts a program in the place of nvidia-smi."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(script):
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return install


def test_gpus_are_named_by_their_host(nvidia_smi):
    nvidia_smi("echo '0, 87, 2048'; echo '3, 0, 0'")
    host = socket.gethostname()
    found = usage()
    assert 0 <= found.pop(f"{host}: CPUs in %") <= 100
    of_first = {f"{host}: GPU 0 in %": 87.0, f"{host}: GPU 0 memory in GiB": 2.0}
    assert found == of_first | {f"{host}: GPU 3 in %": 0.0, f"{host}: GPU 3 memory in GiB": 0.0}


@pytest.mark.parametrize("script", ["exit 9", "echo '0, [N/A], 1'", "echo broken"])
def test_a_gpu_that_does_not_answer_is_left_out(nvidia_smi, script):
    nvidia_smi(script)
    assert list(usage()) == [f"{socket.gethostname()}: CPUs in %"]
