"""What there is to say of a run's nested selections: which refits are not planned, and which no longer count."""

from launcher.run import replacements, selections
from launcher.run.directory import RunDirectory
from launcher.run.trial_files import read_failure


def notes(run: RunDirectory) -> list[str]:
    """Return sentences on the refits that are not planned or no longer count, none where there are none.

    Raises UserError for a damaged record of nested selections.
    """
    unplanned = [one for one in selections.progress(run) if one.trial is None]
    failed = [one for one in unplanned if one.failed]
    waiting = len(unplanned) - len(failed)
    outdated = replacements.without_successor(run, run.read_plan())
    sentences = []
    if waiting:
        sentences.append(f"nested selection: {waiting} refits will be planned when their inner trials are done")
    if failed:
        directory = run.trial(failed[0].failed)
        reason = (read_failure(directory) or {}).get("reason", "")
        sentences.append(
            f"nested selection: {len(failed)} refits cannot be planned, since inner trials failed;"
            f" the first is {failed[0].failed}: {reason}"
        )
    if outdated:
        sentences.append(
            f"nested selection: {len(outdated)} earlier refits no longer count, since a later launch replaced the inner"
            " trials that chose their settings, and no others are planned yet"
        )
    return sentences
