"""TLS by LIBPROCESS_SSL_*: one port for HTTP and for the agents' channels, and nothing in clear on it."""
import os
import socket
import ssl
import subprocess
import time

import pytest

from harness.cluster import Cluster
from harness.http import Connection, PROTOBUF, get, get_json, request, request_bytes


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def certificates(folder):
    """An authority, and a certificate of it for the loopback address."""
    at = str(folder)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test authority",
            "-keyout", at + "/ca.key", "-out", at + "/ca.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1",
            "-keyout", at + "/key.pem", "-out", at + "/request.pem")
    with open(at + "/names", "w", encoding="ascii") as f:
        f.write("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", at + "/request.pem", "-CA", at + "/ca.pem", "-CAkey", at + "/ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", at + "/names", "-out", at + "/cert.pem")
    os.chmod(at + "/key.pem", 0o644)
    return at


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    at = certificates(tmp_path_factory.mktemp("tls"))
    env = {"LIBPROCESS_SSL_ENABLED": "true", "LIBPROCESS_SSL_KEY_FILE": at + "/key.pem", "LIBPROCESS_SSL_CERT_FILE": at + "/cert.pem",
           "LIBPROCESS_SSL_CA_FILE": at + "/ca.pem", "LIBPROCESS_SSL_VERIFY_SERVER_CERT": "true"}
    os.environ.update(env)
    Connection.tls = ssl.create_default_context(cafile=at + "/ca.pem")
    try:
        with Cluster(1) as c:
            yield c
    finally:
        Connection.tls = None
        for name in env:
            del os.environ[name]


def test_https(cluster):
    for daemon in (cluster.master, cluster.agent):
        assert get(daemon.address, "/health").status == 200
        with Connection(daemon.address) as c:
            assert c.sock.version() in ("TLSv1.2", "TLSv1.3")
    # Cluster() waited for the agent: its channel is on the same port, for there is no other.
    assert get_json(cluster.master.address, "/metrics/snapshot")["master/slaves_active"] == 1


def test_a_scheduler_over_https(cluster, scheduler):
    _, end = scheduler.run("echo hello", "TASK_FINISHED")
    assert end["message"] == "Command exited with status 0"


def test_the_relay_to_agents(cluster):
    """The master's connection to the agent is TLS, too, and the agent's certificate is verified."""
    agent_id = cluster.slaves()[0]["id"]
    assert get_json(cluster.master.address, "/agent/%s/state" % agent_id)["id"] == agent_id


def test_big_answers_come_whole(cluster):
    """More than one TLS record and more than the socket takes at once."""
    with Connection(cluster.master.address) as c:
        for _ in range(50):
            c.send(request_bytes("GET", "/flags") + request_bytes("GET", "/help"))
        time.sleep(0.3)
        for _ in range(50):
            assert c.answer().json()["flags"]
            assert c.answer().status in (200, 404)


def test_nothing_in_clear(cluster):
    for daemon in (cluster.master, cluster.agent):
        host, port = daemon.address.split(":")
        for words in (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
                      b"GET /wire HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: fairlead-wire/1\r\n\r\n"):
            with socket.create_connection((host, int(port)), timeout=10) as s:
                s.sendall(words)
                try:
                    said = s.recv(4096)
                except ConnectionError:
                    said = b""
                assert not said.startswith(b"HTTP/"), said
        assert get(daemon.address, "/health").status == 200


def test_a_client_that_trusts_somebody_else_does_not_get_in(cluster):
    host, port = cluster.master.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(s, server_hostname=host)
    assert get(cluster.master.address, "/health").status == 200


def test_a_silent_or_broken_handshake_holds_nobody_up(cluster):
    host, port = cluster.master.address.split(":")
    held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(20)]
    try:
        for s in held[::2]:
            s.sendall(b"\x16\x03\x01\x02\x00\x01")
        start = time.monotonic()
        assert get(cluster.master.address, "/health").status == 200
        assert time.monotonic() - start < 5
    finally:
        for s in held:
            s.close()
    body = request(cluster.master.address, "POST", "/api/v1", {"Content-Type": "application/json", "Accept": PROTOBUF},
                   '{"type":"GET_HEALTH"}')
    assert body.status == 200 and body.headers["content-type"] == PROTOBUF
