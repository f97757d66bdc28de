"""The tables and sentences that the results and the report show of a run's findings, as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from deepemotion.scoring import audit
from launcher.evidence.ceiling import CEILING, SHARE
from launcher.evidence.controls import with_controls
from launcher.evidence.findings import NOT_ABOVE, Findings, best_rows, chosen, control_mark, marks
from launcher.evidence.models import TOGETHER
from launcher.planning.training_sets import HELD_OUT_FOLD, LEFT_OUT, POOLED, SINGLE
from launcher.tables.selection import KEYS, Trials, of_kind

_AUDIT = list(audit.COLUMNS)
_PLACE = ("condition", "protocol")
_CONDITIONS = "Conditions: accuracy in %, mean ± SD over models"


@dataclass(frozen=True)
class TextTable:
    """A table of text; a column is text to read (`words`) or a number."""

    title: str
    columns: list[str]
    rows: list[list[str]]

    @property
    def words(self) -> set[str]:
        """The columns that are to be aligned at their left."""
        return {"run", "model", "chosen", "control", "emotion", "region", *_PLACE} & set(self.columns)


def tables(findings: Findings) -> list[TextTable]:
    """Return all tables of a run, none where no trial is done."""
    if findings.scores.empty:
        return []
    shown = [conditions(findings.scores), best_models(findings.scores, findings.trials), evidence(findings.scores)]
    return [*shown, controls(findings.controls)] if len(findings.controls) else shown


def conditions(scores: pd.DataFrame) -> TextTable:
    """Return a row for each condition under each protocol, which shows models, rates and settings side by side.

    Accuracies are means over models ± SD (n - 1). p and the best control are those of the single-subject models
    together, or of the pooled model where there are none; unseen subjects have their own, and what labels alone score
    on them.
    """
    return _table(_CONDITIONS, _condition_rows(scores))


def conditions_of_runs(scores: Mapping[str, pd.DataFrame]) -> TextTable:
    """Return the rows of `conditions` of several runs in one table; `scores` are those of each run, by its name."""
    rows = [{"run": run, **row} for run, table in scores.items() if len(table) for row in _condition_rows(table)]
    return _table(_CONDITIONS, rows)


def controls(scores: pd.DataFrame) -> TextTable:
    """Return a row for each control under each protocol, from the scores of controls, as in `conditions`."""
    rows = _condition_rows(with_controls(scores, pd.DataFrame()))
    title = "Controls without a brain: accuracy in %, mean ± SD over models"
    return _table(title, [{"control": row.pop("condition").removeprefix("control-"), **row} for row in rows])


def _condition_rows(scores: pd.DataFrame) -> list[dict[str, str]]:
    rows = []
    for (protocol, condition, _), group in _named(scores).groupby(["protocol", "named", "setup"]):
        seen, unseen = (group[group["split"] == split] for split in ("validation", "unseen"))
        first = SINGLE if len(of_kind(seen, SINGLE)) else POOLED
        last = LEFT_OUT if len(of_kind(unseen, LEFT_OUT)) else HELD_OUT_FOLD
        left_out = of_kind(unseen, last)
        rows.append(
            {
                "condition": str(condition),
                "protocol": str(protocol),
                "single-subject": _mean(of_kind(seen, SINGLE), _all_of(seen, SINGLE)),
                "pooled": _mean(of_kind(seen, POOLED), _all_of(seen, POOLED)),
                "labels alone": _percent(of_kind(seen, first)["label_only_accuracy"].mean()),
                "best control": "".join(map(_best_control, _all_of(seen, first))),
                "p": "".join(_p(row["p_conditions"]) for row in _all_of(seen, first)),
                "unseen subjects": _mean(left_out, _all_of(unseen, last)),
                "labels alone, unseen": _percent(left_out["label_only_accuracy"].mean()),
                "best control, unseen": "".join(map(_best_control, _all_of(unseen, last))),
                "p, unseen": "".join(_p(row["p_conditions"]) for row in _all_of(unseen, last)),
            }
        )
    return rows


def best_models(scores: pd.DataFrame, trials: Trials) -> TextTable:
    """Return each model's condition of the highest validation accuracy under each protocol, and single subjects' mean.

    Unseen subjects are those of the same condition. Validation accuracy flatters the condition that it chose: the table
    is for choosing, not for claims, but for rows that say `inside`: there, inner folds chose.
    """
    rows = []
    best = best_rows(_named(scores))
    best = best[(best["split"] == "validation") & ~best["training_set"].isin(TOGETHER.values())]
    train = trials.latest.done.true_labels.table.groupby(KEYS)["accuracy_train"].mean()
    unseen = scores[scores["split"] == "unseen"].set_index(KEYS)
    for _, row in best.iterrows():
        key = tuple(row[KEYS])
        rows.append(
            {
                "model": row["training_set"],
                "condition": row["named"],
                "protocol": row["protocol"],
                "chosen": chosen(row),
                "trials": str(row["trials"]),
                "train": _percent(train[key]),
                "validation": _accuracy(row),
                "unseen": _accuracy(unseen.loc[key]) if key in unseen.index else "",
                **_audit(row),
            }
        )
    for (protocol, nested), models in of_kind(best, SINGLE).groupby(["protocol", "nested"]):
        name = {"model": f"single-subject (n = {len(models)})", "protocol": str(protocol)}
        inside = nested and (models["conditions"] == 1).all()
        name |= {"condition": "each chosen inside" if inside else "each its best"}
        rows.append({**name, "validation": _mean(models, [], n=False), **_audit(models[_AUDIT].mean())})
    return _table("Best condition of each model: accuracy in %", rows, several=("protocol",))


def evidence(scores: pd.DataFrame) -> TextTable:
    """Return the scores of `best_rows` with their intervals, p-values and marks."""
    rows = [
        {
            "model": _model(row),
            "condition": row["named"],
            "protocol": row["protocol"],
            "chosen": chosen(row),
            "n": str(row["n"]),
            "accuracy": f"{_interval(row, 'accuracy')} {marks(row)}".rstrip(),
            "balanced accuracy": _interval(row, "balanced_accuracy"),
            "macro F1": _interval(row, "macro_f1"),
            "ECE": _percent(row["ece"]),
            "labels alone": _percent(row["label_only_accuracy"]),
            "best control": _best_control(row),
            "observers": _interval(row, CEILING),
            "of observers": _interval(row, SHARE),
            **{title: _p(row[name]) for title, name in (("p", "p_conditions"), ("Holm", "p_holm"), ("q", "p_bh"))},
        }
        for _, row in best_rows(_named(scores)).iterrows()
    ]
    return _table("Evidence, folds and seeds put together: scores in %, [95 %]", rows, several=_PLACE)


def pairs(paired: pd.DataFrame) -> list[str]:
    """Return a sentence for each comparison of the pooled model with the single-subject ones."""
    if paired.empty:
        return []
    return [
        f"pooled against single-subject, {pair['named']}, {pair['protocol']}: {_percent(pair['pooled'])} against"
        f" {_percent(pair['single'])} %, difference {100 * pair['difference']:+.1f}"
        f" [{100 * pair['low']:+.1f}, {100 * pair['high']:+.1f}], p = {_p(pair['p'])}"
        f" (signs of {pair['subjects']} subjects flipped)"
        for pair in _named(paired).to_dict("records")
    ]


def _model(row: pd.Series) -> str:
    alone = row["training_set"] not in TOGETHER.values()
    return str(row["training_set"]) + (" on unseen" if alone and row["split"] == "unseen" else "")


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Add `named`: the condition, with its setup where the rows have several of that condition and protocol."""
    setups = rows.groupby(["condition", "protocol"])["setup"].transform("nunique")
    both = rows["condition"] + " (setup " + rows["setup"] + ")"
    return rows.assign(named=rows["condition"].where(setups == 1, both))


