"""What steps that flag pixels have in common: the flags are a parameter."""

from calflow.science.dq_flags import flag_bits


class Flagging:
    """Parameters of a step, one of which is ``flags``: names of flags with ``+`` between them."""

    flags: str

    def bits(self) -> int:
        """Return the flags as bits.

        Raises
        ------
        ValueError
            If a name is none of a flag.
        """
        try:
            return flag_bits(self.flags)
        except ValueError as error:
            raise ValueError(f"flags: {error}") from None
