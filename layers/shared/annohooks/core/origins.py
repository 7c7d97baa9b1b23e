"""The servers that may be contacted: their names, and their addresses.

Anybody can write a URL into a webhook's body. Such a URL can only choose among the origins that a deployment lists.
Source of the rules: OWASP, Server-Side Request Forgery Prevention Cheat Sheet.
"""

import ipaddress
import re
import socket
from typing import NamedTuple

from annohooks.core.errors import Forbidden, Upstream

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_DEFAULT_PORTS = {"https": 443, "http": 80}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?"
    r"(?P<rest>(?:[/?#][\x21-\x7e]*)?)",
    re.ASCII | re.IGNORECASE,
)
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_AWS_LOCAL_V6 = ipaddress.ip_network("fd00:ec2::/32")


class Origin(NamedTuple):
    """One server. explicit: the deployment's list names this exact host, so its address may be private."""

    scheme: str
    host: str
    port: int
    explicit: bool = False

    @property
    def netloc(self) -> str:
        """Host and port as in a URL, without the port that the scheme implies."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


def split_url(url: str) -> tuple[Origin, str] | None:
    """The origin of an absolute http or https URL, and the rest of the URL. None for any other text."""
    parts = _URL.fullmatch(url)
    if parts is None or len(parts["host"]) > 253:
        return None
    scheme, host = parts["scheme"].lower(), parts["host"].lower().strip("[]")
    port = int(parts["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port < 65536:
        return None
    # A resolver reads "127.1" and "0x7f000001" as addresses. A host that ends in a number must be a full address.
    if ":" in host or re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rpartition(".")[2]):
        try:
            host = str(ipaddress.ip_address(host))
        except ValueError:
            return None
    return Origin(scheme, host, port), parts["rest"]


class Origins:
    """The origins that a deployment allows. An empty list allows none."""

    def __init__(self, origins: frozenset[Origin] = frozenset(), parents: frozenset[Origin] = frozenset()) -> None:
        self._origins = origins
        self._parents = parents

    @classmethod
    def parse(cls, text: str) -> "Origins":
        """Reads origins separated by commas or white space.

        An entry is `https://host[:port]`, `http://host[:port]` or `https://*.example.org[:port]`, which stands for
        every name below example.org but not for example.org. Raises ValueError with an entry that is none of these.
        """
        origins: set[Origin] = set()
        parents: set[Origin] = set()
        for entry in re.split(r"[,\s]+", text.strip()) if text.strip() else ():
            wildcard = entry.startswith("https://*.")
            parsed = split_url(entry.replace("*.", "", 1) if wildcard else entry)
            if parsed is None or parsed[1] not in ("", "/") or (wildcard and not re.search(r"\.[a-z]", parsed[0].host)):
                raise ValueError(f"{entry.rpartition('@')[2]!r} is not an origin such as https://slides.example.org")
            (parents if wildcard else origins).add(parsed[0])
        return cls(frozenset(origins), frozenset(parents))

    def match(self, url: str) -> Origin:
        """The allowed origin of an absolute URL. Raises Forbidden if the URL's origin is not allowed."""
        parsed = split_url(url)
        if parsed is not None:
            origin = parsed[0]
            if origin in self._origins:
                return origin._replace(explicit=True)
            labels = origin.host.split(".")
            if any(origin._replace(host=".".join(labels[n:])) in self._parents for n in range(1, len(labels))):
                return origin
        raise Forbidden("The request names a server that this deployment does not allow.")


def permitted_address(origin: Origin, platform: str) -> str:
    """The address to connect to. Every address that the name resolves to must be permitted.

    An address must be public, or the origin explicit. A link-local, multicast or unspecified address is permitted only
    if the list names that exact address. platform: the server's name in messages. Raises Forbidden, or Upstream if the
    name is not known.
    """
    try:
        answers = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except OSError:
        raise Upstream(f"The server of {platform} could not be found.") from None
    addresses = [ipaddress.ip_address(str(answer[4][0])) for answer in answers]
    if not addresses or not all(_permitted(address, origin) for address in addresses):
        raise Forbidden(f"The server of {platform} is at an address that this deployment does not allow.")
    # Lambda has no IPv6 outside a VPC.
    return str(min(addresses, key=lambda address: address.version))


def _permitted(address: Address, origin: Origin) -> bool:
    if origin.explicit and str(address) == origin.host:
        return True
    inner = _inner(address)
    if inner.is_link_local or inner.is_multicast or inner.is_unspecified or inner in _AWS_LOCAL_V6:
        return False
    return origin.explicit or (inner.is_global and (inner.version == 4 or inner in _GLOBAL_V6))


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address contains (mapped, 6to4, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
