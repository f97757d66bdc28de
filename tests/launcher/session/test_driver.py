"""A driver process: its events, its output, and how all of its processes end."""

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil

# A driver whose work leaves a process behind that nobody else would end: its parent has ended already.
LAUNCH = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from launcher.session.driver import Driver

folder = Path(sys.argv[1])

def work(send):
    print("text of Ray")
    os.write(2, b"text of its core\\n")
    orphan = subprocess.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True).stdout
    send("left", int(orphan))
    {rest}

driver = Driver(folder, folder / "driver.log", work)
while not driver.ended:
    for event in driver.events(1):
        print(json.dumps(event), flush=True)
        {then}
driver.end()
print(json.dumps(["output", (folder / "driver.log").read_text()]), flush=True)
"""


def start(folder, rest="", then="pass"):
    folder.mkdir()
    code = textwrap.dedent(LAUNCH).format(rest=rest, then=then)
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)


def has_gone(pid):
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)
    return True


def test_a_driver_that_ends_leaves_no_process_and_its_output_is_in_a_file(tmp_path):
    with start(tmp_path / "a", rest="send('done')") as process:
        events = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    (_, orphan), done, (_, output) = events
    assert done == ["done"]
    assert set(output.splitlines()) == {"text of Ray", "text of its core"}
    assert has_gone(orphan)


def test_a_driver_that_is_killed_ends_its_events_and_leaves_no_process(tmp_path):
    with start(tmp_path / "a", rest="os.kill(os.getpid(), signal.SIGKILL)") as process:
        left, _ = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    assert has_gone(left[1])


def test_a_driver_that_hangs_is_ended_with_all_of_its_processes(tmp_path):
    with start(tmp_path / "a", rest="time.sleep(600)", then="driver.ended = True") as process:
        left, _ = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    assert has_gone(left[1])


def test_a_launch_that_is_killed_takes_all_processes_and_its_folder_with_it(tmp_path):
    folder: Path = tmp_path / "a"
    with start(folder, rest="time.sleep(600)") as process:
        orphan = json.loads(process.stdout.readline())[1]
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert has_gone(orphan)
    assert all(has_gone(one.pid) for one in below)
    deadline = time.monotonic() + 30
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
