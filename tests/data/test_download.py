"""Downloads from servers that misbehave, each a real one on the loopback interface."""

import gzip
import hashlib
import http.server
import random
import resource
import threading
import time

import pytest

from jackpot.data.download import download
from jackpot.errors import JackpotError

BODY = random.Random(7).randbytes(900_000)
SHA256 = "sha256:" + hashlib.sha256(BODY).hexdigest()
MD5 = "md5:" + hashlib.md5(BODY).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Be right back</body></html>"


class Server:
    """Answers each GET with the next of ``answers``; the last one stands for all that follow."""

    def __init__(self, *answers):
        self.answers, self.ranges = list(answers), []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.ranges.append(self.headers.get("Range"))
                answer = owner.answers.pop(0) if len(owner.answers) > 1 else owner.answers[0]
                answer(self)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/file.bin"


@pytest.fixture
def serve():
    servers = []

    def start(*answers):
        servers.append(Server(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def reply(handler, status, body, headers=(), declared=None):
    handler.send_response(status)
    for name, value in dict(headers).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body) if declared is None else declared))
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler):
    reply(handler, 200, BODY)


def drops(at):
    """The first ``at`` bytes of what was asked for, then the connection ends."""

    def answer(handler):
        start = asked(handler)
        rest = BODY[start:]
        status, headers = (206, content_range(start)) if start else (200, {})
        reply(handler, status, rest[:at], headers, declared=len(rest))

    return answer


def drops_without_range(handler):
    reply(handler, 200, BODY[:400_000], declared=len(BODY))


def honours_range(handler):
    start = asked(handler)
    if start >= len(BODY):
        return reply(handler, 416, b"", {"Content-Range": f"bytes */{len(BODY)}"})
    if start:
        return reply(handler, 206, BODY[start:], content_range(start))
    return whole(handler)


def asked(handler):
    asked_for = handler.headers.get("Range")
    return int(asked_for.removeprefix("bytes=").removesuffix("-")) if asked_for else 0


def content_range(start):
    return {"Content-Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"}


def status(code, body=PAGE, **headers):
    return lambda handler: reply(handler, code, body, {"Content-Type": "text/html", **headers})


def fetch(urls, path, digest=SHA256, **options):
    options = {"backoff": 0.01, "retries": 3, "timeout": (2.0, 2.0), "progress": False} | options
    return download(urls, path, digest=digest, **options)


def message_of(urls, path, **options):
    with pytest.raises(JackpotError) as caught:
        fetch(urls, path, **options)
    assert not path.exists()
    return str(caught.value)


@pytest.mark.parametrize("digest", [SHA256, MD5, SHA256.upper().replace("SHA256", "sha256")])
def test_a_plain_download_and_none_the_second_time(tmp_path, serve, digest):
    server, path = serve(whole), tmp_path / "new" / "file.bin"
    for _ in range(2):
        assert fetch([server.url], path, digest=digest) == path
        assert path.read_bytes() == BODY
    assert server.ranges == [None]
    assert not path.with_name("file.bin.part").exists()


def test_a_dropped_connection_is_resumed_where_it_stopped(tmp_path, serve):
    server, path = serve(drops(300_000), drops(100_000), honours_range), tmp_path / "file.bin"
    fetch([server.url], path)
    assert path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=400000-"]


def test_a_later_call_resumes(tmp_path, serve):
    path = tmp_path / "file.bin"
    message_of([serve(drops(300_000), status(404)).url], path)
    second = serve(honours_range)
    fetch([second.url], path)
    assert path.read_bytes() == BODY
    assert second.ranges == ["bytes=300000-"]


def test_a_connection_that_brings_something_each_time_is_not_given_up(tmp_path, serve):
    server, path = serve(drops(100_000)), tmp_path / "file.bin"
    fetch([server.url], path, retries=1)
    assert path.read_bytes() == BODY
    assert len(server.ranges) == 9


def test_a_server_that_ignores_range(tmp_path, serve):
    server, path = serve(drops(300_000), whole), tmp_path / "file.bin"
    fetch([server.url], path)
    assert path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-"]


