"""What all tests share."""

from hypothesis import settings

# How long a test takes says more of the machine than of the code.
settings.register_profile("calflow", deadline=None)
settings.load_profile("calflow")
