"""Which addresses workflows may reach. Checked where the connection is made, so that no name can lie."""

import asyncio
import functools
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses that a gateway translates to the IPv4 address in their last bits (RFC 6052)."""


class ForbiddenAddressError(OSError):
    """The name leads to an address that workflows may not reach."""


class LookupTimeoutError(OSError):
    """Nobody said in time where the name leads."""


class Guard:
    """Tells addresses that may be reached from those that may not.

    Args:
        allowed: Networks (`10.0.0.0/8`), `loopback`, or `all`. Public addresses are always allowed.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        words = set(allowed)
        self._all = "all" in words
        self._loopback = "loopback" in words
        self._networks = [ipaddress.ip_network(word, strict=False) for word in words - {"all", "loopback"}]
        # Reading an address costs a tenth of a call, and most calls go where others went.
        self._allows = functools.lru_cache(maxsize=1024)(self._decide)

    def check(self, host: str, text: str) -> None:
        """Raise ForbiddenAddressError for an address that may not be reached.

        Args:
            host: The name that was looked up, for the message.
            text: The address.
        """
        if not self._allows(text):
            raise ForbiddenAddressError(
                f"{host} is at {text}, which is not public; allow it with lemline.http.private-addresses"
            )

    def _decide(self, text: str) -> bool:
        address = _plain(ipaddress.ip_address(text.partition("%")[0]))
        if self._all or (address.is_global and not address.is_multicast):
            return True
        if address.is_loopback and self._loopback:
            return True
        return any(address.version == network.version and address in network for network in self._networks)


def _plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one may wrap."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


class GuardedResolver(AbstractResolver):
    """Looks names up on the event loop's threads, and refuses what the guard refuses."""

    def __init__(self, guard: Guard, seconds: float) -> None:
        self._guard = guard
        self._seconds = seconds

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        except TimeoutError as error:
            raise LookupTimeoutError(f"looking up {host} took longer than {self._seconds:g} s") from error
        return [self._result(host, each) for each in found]

    def _result(self, host: str, found: Any) -> ResolveResult:
        family, _, proto, _, address = found
        self._guard.check(host, address[0])
        return ResolveResult(
            hostname=host, host=address[0], port=address[1], family=family, proto=proto, flags=socket.AI_NUMERICHOST
        )

    async def close(self) -> None:
        """Nothing is kept."""
