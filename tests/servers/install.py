"""`python -m tests.servers.install`: Debian packages of the tests' servers, where that can be done.

Says in one line what can't be had and goes on (exit 0): those tests skip. With CI=true it fails.
"""

import os
import sys

from tests.servers.packages import install
from tests.servers.process import Unavailable


def main() -> int:
    try:
        install()
    except Unavailable as error:
        print(f"test servers: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