def _all_of(rows: pd.DataFrame, kind: str) -> list[pd.Series]:
    """Return the row of the models whose training sets begin so: of all together where there are several."""
    models = of_kind(rows, kind)
    together = rows[rows["training_set"] == TOGETHER[kind]] if len(models) > 1 else models
    return [row for _, row in together.iterrows()]


def _best_control(row: pd.Series) -> str:
    name = row["best_control"]
    return f"{name} {_percent(row['best_control_accuracy'])}" if name else ""


def _mean(models: pd.DataFrame, together: Sequence[pd.Series], n: bool = True) -> str:
    """Return the mean over models ± SD, with † where it does not exceed the means of what needs no brain data.

    `together`, the row of all these models, says whether they exceed the controls.
    """
    if models.empty:
        return ""
    mean = models["accuracy"].mean()
    several = len(models) > 1
    spread = f" ± {_percent(models['accuracy'].std())}" if several else ""
    mark = "" if audit.beats(mean, models[_AUDIT].mean()) else NOT_ABOVE
    mark += "".join(map(control_mark, together))
    return f"{_percent(mean)}{spread}{f' (n = {len(models)})' if n and several else ''} {mark}".rstrip()


def _accuracy(row: pd.Series) -> str:
    mark = ("" if row["beats_labels"] else NOT_ABOVE) + control_mark(row)
    return f"{_percent(row['accuracy'])} {mark}".rstrip()


def _audit(row: pd.Series) -> dict[str, str]:
    titles = ("labels alone", "majority", "chance")
    return {title: _percent(row[name]) for title, name in zip(titles, _AUDIT, strict=True)}


def _interval(row: pd.Series, name: str) -> str:
    low, high = 100 * row[f"{name}_low"], 100 * row[f"{name}_high"]
    return _percent(row[name]) + (f" [{low:.0f}, {high:.0f}]" if low == low else "")


def _percent(share: float) -> str:
    return "" if pd.isna(share) else f"{100 * share:.1f}"


def _p(p: float) -> str:
    return "" if pd.isna(p) else f"{p:.2g}"


def _table(title: str, rows: Sequence[Mapping[str, str]], several: Sequence[str] = ()) -> TextTable:
    """Return the table without its empty columns, and without those of `several` that say the same in each row."""
    cells = {name: [row.get(name, "") for row in rows] for row in rows for name in row}
    columns = [
        name for name, column in cells.items() if any(column) and not (name in several and len(set(column)) == 1)
    ]
    return TextTable(title, columns, [[cells[name][i] for name in columns] for i in range(len(rows))])
