"""An Engine over TCP with TLS, by Docker's own variables, and what is said where that is amiss."""

from __future__ import annotations

import http.server
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from healthagent.core.notice import Notice
from healthagent.docker_api import FAULTS, connect, explained

NOBODY = 65534


class Version(http.server.BaseHTTPRequestHandler):
    """All that is asked of an Engine by who connects to it."""

    def do_GET(self) -> None:
        body = b'{"ApiVersion": "1.41"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


def make_certificates(folder: Path) -> None:
    """One for both sides, and the CA that it is from: itself."""
    made = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    openssl(folder, "req", "-x509", *curve, "-days", "1", "-subj", "/CN=engine", *made)
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())


@pytest.fixture
def certificates(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that DOCKER_CERT_PATH names; others than its owner may look into it."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        make_certificates(folder)
        monkeypatch.setenv("DOCKER_CERT_PATH", made)
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        yield folder


@pytest.fixture
def engine(certificates: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Version)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    tls.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"tcp://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


def refused(url: str) -> Notice:
    with pytest.raises(FAULTS) as caught:
        connect(url)
    return explained(caught.value, url)


def test_it_is_asked_with_the_certificates_that_docker_cert_path_names(
    engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever CAs a company has for the web."""
    make_certificates(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    assert connect(engine).api_version == "1.41"


def test_a_certificate_of_another_ca_is_told(engine: str, certificates: Path) -> None:
    make_certificates(certificates)
    notice = refused(engine)
    assert notice.problem.startswith(f"the certificate of the Engine at {engine} does not hold: ")
    assert "ca.pem in DOCKER_CERT_PATH" in notice.remedy


def test_so_it_is_where_the_certificate_is_of_another_name(engine: str) -> None:
    notice = refused(engine.replace("127.0.0.1", "localhost"))
    assert "is not valid for 'localhost'" in notice.problem


def test_an_engine_without_tls_is_told(certificates: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Version) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        notice = refused(f"tcp://127.0.0.1:{server.server_port}")
        server.shutdown()
        serving.join()
    assert notice.problem.endswith("and the agent find no TLS together: wrong version number")


@contextmanager
def as_nobody() -> Iterator[None]:
    """As the user of the agent's image is no other's."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("file", ["ca.pem", "cert.pem", "key.pem"])
def test_a_file_that_is_not_there_or_may_not_be_read_is_told(
    engine: str, certificates: Path, file: str
) -> None:
    (certificates / file).chmod(0)
    with as_nobody():
        closed = refused(engine)
    (certificates / file).unlink()
    for notice in (closed, refused(engine)):
        assert "ca.pem, cert.pem and key.pem" in notice.problem
        assert "DOCKER_CERT_PATH" in notice.remedy


def test_an_engine_on_a_socket_needs_none_of_them(certificates: Path) -> None:
    (certificates / "key.pem").unlink()
    notice = refused(f"unix://{certificates}/none")
    assert notice.problem == f"there is no socket {certificates}/none"
