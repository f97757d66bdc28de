"""Models of a pool of subjects that a later launch changed: they are done, and count no longer."""

import finished_run
import small_plan

from launcher.tables.trials import write_tables


def without(one, pool, condition="lr-0.001"):
    members = {"subjects": [name for name in pool if name != one], "unseen_subjects": [one]}
    name = f"without-{one}_{condition}_of-{len(pool)}"
    return small_plan.planned(name, f"without-{one}", condition, train={"epochs": finished_run.EPOCHS}, **members)


def test_models_of_the_former_pool_count_no_longer_with_or_without_a_successor(tmp_path):
    three, two = ["01", "02", "03"], ["01", "02"]
    former, later = [without(one, three) for one in three], [without(one, two) for one in two]
    other = without("03", three, "lr-0.01")
    run = finished_run.make(tmp_path / "r", [*former, other, *later])
    trials = write_tables(run)
    # Of the two with a successor the last counts; what no trial of the later pool takes the place of is replaced.
    assert set(trials.latest.done.names) == {other.name, *(trial.name for trial in later)}
    assert trials.table.set_index("trial")["state"][former[2].name] == "replaced"
