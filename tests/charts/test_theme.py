"""How charts are stored in notebooks, and what drawing them needs."""

import subprocess
import sys

import altair as alt
from figure_tables import draw

from skillkit import charts


def stored():
    bundle = draw("accuracy_bars")._repr_mimebundle_()
    return bundle[0] if isinstance(bundle, tuple) else bundle


def test_the_renderer_stores_page_and_words_and_the_same_ones_each_time():
    charts.enable()
    try:
        bundle, again = stored(), stored()
    finally:
        alt.renderers.enable("default")
    assert set(bundle) == {"text/html", "text/plain"}
    assert bundle == again
    assert "vega" in bundle["text/html"] and "tuned, seed 0 0.87" in bundle["text/plain"]
    assert 'aria-label="Accuracy' in bundle["text/html"] and "<noscript>Accuracy" in bundle["text/html"]


def test_drawing_needs_no_torch():
    code = (
        "import sys\n"
        "from skillkit import charts\n"
        "[getattr(charts, name) for name in charts.__all__]\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
