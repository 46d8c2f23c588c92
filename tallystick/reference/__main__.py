"""`python -m tallystick.reference`."""

import sys

from tallystick.reference.pages import main

sys.exit(main())
