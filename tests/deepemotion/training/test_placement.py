"""Where volumes go on a machine with a GPU, as far as a CPU can tell, and that steps never wait for one."""

import shutil

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.models.registry import build
from deepemotion.samples.load import load
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.training import checkpoints, memory, placement, trial_data
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

CUDA = torch.device("cuda")


def trial(*overrides, subjects=("01",)):
    small = ["train.epochs=1", "data.drop_overlaps=false", "model.name=linear"]
    return make_trial(read_settings(config_files.find("demo"), [*small, *overrides]), list(subjects), [])


def test_volumes_stay_on_a_device_that_has_room_for_them_and_a_step(tiny_packed, tiny_labels, monkeypatch):
    wanted = trial()
    samples = load(tiny_packed, ["01"], Labels.read(tiny_labels), wanted.data)
    step = memory.besides_volumes(wanted, 12 * 14 * 10, len(samples.voxels_V), 8) - memory.PROCESS_BYTES
    for free, fits in ((samples.volume_bytes + step, True), (samples.volume_bytes + step - 1, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10 * free))
        assert placement.fits_device(samples, wanted, CUDA) is fits
    assert placement.fits_device(samples, wanted, torch.device("cpu"))


def test_volumes_that_a_device_has_no_room_for_are_staged_and_told(tiny_packed, tiny_labels, monkeypatch, tmp_path):
    monkeypatch.setattr(trial_data, "fits_device", lambda *_: False)
    staged, held = TrialDirectory(tmp_path / "staged"), TrialDirectory(tmp_path / "held")
    train(trial(), tiny_packed, tiny_labels, staged, lambda metrics: None)
    monkeypatch.undo()
    train(trial(), tiny_packed, tiny_labels, held, lambda metrics: None)
    assert "stay in the host's memory" in staged.log_file.read_text()
    one, other = ([{**row, "time/epoch": 0} for row in directory.read_epochs()] for directory in (staged, held))
    assert one == other


class Waits(TorchDispatchMode):
    """Counts what would make the host wait for a GPU: reading a value, or a result whose size depends on values."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique")

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__.startswith(self.NAMES)
        return func(*args, **(kwargs or {}))


AUGMENTED = ("augment.noise=0.1", "augment.intensity=0.1", "augment.shift_voxels=1", "augment.mixup=0.2")
SOFT = ("train.loss=soft", "train.class_weights=balanced", "train.weight_decay=0.1")


@pytest.mark.parametrize("memory_bytes", [None, 1])
@pytest.mark.parametrize("changes", [("model.name=cnn3d",), (*AUGMENTED, *SOFT)])
def test_the_host_waits_for_the_device_no_oftener_with_more_steps(
    tiny_packed, tiny_labels, tmp_path, changes, memory_bytes
):
    counts = []
    for size in (8, 32):
        directory = TrialDirectory(tmp_path / str(size))
        with Waits() as waits:
            wanted = trial(*changes, f"train.batch_size={size}")
            train(wanted, tiny_packed, tiny_labels, directory, lambda metrics: None, memory_bytes)
        counts.append(waits.count)
    assert counts[0] == counts[1] > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_model_trains_and_its_checkpoint_needs_no_compiler(tiny_packed, tiny_labels, tmp_path):
    directory = TrialDirectory(tmp_path / "t")
    wanted = trial("train.compile=true", "train.epochs=2")
    result = train(wanted, tiny_packed, tiny_labels, directory, lambda metrics: None)
    plain = TrialDirectory(tmp_path / "plain")
    train(trial("train.epochs=2"), tiny_packed, tiny_labels, plain, lambda metrics: None)
    losses = [[row["loss/train"] for row in one.read_epochs()] for one in (directory, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    model = build(wanted.model, (10, 14, 12), 5)
    model.load_state_dict(checkpoints.read(directory.checkpoints / "last.pt")["model"])
    assert result["epochs"] == 2


def test_without_a_compiler_a_line_says_so(tiny_packed, tiny_labels, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match=r"train\.compile: .* needs a C\+\+ compiler, but no-such-compiler"):
        train(trial("train.compile=true"), tiny_packed, tiny_labels, TrialDirectory(tmp_path / "t"), print)
