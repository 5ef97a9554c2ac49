"""What maps have besides what is always in them."""

from typing import Literal

from pydantic import Field

from calflow.configuration.section import Section


class SkyMap(Section):
    """Maps of images, to pan and zoom in."""

    hips: Literal["none", "png", "fits", "both"] = Field(
        "none", description="make a HiPS of each image with the maps, for Aladin: pictures, values, or both"
    )

    @property
    def tile_formats(self) -> list[str]:
        """The formats of the tiles of a HiPS, the one to show first; none: there is none."""
        return {"none": [], "both": ["png", "fits"]}.get(self.hips, [self.hips])
