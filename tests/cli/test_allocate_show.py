"""What `gymjax allocate` tells beside its tables: sentences and notes."""

from pathlib import Path
from types import SimpleNamespace

from gym_jax.allocate.recommend import Recommendation, because
from gym_jax.cli.allocate_show import money_line, print_recommendations, print_written

SHARES = {"web": 0.99, "big": 0.82, "huge": 0.91}


def test_what_is_spent_more_is_not_called_saved():
    money = {"saved_per_day": -20.0, "low": -40.0, "high": 5.0, "share": -0.1, "against": "vpa", "violation": 0.05}
    assert money_line({"unit": "cores", "best": "learned"}, money) == (
        "learned gives 20 core-hours a day per 1,000 workloads MORE than vpa as it is (95 %: -5 to 40, "
        "no evidence of a difference; 10%), at the same 5.00 % violation"
    )
    assert "learned gives 20 core-hours a day per 1,000 workloads less than vpa as it is (95 %: -40 to 5" in money_line(
        {"unit": "cores", "best": "learned"}, {**money, "saved_per_day": 20.0, "share": 0.1}
    )
    sure = money_line({"unit": "cores", "best": "learned"}, {**money, "high": -5.0})
    assert "(95 %: 5 to 40; 10%)" in sure


def test_a_gap_in_the_last_day_is_not_called_too_few_days():
    why = {"policy": "highest so far", "margin": 1.2}
    assert because({**why, "history_days": 0.4}) == "0.4 days are too few to learn from: highest so far x 1.2"
    assert because({**why, "history_days": 9.9}) == "an hour or more of the last day is missing: highest so far x 1.2"


def test_workloads_far_above_their_risk_are_named(capsys):
    kept = SimpleNamespace(resource="cpu")
    why = {
        "policy": "learned",
        "covered_own": True,
        "margin": 1.0,
        "raised": 1.0,
        "history_days": 9.0,
        "holds_hours": 1,
    }
    found = [Recommendation(name, 1.0, None, 1.0, {**why, "covered": share}) for name, share in SHARES.items()]
    print_recommendations(found, kept, "table", {"risk": 0.01, "run": "runs/cpu"})
    note, cure = capsys.readouterr().out.splitlines()[-2:]
    assert note == "note: 2 of 3 workloads were above it more than 3 times as often, most big (18.0%):"
    assert "--most 5%" in cure
    print_written(Path("a.yaml"), found, "vpa", 0.01)
    assert capsys.readouterr().out.splitlines() == [
        "3 workloads in a.yaml",
        note,
        cure,
        "note: `web` is no namespace/workload/container: taken for workload and container (3 so)",
    ]
