"""`python -m mailhaul.cli`, the same as `mailhaul`."""

import sys

from mailhaul.cli.main import main

sys.exit(main())
