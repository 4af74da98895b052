"""Hours and memory of the rows at full scale: by hand, and beside today's configurations."""

import json

import pytest

from experiments.reproduce.costs import plan_words, read
from experiments.reproduce.full import rate
from experiments.reproduce.jobs import REPOSITORY
from experiments.reproduce.page import full_scale
from experiments.reproduce.plan import ROWS, aliases, config_of
from urfr_tf.cli import main


def test_the_rate_is_operations_a_second_over_those_of_an_image():
    # 8 x 30e12 a second; 3 passes of 2 x 10.2e9 operations an image, one in the uncertainty stage.
    assert rate("table1_3_3") == pytest.approx(3921.57, abs=0.01)
    assert rate("table2_all_pa") == pytest.approx(11764.71, abs=0.01)


def test_the_costs_of_full_scale_are_those_of_todays_configurations():
    """docs/results/figures/plan.json is made by hand: `python -m experiments.reproduce.costs`."""
    costs = read(REPOSITORY / "docs")
    alias = aliases("")
    assert costs.keys() == set(ROWS) - set(alias)
    for row, cost in costs.items():
        epochs = config_of(row, "")["train"]["epochs"]
        assert cost["images_seen"] == pytest.approx(epochs * 4.8e6, rel=1e-4)
        assert cost["hours"] == pytest.approx(cost["images_seen"] / round(rate(row)) / 3600)
        assert cost["fits"] and cost["needed"] < 24 * 2**30


@pytest.mark.slow
def test_the_memory_of_full_scale_is_that_of_todays_code(capsys):
    costs = read(REPOSITORY / "docs")
    assert main([*plan_words("table2_all_pa"), "--json"]) == 0
    planned = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert planned["images_seen"] == costs["table2_all_pa"]["images_seen"]
    assert planned["needed"] == pytest.approx(costs["table2_all_pa"]["needed"], rel=0.1)


def test_full_scale_has_memory_and_hours_of_each_row():
    planned = {"table2_all": {"images_seen": 129600000, "needed": 3 * 2**29, "hours": 9.18}}
    text = "\n".join(full_scale(planned))
    assert "| `table2_all` | 129.6 | 1.5 | 9.2 | S2S 58.94, 37.57; S2B 60.74, 37.11 |" in text
    assert "| `table1_3_3` | 129.6 | 1.5 | 9.2 | 63.89; 68.67; 61.98; 67.12 |" in text  # the same run
    assert "| `table2_baseline` | not run | not run | not run | " in text
    assert "8 rows and one seed take 9 hours" in text
