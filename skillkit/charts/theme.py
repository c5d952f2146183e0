"""The look of all figures: sizes, colours, and how a notebook stores a chart.

Colours are safe for colour-blind readers: viridis for magnitudes, blue to orange for signed values, and the
palette of Okabe and Ito for categories, doubled by a shape wherever several categories meet in one panel.
"""

import hashlib
import html
from typing import Any

import altair as alt
from altair.utils.html import spec_to_html

Figure = alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart | alt.HConcatChart | alt.VConcatChart

PAGE_WIDTH = 700  # px, the text column of a book page
MAX_ROWS = 5_000  # marks that a page can carry without becoming slow

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#6E6E6E"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY)
RULE_COLOUR = "#555555"  # dashed lines for chance levels and diagonals

# The same thing has the same colour on every page.
ROLE_COLOURS = {
    "tuned": BLUE,
    "random": GREY,
    "majority": BLACK,
    "none": SKY,
    "skill": VERMILLION,
    "matched": ORANGE,
    "least": GREEN,
    "clean": BLUE,
    "adversarial": VERMILLION,
    "clean originals": BLUE,
}


@alt.theme.register("skillkit", enable=False)
def theme() -> alt.theme.ThemeConfig:
    """The look shared by all figures: legible sizes, light grid, white background."""
    return {
        "config": {
            "background": "white",
            "font": "Helvetica Neue, Helvetica, Arial, sans-serif",
            "view": {"stroke": "#CCCCCC", "continuousWidth": 540, "continuousHeight": 260},
            "title": {"fontSize": 15, "subtitleFontSize": 12, "anchor": "start", "subtitleColor": "#444444"},
            "axis": {
                "labelFontSize": 12,
                "titleFontSize": 13,
                "titleFontWeight": "normal",
                "gridColor": "#E8E8E8",
                "labelLimit": 220,
                "titleLimit": 600,
            },
            "legend": {
                "labelFontSize": 12,
                "titleFontSize": 12,
                "titleFontWeight": "normal",
                "labelLimit": 240,
            },
            "header": {"labelFontSize": 13, "titleFontSize": 13, "titleFontWeight": "normal"},
            "range": {"category": list(PALETTE)},
            "line": {"strokeWidth": 2},
            "point": {"size": 60, "filled": True},
        }
    }


def enable() -> None:
    """Switch on the theme and the renderer; call it once at the start of a notebook.

    Charts are then stored as a live HTML figure and as their text description. The HTML asks for Vega by
    version and loads nothing where a page already provides it, as the book does. For slides and papers use
    `png`, or *Save as SVG* in a figure's menu.
    """
    alt.theme.enable("skillkit")
    alt.renderers.register("skillkit", stored_output)
    alt.renderers.enable("skillkit")


def stored_output(spec: dict[str, Any], **_: Any) -> dict[str, Any]:
    """What a notebook keeps of a chart: the MIME bundle of a live figure, and its description in words.

    Args:
        spec: The chart's Vega-Lite specification.
    """
    from altair.vegalite import v6

    # A name made from the content keeps executed notebooks identical from run to run.
    name = "figure-" + hashlib.sha256(repr(spec).encode()).hexdigest()[:12]
    page = spec_to_html(
        spec,
        mode="vega-lite",
        vega_version=v6.VEGA_VERSION,
        vegaembed_version=v6.VEGAEMBED_VERSION,
        vegalite_version=v6.VEGALITE_VERSION,
        output_div=name,
        embed_options={"renderer": "svg", "actions": {"export": True, "source": False, "editor": False}},
        fullhtml=False,
        template="universal",
    )
    description = spec.get("description", "a figure")
    label = html.escape(description, quote=True)
    return {
        "text/html": f'<div role="figure" aria-label="{label}">{page}<noscript>{label}</noscript></div>',
        "text/plain": description,
    }


def png(chart: Figure | dict[str, Any], scale: float = 1.5) -> bytes:
    """A still picture of a chart (or of its Vega-Lite specification), `scale` pixels per page pixel."""
    import vl_convert

    return vl_convert.vegalite_to_png(chart if isinstance(chart, dict) else chart.to_dict(), scale=scale)
