"""What can be asked of exports."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from api.audit.events import Topic
from api.http.free_text import check_line
from api.http.instants import When
from api.http.paging import POSITION_MAX
from api.http.requests import Body

Kind = Literal["deposit", "withdrawal", "refund", "conversion", "dispute", "adjustment"]
Position = Annotated[StrictInt, Field(ge=0, le=POSITION_MAX)]
Provider = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(check_line)]


class EventsExport(Body):
    """Events of the log in files. Several filters mean all of them at once."""

    kind: Literal["events"] = Field(description="What is exported.", examples=["events"])
    format: Literal["jsonl", "csv", "parquet", "cloudevents", "xlsx"] = Field(
        description="xlsx takes up to 200,000 events.", examples=["jsonl"]
    )
    after: Position = Field(default=0, description="Events behind this position.", examples=[0])
    upto: Position | None = Field(
        default=None,
        description="Up to this position; else to where the log ends when the export begins.",
        examples=[None],
    )
    recorded_from: When | None = Field(
        default=None, description="Recorded from this instant on.", examples=[None]
    )
    recorded_to: When | None = Field(
        default=None, description="Recorded before this instant.", examples=[None]
    )
    player_id: UUID | None = Field(
        default=None,
        description="The player's own events, their transactions', and their turnover.",
        examples=[None],
    )
    transaction_id: UUID | None = Field(
        default=None, description="Of this transaction.", examples=[None]
    )
    kinds: list[Kind] = Field(
        default_factory=list,
        max_length=6,
        description="Of transactions of these kinds.",
        examples=[["deposit", "refund"]],
    )
    provider: Provider | None = Field(
        default=None,
        description="Of transactions begun with this provider, and events that name it.",
        examples=[None],
    )
    topics: list[Topic] = Field(
        default_factory=list,
        max_length=200,
        description="Of any of these types.",
        examples=[["DepositCompleted"]],
    )

    def request(self, hidden: Sequence[str]) -> dict[str, Any]:
        """As the job keeps it: the same for the same export. Without the topics `hidden`."""
        selection: dict[str, Any] = {
            "after": self.after,
            "upto": self.upto,
            "recorded_from": _text(self.recorded_from),
            "recorded_to": _text(self.recorded_to),
            "player_id": None if self.player_id is None else str(self.player_id),
            "transaction_id": None if self.transaction_id is None else str(self.transaction_id),
            "kinds": list(self.kinds),
            "provider": self.provider,
            "topics": list(self.topics),
        }
        if hidden:
            selection["without"] = list(hidden)
        return {"format": self.format, "selection": selection}


class CaseExport(Body):
    """A case as one file: everything about a player or a transaction, with the proof of it."""

    kind: Literal["case"] = Field(description="What is exported.", examples=["case"])
    player_id: UUID | None = Field(default=None, description="All of a player.", examples=[None])
    transaction_id: UUID | None = Field(
        default=None,
        description="A transaction, and what belongs to it.",
        examples=["0b7e6d5c-9a51-4f3e-8a44-3f1f4b1f5a10"],
    )

    @model_validator(mode="after")
    def _of_one(self) -> "CaseExport":
        if (self.player_id is None) is (self.transaction_id is None):
            raise PydanticCustomError("case_of_one", "Input should name a player or a transaction")
        return self

    def request(self, hidden: Sequence[str]) -> dict[str, Any]:
        """As the job keeps it. Without the topics `hidden`."""
        without = {"without": list(hidden)} if hidden else {}
        if self.player_id is not None:
            return {"player_id": str(self.player_id), **without}
        return {"transaction_id": str(self.transaction_id), **without}


AnyExport = Annotated[EventsExport | CaseExport, Field(discriminator="kind")]


def _text(instant: datetime | AwareDatetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
