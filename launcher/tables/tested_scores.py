"""The scores that the evidence of a run tested, kept for TensorBoard: sessions that update it do not test anything."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from deepemotion.files import write_text
from launcher.tables.hparams import Tested
from launcher.tables.selection import Trials


def known(folder: Path, trials: Trials, tested: Tested | None) -> Tested:
    """Return the scores that were tested last, none where other trials are done since; keep `tested` if it is given."""
    path = folder / "tested.json"
    done = hashlib.sha256("\n".join(trials.done.names).encode()).hexdigest()
    if tested is not None:
        rows = [[*model, dict(scores)] for model, scores in tested.items()]
        write_text(path, json.dumps({"done": done, "models": rows}))
        return tested
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["done"] == done:
            models = content["models"]
            return {(str(k), str(c), str(s)): {n: float(v) for n, v in of.items()} for k, c, s, of in models}
    return {}
