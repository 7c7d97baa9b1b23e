import socket

import pytest

from annohooks.core.deadline import Deadline
from annohooks.core.errors import Forbidden, Upstream
from annohooks.core.http import Outbound
from annohooks.core.origins import Origins

LISTED = "https://allowed.host http://plain.host:8080, https://10.1.2.3 http://[::1]:9000\nhttps://*.example.org"


@pytest.fixture
def origins():
    return Origins.parse(LISTED)


@pytest.fixture
def resolves_to(monkeypatch):
    def resolve(*addresses):
        def answer(host, port, *args, **kwargs):
            return [
                (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
                for a in addresses
            ]

        monkeypatch.setattr("socket.getaddrinfo", answer)

    return resolve


def open_outbound(origin):
    return Outbound(origin, Deadline.after(5), platform="Slide Score")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://allowed.host", "https://allowed.host"),
        ("https://allowed.host/", "https://allowed.host"),
        ("https://allowed.host:443/Api/x?y=1#z", "https://allowed.host"),
        ("https://allowed.host?x", "https://allowed.host"),
        ("HTTPS://Allowed.HOST/Path", "https://allowed.host"),
        ("http://plain.host:8080/", "http://plain.host:8080"),
        ("https://10.1.2.3/", "https://10.1.2.3"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
        ("http://[0:0:0:0:0:0:0:1]:9000/", "http://[::1]:9000"),
    ],
)
def test_a_listed_origin_is_allowed_however_it_is_written(origins, url, origin):
    match = origins.match(url)
    assert (str(match), match.explicit) == (origin, True)


@pytest.mark.parametrize("url", ["https://a.example.org/", "https://a.b.EXAMPLE.org"])
def test_any_name_below_a_listed_parent_is_allowed_but_is_not_explicit(origins, url):
    assert origins.match(url).explicit is False


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "http://[::1]/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "https://allowed.host.evil.com",
        "https://evil.com/allowed.host",
        "https://evil.com#allowed.host",
        "https://evil.com?@allowed.host",
        "https://notallowed.host",
        "https://allowed.host@evil.com/",
        "https://evil.com@allowed.host/",
        "https://user:password@allowed.host/",
        "https://allowed.host\\@evil.com/",
        "https://allowed.host\\.evil.com/",
        "https://allowed.host%2eevil.com/",
        "https://allowed.host:8080",
        "https://allowed.host:80",
        "https://allowed.host:",
        "https://allowed.host:0",
        "https://allowed.host:99999",
        "https://allowed.host:\u0664\u0664\u0663",
        "http://allowed.host",
        "https://plain.host:8080",
        "https://allowed.host.",
        "https://.allowed.host",
        "https://allowed..host",
        "https://\u0430llowed.host",
        "https://allowed\u3002host",
        "https://xn--llowed-6fg.host",
        "https://allowed.host\n",
        " https://allowed.host",
        "https://allowed.host /",
        "https:// allowed.host",
        "https://allowed.host\t.evil.com",
        "https:///allowed.host",
        "https:/allowed.host",
        "//allowed.host",
        "allowed.host",
        "file:///etc/passwd",
        "file://allowed.host/etc/passwd",
        "ftp://allowed.host/",
        "gopher://allowed.host/",
        "javascript:alert(1)",
        "https://example.org/",
        "https://badexample.org/",
        "http://a.example.org/",
        "https://a.example.org:8443/",
        "https://a.example.org.evil.com/",
        "https://10.1.2.4/",
        "https://010.1.2.3/",
        "https://[fe80::1%25eth0]/",
        "https://[]/",
        "https://[:::]/",
        "https://",
        "",
        "https://" + "a" * 64 + ".example.org",
        "https://" + "a." * 130 + "example.org",
    ],
)
def test_anything_else_is_forbidden(origins, url):
    with pytest.raises(Forbidden) as raised:
        origins.match(url)
    assert raised.value.message == "The request names a server that this deployment does not allow."


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_list_allows_nothing(text):
    with pytest.raises(Forbidden):
        Origins.parse(text).match("https://allowed.host")


@pytest.mark.parametrize(
    "entry",
    [
        "allowed.host",
        "*",
        "https://*",
        "https://*.org",
        "https://*.10.1.2.3",
        "https://a.*.org",
        "https://*.*.example.org",
        "http://*.example.org",
        "ftp://allowed.host",
        "https://allowed.host/path",
        "https://allowed.host?x",
        "https://127.1",
        "https://пример.org",
        "https://allowed.host:port",
    ],
)
def test_an_entry_that_is_no_origin_is_named(entry):
    with pytest.raises(ValueError, match="is not an origin such as") as raised:
        Origins.parse(f"https://fine.example.org {entry}")
    assert repr(entry) in str(raised.value)


