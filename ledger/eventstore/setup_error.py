"""What an operator has to put right before the ledger can run."""


class SetupError(Exception):
    """The ledger cannot run here; the message says why and what to do."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(f"{problem}\n{remedy}")
        self.problem = problem
        self.remedy = remedy
