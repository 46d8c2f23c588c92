"""Every read model that follows the log."""

from projections.fraud.model import FRAUD
from projections.fraud_cases import FRAUD_CASES
from projections.history import HISTORY
from projections.journal import JOURNAL
from projections.outstanding_fold import OUTSTANDING
from projections.read_model import ReadModel
from projections.withdrawal_queue import WITHDRAWAL_QUEUE

READ_MODELS: tuple[ReadModel, ...] = (
    HISTORY,
    JOURNAL,
    WITHDRAWAL_QUEUE,
    OUTSTANDING,
    FRAUD,
    FRAUD_CASES,
)