def test_a_server_that_ignores_range_and_always_drops_is_given_up(tmp_path, serve):
    server = serve(drops_without_range)
    said = message_of([server.url], tmp_path / "file.bin", retries=2)
    assert "the connection failed at byte 400,000" in said
    assert len(server.ranges) == 4


def test_a_wrong_range_is_not_appended(tmp_path, serve):
    path, good = tmp_path / "file.bin", serve(honours_range)
    wrong = serve(drops(300_000), lambda handler: reply(handler, 206, BODY[5:], content_range(5)))
    fetch([wrong.url, good.url], path)
    assert path.read_bytes() == BODY
    assert good.ranges == ["bytes=300000-"]


@pytest.mark.parametrize("left", [b"x" * 1000, BODY[:-1] + b"?", BODY + b"more"])
def test_a_spoilt_part_is_thrown_away_once(tmp_path, serve, left):
    path = tmp_path / "file.bin"
    path.with_name("file.bin.part").write_bytes(left)
    server = serve(honours_range)
    fetch([server.url], path)
    assert path.read_bytes() == BODY
    assert server.ranges == [f"bytes={len(left)}-", None]


def test_a_whole_part_needs_only_its_name(tmp_path, serve):
    path = tmp_path / "file.bin"
    path.with_name("file.bin.part").write_bytes(BODY)
    fetch([serve(honours_range).url], path)
    assert path.read_bytes() == BODY


def test_503_pages_are_waited_for(tmp_path, serve):
    server, path = serve(status(503), status(503), whole), tmp_path / "file.bin"
    started = time.monotonic()
    fetch([server.url], path, backoff=0.1)
    assert path.read_bytes() == BODY
    assert time.monotonic() - started > 0.5 * (0.1 + 0.2)


@pytest.mark.parametrize(
    "page",
    [
        status(200),
        status(200, BODY),
        lambda handler: reply(handler, 200, b"\n <HTML>" + PAGE),
    ],
)
def test_a_page_with_status_200_is_refused_and_not_kept(tmp_path, serve, page):
    server, path = serve(page), tmp_path / "file.bin"
    assert "an HTML page in place of the file" in message_of([server.url], path)
    assert len(server.ranges) == 1
    assert not path.with_name("file.bin.part").exists()


def test_a_page_does_not_cost_what_was_there(tmp_path, serve):
    path = tmp_path / "file.bin"
    part = path.with_name("file.bin.part")
    part.write_bytes(BODY[:1000])
    message_of([serve(status(200)).url], path)
    message_of([serve(lambda handler: reply(handler, 200, PAGE)).url], path)
    assert part.read_bytes() == BODY[:1000]


def test_mirrors_fall_through_in_order(tmp_path, serve):
    path = tmp_path / "file.bin"
    other = serve(lambda handler: reply(handler, 200, BODY[::-1]))
    good, unused = serve(whole), serve(whole)
    fetch(["http://127.0.0.1:9/no", serve(status(404)).url, other.url, good.url, unused.url], path)
    assert path.read_bytes() == BODY
    assert (good.ranges, unused.ranges) == ([None], [])


def test_the_last_message_says_what_each_answered_and_what_to_do(tmp_path, serve):
    missing, ill, wrong = serve(status(404)), serve(status(503)), serve(drops(10), whole)
    urls = [missing.url, ill.url, "gopher://x/file.bin", wrong.url]
    digest = "sha256:" + "0" * 64
    said = message_of(urls, tmp_path / "file.bin", digest=digest, dataset="mine", retries=1)
    lines = said.splitlines()
    assert lines[1] == f"  {missing.url}: 404 Not Found"
    assert lines[2] == f"  {ill.url}: 503 Service Unavailable"
    assert "gopher" in lines[3]
    assert f"900,000 bytes that do not have the digest {digest}" in lines[4]
    assert said.endswith("datasets:\n  mine:\n    path: <folder>/file.bin")
    assert not (tmp_path / "file.bin.part").exists()


def test_a_wrong_digest_is_not_asked_for_again(tmp_path, serve):
    server = serve(whole)
    message_of([server.url], tmp_path / "file.bin", digest="md5:" + "0" * 32)
    assert len(server.ranges) == 1