def test_a_password_in_an_entry_is_not_repeated():
    with pytest.raises(ValueError, match=r"allowed\.host") as raised:
        Origins.parse("https://user:canary@allowed.host")
    assert "canary" not in str(raised.value)


PUBLIC = "93.184.216.34"
LOCAL = [
    "169.254.169.254",
    "fe80::1",
    "fd00:ec2::254",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",
    "::",
    "::ffff:169.254.169.254",
]
PRIVATE = ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fc00::1", "::ffff:10.0.0.1"]
ODD = ["240.0.0.1", "255.255.255.255", "192.0.2.1", "fec0::1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"]


@pytest.mark.parametrize("address", [*LOCAL, *PRIVATE, *ODD])
def test_a_name_that_resolves_to_an_address_that_is_not_public_is_forbidden(origins, resolves_to, address):
    resolves_to(address)
    with pytest.raises(Forbidden) as raised:
        open_outbound(origins.match("https://a.example.org"))
    assert address not in raised.value.message


def test_one_address_that_is_not_public_among_others_is_enough_to_forbid(origins, resolves_to):
    resolves_to(PUBLIC, "10.0.0.1")
    with pytest.raises(Forbidden):
        open_outbound(origins.match("https://a.example.org"))


@pytest.mark.parametrize(
    "addresses", [[PUBLIC], ["2606:2800:220:1::1"], [PUBLIC, "2606:2800:220:1::1"], ["64:ff9b::5db8:d822"]]
)
def test_public_addresses_are_allowed(origins, resolves_to, addresses):
    resolves_to(*addresses)
    with open_outbound(origins.match("https://a.example.org")) as outbound:
        assert outbound.origin == "https://a.example.org"


@pytest.mark.parametrize("address", PRIVATE)
def test_an_origin_listed_by_name_may_be_at_a_private_address(origins, resolves_to, address):
    resolves_to(address)
    with open_outbound(origins.match("https://allowed.host")) as outbound:
        assert outbound.origin == "https://allowed.host"


@pytest.mark.parametrize("address", LOCAL)
def test_an_origin_listed_by_name_is_never_at_a_link_local_or_multicast_address(origins, resolves_to, address):
    resolves_to(address)
    with pytest.raises(Forbidden):
        open_outbound(origins.match("https://allowed.host"))


def test_an_address_that_is_itself_listed_is_allowed():
    origin = Origins.parse("http://169.254.7.7:9000").match("http://169.254.7.7:9000/x")
    with open_outbound(origin) as outbound:
        assert outbound.origin == "http://169.254.7.7:9000"


def test_a_name_nobody_knows_is_an_upstream_error(origins, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    with pytest.raises(Upstream, match=r"The server of Slide Score could not be found\."):
        open_outbound(origins.match("https://allowed.host"))


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/files/1", "/files/1"),
        ("/files/1?a=b#c", "/files/1?a=b"),
        ("https://a.example.org/files/1?a=b#c", "/files/1?a=b"),
        ("https://A.example.org:443/files/1", "/files/1"),
        ("https://a.example.org", "/"),
        ("https://a.example.org?a", "/?a"),
    ],
)
def test_a_location_on_the_same_origin_gives_its_path(origins, resolves_to, location, path):
    resolves_to(PUBLIC)
    with open_outbound(origins.match("https://a.example.org")) as outbound:
        assert outbound.locate(location) == path


@pytest.mark.parametrize(
    "location",
    [
        "https://b.example.org/files/1",
        "http://a.example.org/files/1",
        "https://a.example.org:8443/files/1",
        "https://a.example.org@evil.com/",
        "//evil.com/files/1",
        "/\\evil.com\n",
        "files/1",
        "",
    ],
)
def test_a_location_elsewhere_is_refused_without_repeating_it(origins, resolves_to, location):
    resolves_to(PUBLIC)
    with (
        open_outbound(origins.match("https://a.example.org")) as outbound,
        pytest.raises(
            Upstream, match=r"^Slide Score referred to another server; annohooks does not follow such addresses\.$"
        ),
    ):
        outbound.locate(location)
