"""`make faults`: provokes faults and generates inputs, and prints a table; exit code 1 where any went ill."""

import argparse
import collections
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "faults"))

import fault_base
import fault_table
from fault_verdict import OUTCOMES

KINDS = ("damage", "packed", "clock", "disk", "pack", "ray", "inputs")


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    wanted = _arguments()
    # A shell that starts this in the background makes it, and all that it starts, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Folders, mounts and processes are tidied up then too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=wanted.folder))
    print(f"seed {wanted.seed}, in {folder}", file=sys.stderr, flush=True)
    rows: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    details: list[str] = []
    try:
        _inject(wanted, folder, rows, details)
        if "inputs" in wanted.kinds and wanted.inputs:
            _generate(wanted, folder, rows, details)
    except KeyboardInterrupt:
        details.append("interrupted")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(rows, details)
    return int(any(row[outcome] for row in rows.values() for outcome in OUTCOMES))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--injections", type=int, default=int(os.environ.get("FAULTS", "300")))
    parser.add_argument("--inputs", type=int, default=int(os.environ.get("INPUTS", "10000")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")) or random.randrange(1, 10**6))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=os.environ.get("KINDS", "").split() or KINDS)
    parser.add_argument("--only", default="", help="faults or inputs whose name holds this")
    parser.add_argument("--folder", type=Path, default=None, help="where to work; a disk that is local")
    return parser.parse_args()


def _inject(
    wanted: argparse.Namespace, folder: Path, rows: dict[str, collections.Counter[str]], details: list[str]
) -> None:
    faults = [fault for fault in fault_table.FAULTS if fault.kind in wanted.kinds and wanted.only in fault.name]
    if not faults or not wanted.injections:
        return
    base = fault_base.build(folder / "base")
    chance = random.Random(wanted.seed)
    # Each at least once where there is room, then by weight.
    order = chance.sample(faults, len(faults))
    order += chance.choices(faults, [fault.weight for fault in faults], k=max(0, wanted.injections - len(order)))
    for number, fault in enumerate(order[: wanted.injections]):
        verdict, took = fault_table.judge(fault, base, folder / "one", wanted.seed + number)
        rows[fault.name]["times"] += 1
        rows[fault.name].update({outcome for outcome, _ in verdict.found})
        for outcome, text in verdict.found:
            details.append(f"{outcome}: {fault.name} (--seed {wanted.seed + number}): {verdict.recipe}\n    {text}")
        said = ", ".join(sorted({outcome for outcome, _ in verdict.found})) or "ok"
        print(f"{number + 1}/{wanted.injections} {fault.name}: {said} ({took:.0f} s)", file=sys.stderr, flush=True)
        for line in details[len(details) - len(verdict.found) :]:
            print(f"  {line}", file=sys.stderr, flush=True)


def _generate(
    wanted: argparse.Namespace, folder: Path, rows: dict[str, collections.Counter[str]], details: list[str]
) -> None:
    import generated_inputs

    base = folder / "base"
    for target, report in generated_inputs.run_all(
        folder, wanted.inputs, wanted.seed, wanted.only, base if base.exists() else None
    ):
        row = rows[f"inputs: {target}"]
        row["times"] += report.tried
        for outcome, text in report.found:
            row[outcome] += 1
            details.append(f"{outcome}: inputs: {target}: {text}")
        print(f"inputs: {target}: {report.tried}, {len(report.found)} findings", file=sys.stderr, flush=True)


def _print(rows: dict[str, collections.Counter[str]], details: list[str]) -> None:
    for line in details:
        print(line)
    columns = ("times", *OUTCOMES)
    width = max([len(name) for name in rows] + [5])
    print("\n" + "fault".ljust(width) + "".join(f"{name:>11}" for name in columns))
    for name, row in sorted(rows.items()):
        print(name.ljust(width) + "".join(f"{row[column]:>11}" for column in columns))
    totals = collections.Counter({column: sum(row[column] for row in rows.values()) for column in columns})
    print("all".ljust(width) + "".join(f"{totals[column]:>11}" for column in columns))


if __name__ == "__main__":
    raise SystemExit(main())