def test_a_file_with_another_digest_is_replaced(tmp_path, serve):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    fetch([serve(whole).url], path)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("digest", ["md5:123", "sha1:" + "0" * 40, "0" * 64, "sha256:" + "g" * 64])
def test_a_digest_must_be_one(tmp_path, digest):
    with pytest.raises(JackpotError, match="hexadecimal"):
        fetch(["http://127.0.0.1:9/x"], tmp_path / "x", digest=digest)


def test_file_urls(tmp_path):
    source, path = tmp_path / "a file.bin", tmp_path / "to" / "file.bin"
    source.write_bytes(BODY)
    fetch([(tmp_path / "none").as_uri(), source.as_uri()], path)
    assert path.read_bytes() == BODY == source.read_bytes()


def test_too_large_is_refused_by_its_header_and_by_its_bytes(tmp_path, serve):
    def undeclared(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY)

    for answer in (whole, undeclared):
        path = tmp_path / "file.bin"
        assert "more than 899,999 bytes" in message_of([serve(answer).url], path, max_bytes=899_999)
        assert not path.with_name("file.bin.part").exists()
        fetch([serve(answer).url], path, max_bytes=900_000)
        path.unlink()


def test_a_silent_server_times_out(tmp_path, serve):
    server = serve(lambda handler: time.sleep(0.6), whole)
    fetch([server.url], tmp_path / "file.bin", timeout=(1.0, 0.2))
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_a_server_that_stalls_midway_is_resumed(tmp_path, serve):
    def stalls(handler):
        reply(handler, 200, BODY[:300_000], declared=len(BODY))
        handler.wfile.flush()
        time.sleep(0.6)

    server, path = serve(stalls, honours_range), tmp_path / "file.bin"
    fetch([server.url], path, timeout=(1.0, 0.2))
    assert path.read_bytes() == BODY
    # A block of 262,144 bytes had been written when the stall came.
    assert server.ranges[1] is not None


def test_packed_by_name_is_left_packed(tmp_path, serve):
    body = gzip.compress(BODY)
    server = serve(lambda handler: reply(handler, 200, body, {"Content-Encoding": "gzip"}))
    path = tmp_path / "file.tar.gz"
    fetch([server.url], path, digest="sha256:" + hashlib.sha256(body).hexdigest())
    assert path.read_bytes() == body


def test_servers_are_asked_not_to_pack(tmp_path, serve):
    def eager(handler):
        if "gzip" in handler.headers.get("Accept-Encoding", ""):
            return reply(handler, 200, gzip.compress(BODY), {"Content-Encoding": "gzip"})
        return whole(handler)

    fetch([serve(eager).url], tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_two_at_once_fetch_it_once(tmp_path, serve):
    def slow(handler):
        time.sleep(0.3)
        whole(handler)

    server, path = serve(slow), tmp_path / "file.bin"
    threads = [threading.Thread(target=fetch, args=([server.url], path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == BODY
    assert len(server.ranges) == 1


def test_a_full_disk_ends_it_with_advice(tmp_path, serve):
    server, path = serve(whole), tmp_path / "file.bin"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        said = message_of([server.url, server.url], path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in said and "Free space" in said
    assert len(server.ranges) == 1


def test_a_part_that_is_a_link_is_not_written_through(tmp_path, serve):
    server, path = serve(whole), tmp_path / "file.bin"
    precious = tmp_path / "precious"
    precious.write_text("mine")
    path.with_name("file.bin.part").symlink_to(precious)
    assert "is a link" in message_of([server.url], path)
    assert precious.read_text() == "mine"
    assert server.ranges == []


def test_a_server_cannot_ask_for_a_long_wait(tmp_path, serve):
    answers = [status(code, **{"Retry-After": "3600"}) for code in (429, 503)]
    started = time.monotonic()
    fetch([serve(*answers, whole).url], tmp_path / "file.bin")
    assert time.monotonic() - started < 10


def test_a_folder_that_cannot_be_made_ends_it_with_advice(tmp_path, serve):
    (tmp_path / "taken").write_text("a file")
    server = serve(whole)
    with pytest.raises(JackpotError, match=r"could not be written.*another data directory"):
        fetch([server.url], tmp_path / "taken" / "file.bin")
    assert server.ranges == []
