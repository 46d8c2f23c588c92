"""Verify: is the log as it was written, and does everything else follow from it?"""

from replay.verify.findings import CORE_PARTS as CORE_PARTS
from replay.verify.findings import PROBLEMS_MAX as PROBLEMS_MAX
from replay.verify.findings import CheckpointsChecked as CheckpointsChecked
from replay.verify.findings import PartResult as PartResult
from replay.verify.findings import Problem as Problem
from replay.verify.findings import Verification as Verification
from replay.verify.pool import WorkerDied as WorkerDied
from replay.verify.run import RangeInvalid as RangeInvalid
from replay.verify.run import UnknownPart as UnknownPart
from replay.verify.run import part_names as part_names
from replay.verify.run import verify as verify
from replay.verify.run import verify_log as verify_log
