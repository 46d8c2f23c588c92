"""Accounts: the places where money stands, by name."""

from uuid import UUID


def available(player_id: UUID, currency: str) -> str:
    """What a player may spend or withdraw."""
    return f"player:{player_id}:available:{currency}"


def reserved(player_id: UUID, currency: str) -> str:
    """What is set aside for a payout or a review."""
    return f"player:{player_id}:reserved:{currency}"


def of_player(player_id: UUID, currency: str) -> tuple[str, str]:
    """What is available to a player, and what is reserved."""
    beginning = f"player:{player_id}:"
    return f"{beginning}available:{currency}", f"{beginning}reserved:{currency}"


def clearing(provider: str, currency: str) -> str:
    """Between us and a provider: negative is what the provider owes us."""
    return f"provider:{provider}:clearing:{currency}"


def fees(currency: str) -> str:
    """What providers charged: negative is what we paid."""
    return f"house:fees:{currency}"


def suspense(currency: str) -> str:
    """Differences that nobody has claimed yet."""
    return f"house:suspense:{currency}"


def fx(currency: str) -> str:
    """Between the two sides of conversions."""
    return f"house:fx:{currency}"


def chargebacks(currency: str) -> str:
    """What disputes cost us: negative is what was taken from us."""
    return f"house:chargebacks:{currency}"


def adjustments(currency: str) -> str:
    """The other side of corrections."""
    return f"house:adjustments:{currency}"


def currency_of(account: str) -> str:
    """The currency of an account, the last part of its name."""
    return account.rpartition(":")[2]


def player_of(account: str) -> UUID | None:
    """The player whose account it is, or None."""
    kind, _, rest = account.partition(":")
    return UUID(rest.partition(":")[0]) if kind == "player" else None


def floor_minor(account: str) -> int | None:
    """The balance an account may not go below, in minor units; None where it may."""
    return 0 if account.startswith("player:") else None
