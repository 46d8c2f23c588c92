"""Which adapter serves which provider."""

from collections.abc import Callable, Mapping
from typing import Final

from ledger.providers.protocol import PaymentProvider
from ledger.providers.simulator.adapter import SimulatorProvider

_ADAPTERS: Final[Mapping[str, Callable[[str, str, str], PaymentProvider]]] = {
    "simulator": SimulatorProvider,
}


class UnknownAdapter(ValueError):
    """No adapter has this name."""

    def __init__(self, adapter_name: str) -> None:
        known = ", ".join(sorted(_ADAPTERS))
        super().__init__(f"{adapter_name!r} is no provider adapter; the adapters are: {known}")


def build(adapter_name: str, *, base_url: str, secret: str, token: str) -> PaymentProvider:
    """The provider behind its adapter, ready to be called.

    Raises:
        UnknownAdapter: no adapter has this name.
        ValueError: the adapter cannot use the secret.
    """
    adapter = _ADAPTERS.get(adapter_name)
    if adapter is None:
        raise UnknownAdapter(adapter_name)
    return adapter(base_url, secret, token)
