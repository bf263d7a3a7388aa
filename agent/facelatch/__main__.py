# SPDX-License-Identifier: Apache-2.0
"""``python -m facelatch``: the command line, for where the console script is not on the path."""

from facelatch.cli import main

if __name__ == "__main__":
    main(prog_name="facelatch")
