"""Every read model that follows the log."""

from projections.engine.read_model import ReadModel
from projections.fraud.model import FRAUD
from projections.fraud_cases.fraud_cases import FRAUD_CASES
from projections.history.history import HISTORY
from projections.journal.journal import JOURNAL
from projections.outstanding.fold import OUTSTANDING
from projections.queue.withdrawal_queue import WITHDRAWAL_QUEUE

READ_MODELS: tuple[ReadModel, ...] = (
    HISTORY,
    JOURNAL,
    WITHDRAWAL_QUEUE,
    OUTSTANDING,
    FRAUD,
    FRAUD_CASES,
)
