"""Vega and MathJax from installed packages, so that no page loads anything from another host."""

import json
from importlib import metadata
from pathlib import Path

from skillkit.errors import SkillkitError


def vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that gives the page `vegaEmbed` and leaks no other name.

    Altair's figures load Vega from the network unless `VEGA_DEBUG` names the versions they ask for.
    """
    import vl_convert
    from altair.vegalite import v6

    version = ".".join(v6.VEGALITE_VERSION.split(".")[:2])
    asked = {
        "vega_version": v6.VEGA_VERSION,
        "vegalite_version": v6.VEGALITE_VERSION,
        "vegaembed_version": v6.VEGAEMBED_VERSION,
    }
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return f"(function () {{\n{bundle}\n}})();\nvar VEGA_DEBUG = {json.dumps(asked)};\n"


def mathjax() -> Path:
    """MathJax 3 as one file, from the package sphinx-mathjax-offline.

    Raises:
        SkillkitError: That package is not installed.
    """
    try:
        package = metadata.distribution("sphinx-mathjax-offline")
    except metadata.PackageNotFoundError as error:
        raise SkillkitError(
            "The package sphinx-mathjax-offline is missing; `pip install -e .` brings it."
        ) from error
    [script] = [file for file in package.files or () if file.name == "tex-svg-full.js"]
    return Path(str(package.locate_file(script)))
