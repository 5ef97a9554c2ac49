"""Parameters of the stages for some exposures alone."""

from typing import Any

from pydantic import Field

from calflow.configuration.selection import ForSome
from calflow.configuration.stage2 import Stage2
from calflow.configuration.stage3 import Stage3


class Override(ForSome):
    """Parameters for some exposures alone, over those of stage2 and stage3; docs/overrides.md."""

    stage2: Stage2 = Field(Stage2(), description="as stage2, only what is other")
    stage3: Stage3 = Field(
        Stage3(), description="as stage3, only what is other; the first exposure of an image decides"
    )

    def values(self, stage: str) -> dict[str, Any]:
        """Return what is given of a stage.

        Parameters
        ----------
        stage : str
            ``stage2`` or ``stage3``.
        """
        return getattr(self, stage).model_dump(exclude_unset=True)
