import datetime
import socket
import ssl
import threading
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from annohooks.core import http
from annohooks.core.errors import Upstream

REFUSED = "No secure connection to Slide Score could be made while asking: its certificate was refused."


def answer(connection, request):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture
def certified(tmp_path, monkeypatch):
    """Makes TLS contexts for servers, each with its own certificate for a name; slides.example.org is this machine."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        "socket.getaddrinfo",
        lambda host, *args, **kwargs: resolve("127.0.0.1" if host == "slides.example.org" else host, *args, **kwargs),
    )
    trusted = tmp_path / "trusted.pem"
    trusted.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    http._tls_context.cache_clear()

    def make(name, *, trust=True, expired=False):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=-1 if expired else 1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        pem = tmp_path / f"{name}.pem"
        pem.write_bytes(
            certificate
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        if trust:
            trusted.write_bytes(trusted.read_bytes() + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context

    yield make
    http._tls_context.cache_clear()


def test_the_certificate_is_checked_by_name_though_the_address_is_connected_to(serve, outbound, certified):
    names = []
    tls = certified("slides.example.org")
    tls.sni_callback = lambda connection, name, context: names.append(name)
    server = serve(answer, tls)
    got = outbound(f"https://slides.example.org:{server.port}").request("GET", "/", doing="asking")
    assert got.body == b"ok"
    assert names == ["slides.example.org"]
    assert server.requests[0].headers["host"] == f"slides.example.org:{server.port}"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("other.example.org", {}),
        ("example.org", {}),
        ("127.0.0.1", {}),
        ("slides.example.org", {"trust": False}),
        ("slides.example.org", {"expired": True}),
    ],
)
def test_any_other_certificate_is_refused_before_anything_is_sent(serve, outbound, certified, name, options):
    server = serve(answer, certified(name, **options))
    with pytest.raises(Upstream) as raised:
        outbound(f"https://slides.example.org:{server.port}").request("GET", "/", doing="asking", attempts=3)
    assert raised.value.message == REFUSED
    assert server.requests == []
    assert server.connections == 1


def test_plain_http_where_https_is_listed_gets_nothing(outbound, certified):
    received = bytearray()

    def speak_plainly(listener):
        connection, _ = listener.accept()
        with connection, suppress(ConnectionResetError):
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            while piece := connection.recv(4096):
                received.extend(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=speak_plainly, args=[listener], daemon=True)
        thread.start()
        client = outbound(f"https://slides.example.org:{listener.getsockname()[1]}")
        with pytest.raises(Upstream, match=r"^No secure connection to Slide Score could be made while asking\.$"):
            client.request("GET", "/canary", doing="asking", headers={"Authorization": "canary"})
        thread.join()
    assert received
    assert b"canary" not in received
