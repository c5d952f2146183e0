"""The figures about attacked text: what they draw and say."""

from figure_tables import draw, slopes


def test_a_chance_that_nobody_knows_is_neither_drawn_nor_named():
    known = draw("clean_vs_adversarial").to_dict()
    unknown = draw("clean_vs_adversarial", slopes().assign(chance=float("nan"))).to_dict()
    assert "dashed: chance" in known["title"]["subtitle"]
    assert "chance" not in unknown["title"]["subtitle"]
    assert len(unknown["spec"]["layer"]) == len(known["spec"]["layer"]) - 1


def test_the_reliability_diagram_says_how_overconfident_answers_are():
    said = draw("reliability_diagram").to_dict()["description"]
    assert "clean: confidence minus accuracy +0.00; adversarial: confidence minus accuracy +0.40" in said


def test_consistency_has_a_panel_for_each_measure():
    spec = draw("consistency_scatter").to_dict()
    assert [panel["encoding"]["x"]["field"] for panel in spec["hconcat"]] == ["shared", "cosine"]
    assert "a: robustness 0.20, shared 0.35, cosine 2.00" in spec["description"]
