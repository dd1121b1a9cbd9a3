"""Vega in the page: its JavaScript, and each chart drawn beforehand as SVG.

vl-convert brings Vega, Vega-Lite and Vega-Embed with it, so nothing is fetched. What is drawn beforehand is
what a reader without scripts sees: in a mail, in a sandbox.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

LICENCE = "Vega, Vega-Lite, Vega-Embed: (c) University of Washington Interactive Data Lab, BSD-3-Clause"
_CLIP = re.compile(r"\bclip\d+\b")
WIDTH = 620
"""Pixels of what is drawn beforehand; a style sheet shrinks it."""


@lru_cache(maxsize=1)
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, 0.9 MB: ``window.vegaEmbed`` draws with it.

    It may stand within ``<script>``: nothing in it ends one.
    """
    import vl_convert

    text: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub is stricter than it
    return f"/* {LICENCE} */\n" + text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def drawn(spec: Mapping[str, Any], name: str, width: int = WIDTH) -> str:
    """A chart as the text of an SVG picture; its colours stay CSS variables.

    Args:
        spec: Vega-Lite as ``charts`` makes it.
        name: of the chart, which no other on the page has.
        width: in pixels.
    """
    import vl_convert

    fixed = {**spec, "width": width}
    text: str = vl_convert.vegalite_to_svg(fixed, allowed_base_urls=[], show_warnings=False)
    # Vega numbers its clips through a process: pictures would share some, and none be the same twice.
    numbers: dict[str, int] = {}
    text = _CLIP.sub(lambda m: f"{name}-clip-{numbers.setdefault(m[0], len(numbers))}", text)
    return text.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace(
        ' xmlns="http://www.w3.org/2000/svg"', ""
    )
