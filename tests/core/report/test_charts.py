from lt4rec_core.report import charts

DAYS = ["2026-01-05", "2026-01-06"]


def lines():
    return [
        {"day": day, "name": name, "value": value, "low": low, "high": high}
        for name, values in (("baseline", (0.5, 0.60)), ("sNET", (0.5, 0.601)))
        for day, value, low, high in zip(DAYS, values, (None, None), (None, None), strict=True)
    ]


def test_each_line_is_labelled_where_it_ends_and_no_label_covers_another():
    rows = charts.label_ends(lines(), "value", height=0.1)

    ends = {row["label"]: row for row in rows if row["label"]}
    assert set(ends) == {"baseline", "sNET"}
    assert all(row["day"] == DAYS[1] for row in ends.values())
    assert ends["sNET"]["label_at"] - ends["baseline"]["label_at"] >= 0.1 * (0.601 - 0.5) - 1e-12
    assert ends["baseline"]["label_at"] == 0.60


def test_no_band_is_drawn_where_no_line_has_an_interval():
    rows = charts.label_ends(lines(), "value")
    shades = {"baseline": "grey", "sNET": "blue"}
    plain = charts.over_days(rows, DAYS, shades)
    banded = charts.over_days([{**row, "low": 0.4, "high": 0.7} for row in rows], DAYS, shades)

    def areas(spec):
        return [layer for layer in spec["layer"] if layer["mark"]["type"] == "area"]

    assert areas(plain) == []
    (band,) = areas(banded)
    assert {row["name"] for row in band["data"]["values"]} == {"sNET"}


def test_at_most_seven_days_are_written_along_the_axis():
    days = [f"2026-01-{day:02}" for day in range(1, 29)]

    assert len(charts.day_axis(days)["axis"]["values"]) == 7
    assert charts.day_axis(DAYS)["axis"]["values"] == DAYS


def test_the_words_of_a_dot_and_its_tick_stand_on_the_sides_they_lie_on():
    def sides(value, other):
        spec = charts.beside([{"name": "all", "value": value, "other": other}], ("dot", "tick"), "AUC")
        words = [layer for layer in spec["layer"] if layer["mark"]["type"] == "text"]
        return {layer["encoding"]["text"]["value"]: layer["mark"]["align"] for layer in words}

    assert sides(0.7, 0.6) == {"dot": "left", "tick": "right"}
    assert sides(0.6, 0.7) == {"dot": "right", "tick": "left"}


def test_colours_are_the_pages_own_so_that_charts_follow_its_theme():
    spec = charts.funnel([{"step": "delivered", "n": 3, "told": "3", "strength": 1.0}])

    assert spec["layer"][0]["mark"]["color"] == "var(--accent)"
    assert spec["config"]["background"] is None
