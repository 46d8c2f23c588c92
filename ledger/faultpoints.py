"""Places where a test may stop the process, named in the code they are in.

Inactive unless the environment arms one: TALLYSTICK_FAULTPOINT="name:3" kills the process with
SIGKILL the third time it passes that place.
"""

import os
import signal
from itertools import count

_NAME, _, _TIMES = os.environ.get("TALLYSTICK_FAULTPOINT", "").partition(":")
_passed = count(1)


def faultpoint(name: str) -> None:
    """Die here if this place is armed and it has been passed often enough."""
    if _NAME and name == _NAME and next(_passed) >= int(_TIMES or 1):
        os.kill(os.getpid(), signal.SIGKILL)
