"""Pictures as they stand in a page."""

import base64
import io
from pathlib import Path

QUALITY = 75
# Widths in pixels: of an exposure in a page, and as a link to another one.
SMALL, THUMBNAIL = 1200, 320


def embedded(path: Path, most: int = 1600) -> str:
    """Return a picture as an address that holds all of it.

    Parameters
    ----------
    path : Path
        A PNG.
    most : int
        Its width at the most, pixels.
    """
    from PIL import Image

    with Image.open(path) as image:
        small = image.convert("RGB")
        if small.width > most:
            small = small.resize((most, round(small.height * most / small.width)), Image.Resampling.LANCZOS)
        content = io.BytesIO()
        small.save(content, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
