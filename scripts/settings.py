"""Look at the configuration files that are given; without any, print what is written from the declared parameters."""

import argparse
import sys
from pathlib import Path

from calflow.configuration.documents import config_schema, default_config, parameters_page
from calflow.configuration.settings import check_files

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    written = parser.add_mutually_exclusive_group()
    written.add_argument("--schema", action="store_true", help="print config.schema.json, for editors")
    written.add_argument("--page", action="store_true", help="print docs/configuration.md, the page of all keys")
    parser.add_argument("files", nargs="*", type=Path, help="configuration files to look at; none: print config.yaml")
    given = parser.parse_args()
    if given.files and (given.schema or given.page):
        parser.error("--schema and --page take no files")
    if given.files:
        sys.exit(check_files(given.files) or None)
    print((config_schema if given.schema else parameters_page if given.page else default_config)(), end="")
