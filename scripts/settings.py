"""Look at the configuration files that are given; without any, print config.yaml, as the parameters are declared."""

import sys
from pathlib import Path

from calflow.configuration.settings import check_files, default_config

if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(check_files([Path(name) for name in sys.argv[1:]]) or None)
    print(default_config(), end="")
