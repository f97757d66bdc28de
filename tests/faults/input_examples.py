"""The valid files that generated inputs are made from: those of the base that faults start from."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import fault_base
from fault_steps import add_what_launches_leave


@dataclass(frozen=True)
class Examples:
    """A folder with a base; its runs hold every kind of file that a run can hold. Only read."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, base: Path | None = None) -> "Examples":
        """Fill the folder, from a base that was built already if there is one."""
        if base is None:
            fault_base.build(folder)
        else:
            shutil.copytree(base, folder)
        examples = cls(folder)
        for place in (examples.finished, examples.half):
            add_what_launches_leave(place)
        return examples

    @property
    def finished(self) -> fault_base.Place:
        """Everything around a finished run."""
        return fault_base.Place(self.folder / "finished")

    @property
    def half(self) -> fault_base.Place:
        """Everything around a run with one trial done, one interrupted and failed, and one not begun."""
        return fault_base.Place(self.folder / "half")

    @property
    def raw(self) -> Path:
        """The dataset."""
        return self.folder / "raw"

    @property
    def interrupted(self) -> str:
        """The name of the trial of `half` that is interrupted."""
        return list(self.half.trials())[1][0].name

    @property
    def done(self) -> str:
        """The name of the trial of `half` that is done."""
        return next(self.half.trials())[0].name
