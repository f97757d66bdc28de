"""The result of a run in a few sentences: under each protocol, what was reached, and what it has to be held against."""

from collections.abc import Iterator

import pandas as pd

from deepemotion.scoring import audit
from launcher.evidence.ceiling import CEILING
from launcher.evidence.findings import Findings, best_rows
from launcher.evidence.models import TOGETHER
from launcher.planning.protocols import Protocol
from launcher.planning.training_sets import HELD_OUT_FOLD, LEFT_OUT, POOLED, SINGLE
from launcher.tables.selection import KEYS, of_kind

NOTHING = "No result yet: no trial that tests a model is done."
# The models whose scores are the result, in this order, and the volumes that these scores are of.
_KINDS = {SINGLE: "validation", POOLED: "validation", LEFT_OUT: "unseen", HELD_OUT_FOLD: "unseen"}
_IN_WORDS = {SINGLE: "single-subject models", LEFT_OUT: "left-out subjects", HELD_OUT_FOLD: "held-out folds"}
_PLACE = [*KEYS, "split"]
_LEVELS = {"label_only_accuracy": "labels alone", "majority_accuracy": "the majority class", "chance": "chance"}


def result_sentences(findings: Findings) -> list[str]:
    """Return a sentence for each protocol and kind of models that has scores, the published protocol's first.

    Models of a kind are reported together, by their best condition where there are several. Each sentence has the
    accuracy with its interval, p, the best control and whether every control is beaten, what labels alone score and
    the observers' ceiling, and says what is missing of these and what keeps the accuracy from being a claim.
    """
    scores, compared = findings.scores, findings.compared
    if scores.empty:
        return [NOTHING]
    with_controls = set() if compared.empty else set(compared[_PLACE].itertuples(index=False, name=None))
    published = scores["protocol"] == Protocol.random.in_tables
    parts = [scores[published], *(part for _, part in scores[~published].groupby("protocol", sort=False))]
    reported = [one for part in parts for one in _reported(part)]
    return [_sentence(row, model, tuple(row[_PLACE]) in with_controls) for row, model in reported] or [NOTHING]


def _reported(scores: pd.DataFrame) -> Iterator[tuple[pd.Series, str]]:
    """Yield the rows of one protocol that are its result, and which models each is of."""
    best = best_rows(scores)
    for kind, split in _KINDS.items():
        tested = best[best["split"] == split] if len(best) else best
        for _, models in tested.groupby("nested"):
            single, together = of_kind(models, kind), models[models["training_set"] == TOGETHER.get(kind)]
            rows = together if len(together) else single
            for _, row in rows.iterrows():
                yield row, f"{len(single)} {_IN_WORDS[kind]}" if len(together) else str(row["training_set"])


def _sentence(row: pd.Series, model: str, with_controls: bool) -> str:
    parts = [f"{_percent(row['accuracy'])}{_interval(row)}", _p(row), _controls(row, with_controls), _labels(row)]
    parts += [] if pd.isna(row[CEILING]) else [f"observers agree in {_percent(row[CEILING])}"]
    where = f"{_protocol(row['protocol'])}, {model} ({_condition(row)})"
    return " ".join([f"{where}: {'; '.join(parts)}.", *_reservations(row)])


def _protocol(name: str) -> str:
    """Return the words for a protocol's name in tables."""
    return next((f"{one.in_words} ({name})" for one in Protocol if one.in_tables == name), name)


def _condition(row: pd.Series) -> str:
    if row["conditions"] > 1:
        return f"{row['condition']}, the best of {row['conditions']}"
    return f"{row['condition']}, chosen inside" if row["nested"] else str(row["condition"])


def _p(row: pd.Series) -> str:
    if pd.isna(row["p_conditions"]):
        return "no p, since permutations of the labels are missing"
    return f"p = {row['p_conditions']:.2g} by {row['permutations']} permutations of the labels"


def _controls(row: pd.Series, with_controls: bool) -> str:
    if pd.isna(row["beats_controls"]):
        if with_controls:
            return "whether it beats the controls is open, since these lack folds"
        return "no control without a brain"
    answer = "yes" if row["beats_controls"] else "no"
    best = f" (the best is {row['best_control']} with {_percent(row['best_control_accuracy'])})"
    return f"beats every control without a brain: {answer}{best if row['best_control'] else ''}"


def _labels(row: pd.Series) -> str:
    known = {words: row[name] for name, words in _LEVELS.items() if not pd.isna(row[name])}
    if len(known) < len(audit.COLUMNS):
        return "what labels alone score is not known"
    highest = max(known, key=known.__getitem__)
    if row["beats_labels"]:
        return f"labels alone, the majority class and chance reach {_percent(known[highest])} at most"
    return f"not above {highest} with {_percent(known[highest])}"


def _reservations(row: pd.Series) -> Iterator[str]:
    """Yield a sentence for each reason why the accuracy is not a claim."""
    if row["protocol"] == Protocol.random.in_tables:
        yield "Not a claim: neighbours of the tested volumes were trained on."
    if row["conditions"] > 1:
        yield "The best condition was chosen on the volumes that the accuracy is of, which flatters it."
    if row["trials"] < row["planned"]:
        yield f"Preliminary: {row['trials']} of {row['planned']} trials are done."


def _interval(row: pd.Series) -> str:
    low, high = row["accuracy_low"], row["accuracy_high"]
    return "" if pd.isna(low) else f", 95 % interval {100 * low:.0f} to {100 * high:.0f} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
