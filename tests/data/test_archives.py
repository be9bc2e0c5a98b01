"""Archives are read whole or refused, and nothing in them reaches outside."""

import gzip
import io
import os
import random
import resource
import stat
import tarfile
import tempfile
import zipfile

import pytest

from jackpot.data import digests
from jackpot.data.archives import Limits, files, unpacked
from jackpot.errors import JackpotError

MODES = {".tar": "w", ".tar.gz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


def contents(count=5, size=3000, seed=1):
    draws = random.Random(seed)
    return {f"top/part{i % 2}/{i}.bin": draws.randbytes(size + i) for i in range(count)}


def write_tar(path, files, mode="w", extra=()):
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)
    return path


def write_zip(path, files, modes=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, 0) << 16
            archive.writestr(info, data)
    return path


def read_all(path, **limits):
    limits = Limits(**limits)
    with unpacked(path, limits) as root:
        return {name: file.read_bytes() for name, file in files(root, limits)}


def special(kind, name="top/odd", target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("suffix", [*MODES, ".zip"])
def test_archives_give_back_every_byte(tmp_path, suffix):
    given, path = contents(), tmp_path / f"a{suffix}"
    write_zip(path, given) if suffix == ".zip" else write_tar(path, given, MODES[suffix])
    assert read_all(path) == given


def test_dot_slash_and_folders_are_no_part_of_names(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"./x/y": b"1"}, extra=[special(tarfile.DIRTYPE, "./x")])
    assert read_all(path) == {"x/y": b"1"}


def test_directories_are_sorted_and_leave_hidden_files_out(tmp_path):
    for name in ("b/2", "b/1", "a.x", "a/3", ".hidden", ".git/config"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    found = [(name, file.read_text()) for name, file in files(tmp_path)]
    assert found == [(name, name) for name in ("a.x", "a/3", "b/1", "b/2")]


def test_directories_that_link_to_themselves_end(tmp_path):
    (tmp_path / "one").write_text("1")
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(JackpotError, match="symbolic links"):
        digests.of_path(tmp_path)
    with pytest.raises(JackpotError, match="more than 5 files"):
        list(files(tmp_path, Limits(members=5)))


def test_directories_follow_links_and_name_broken_ones(tmp_path):
    (tmp_path / "outside").write_text("1")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    assert read_all(root) == {"link": b"1"}
    (tmp_path / "outside").unlink()
    with pytest.raises(JackpotError, match="root/link: cannot be read"):
        digests.of_path(root)


@pytest.mark.parametrize("suffix", [*MODES, ".zip"])
@pytest.mark.parametrize("kept", [0.05, 0.4, 0.7, 0.95, -40, -1])
def test_truncated_archives_are_refused(tmp_path, suffix, kept):
    given, path = contents(), tmp_path / f"a{suffix}"
    write_zip(path, given) if suffix == ".zip" else write_tar(path, given, MODES[suffix])
    whole = path.read_bytes()
    if suffix == ".tar":
        whole = whole[: whole.rindex(given["top/part0/4.bin"]) + 4096]  # without padding records
        kept = kept if kept > 0 else -4096
    path.write_bytes(whole[: int(kept * len(whole)) if kept > 0 else kept])
    with pytest.raises(JackpotError, match=r"a\.(tar|zip).*truncated"):
        read_all(path)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_a_flipped_bit_is_noticed(tmp_path, suffix):
    given, path = contents(), tmp_path / f"a{suffix}"
    write_zip(path, given) if suffix == ".zip" else write_tar(path, given, MODES[suffix])
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(JackpotError, match="corrupt"):
        read_all(path)


def test_a_broken_header_is_not_taken_for_the_end(tmp_path):
    path = write_tar(tmp_path / "a.tar", contents(3, 512 - 2))
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"top/part0/2.bin")] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(JackpotError, match="corrupt"):
        read_all(path)


@pytest.mark.parametrize("data", [b"", b"no archive", random.Random(2).randbytes(5000)])
def test_other_files_are_refused(tmp_path, data):
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(JackpotError, match="not a tar or zip"):
        read_all(tmp_path / "a.tar")


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(JackpotError, match=r"nowhere\.zip"):
        read_all(tmp_path / "nowhere.zip")


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a\\..\\x", "C:\\x", "\\x"])
def test_paths_that_lead_outside_are_refused(tmp_path, name):
    for path in (
        write_tar(tmp_path / "a.tar", {name: b"1"}),
        write_zip(tmp_path / "a.zip", {name: b"1"}),
    ):
        with pytest.raises(JackpotError, match="leads outside"):
            read_all(path)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "../../../x", "C:\\x"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, "zip"])
def test_links_that_lead_outside_are_refused(tmp_path, target, kind):
    if kind == "zip":
        path = write_zip(
            tmp_path / "a.zip", {"top/odd": target.encode()}, {"top/odd": stat.S_IFLNK | 0o777}
        )
    else:
        path = write_tar(tmp_path / "a.tar", {}, extra=[special(kind, target=target)])
    with pytest.raises(JackpotError, match=r"is a link to .* outside the archive"):
        read_all(path)


def test_hard_links_count_from_the_top_and_symbolic_ones_from_their_folder(tmp_path):
    symbolic, hard = (special(kind, target="../x") for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE))
    assert read_all(write_tar(tmp_path / "a.tar", {"x": b"1"}, extra=[symbolic]))["top/odd"] == b"1"
    with pytest.raises(JackpotError, match="outside the archive"):
        read_all(write_tar(tmp_path / "a.tar", {}, extra=[hard]))


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_links_to_files_inside_are_followed(tmp_path, kind):
    given = {"top/1": b"one"}
    if kind == "tar":
        links = [special(tarfile.SYMTYPE, target="../top/1")]
        links.append(special(tarfile.LNKTYPE, "top/hard", "top/1"))
        path = write_tar(tmp_path / "a.tar", given, extra=links)
    else:
        links = {"top/odd": b"../top/1", "top/hard": b"1"}
        path = write_zip(tmp_path / "a.zip", links | given, dict.fromkeys(links, stat.S_IFLNK))
    assert read_all(path) == {"top/1": b"one", "top/odd": b"one", "top/hard": b"one"}


def test_a_stray_link_does_no_harm_until_it_is_read(tmp_path):
    strays = [special(tarfile.SYMTYPE, "top/gone", "nothing")]
    strays.append(special(tarfile.SYMTYPE, "top/loop", "../top"))
    with unpacked(write_tar(tmp_path / "a.tar", {"top/1": b"one"}, extra=strays)) as root:
        found = dict(files(root))
        assert sorted(found) == ["top/1", "top/gone"]
        with pytest.raises(FileNotFoundError):
            found["top/gone"].read_bytes()


@pytest.mark.parametrize("after", ["top/odd/x", "top/odd"])
def test_nothing_is_written_through_a_link(tmp_path, after):
    links = write_tar(tmp_path / "links.tar", {}, extra=[special(tarfile.SYMTYPE, target="in")])
    path = tmp_path / "a.tar"
    rest = write_tar(tmp_path / "files.tar", {after: b"1"}).read_bytes()
    path.write_bytes(links.read_bytes()[:512] + rest)
    with pytest.raises(JackpotError, match="holds top/odd twice"):
        read_all(path)


def test_links_that_lead_outside_only_together(tmp_path):
    """Each is harmless by its text; on a disk, the second would lead two folders up."""
    links = [special(tarfile.SYMTYPE, "top/in", ".."), special(tarfile.SYMTYPE, "x", "top/in/../y")]
    with unpacked(write_tar(tmp_path / "a.tar", {"top/y": b"1"}, extra=links)) as root:
        assert (root / "x").resolve() == (root / "top" / "y").resolve()
        assert not (root / "top" / "in").exists()


def test_a_zip_link_is_not_read_before_its_limit(tmp_path, monkeypatch):
    mode = {"top/odd": stat.S_IFLNK | 0o777}
    path = write_zip(tmp_path / "a.zip", {"top/odd": bytes(2**22)}, mode)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("was read"))
    with pytest.raises(JackpotError, match=r"its link 'top/odd' has 4,194,304 bytes"):
        read_all(path)


@pytest.mark.parametrize("suffix", [".tar", ".zip"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x", b"1")
            archive.writestr("x", b"2")
    else:
        write_tar(path, {"x": b"1", "./x": b"2"})
    with pytest.raises(JackpotError, match="holds x twice"):
        read_all(path)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path, kind):
    with pytest.raises(JackpotError, match="device or a pipe"):
        read_all(write_tar(tmp_path / "a.tar", {}, extra=[special(kind)]))
    path = write_zip(tmp_path / "a.zip", {"odd": b""}, {"odd": stat.S_IFCHR | 0o666})
    with pytest.raises(JackpotError, match="device or a pipe"):
        read_all(path)


@pytest.mark.parametrize("suffix", [".tar.xz", ".zip"])
def test_limits(tmp_path, suffix):
    given, path = contents(5, 3000), tmp_path / f"a{suffix}"
    write_zip(path, given) if suffix == ".zip" else write_tar(path, given, MODES[suffix])
    total = sum(len(data) for data in given.values())
    # What follows a tar's last file is padding to 10,240 bytes, well under the total here.
    assert read_all(path, members=5, member_bytes=3004, total_bytes=total) == given
    with pytest.raises(JackpotError, match="more than 4 files"):
        read_all(path, members=4)
    with pytest.raises(JackpotError, match=r"3,004 bytes; 3,003 are allowed"):
        read_all(path, member_bytes=3003)
    with pytest.raises(JackpotError, match="unpacks to more than"):
        read_all(path, total_bytes=total - 1)


def test_a_bomb_after_the_end_of_a_tar_is_refused(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", contents(1), "w:gz")
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(2**22)))
    with pytest.raises(JackpotError, match="unpacks to more than"):
        read_all(path, total_bytes=2**21)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_reading_leaves_nothing_on_disk(tmp_path, scratch):
    path = write_tar(tmp_path / "a.tar.gz", contents(), "w:gz")
    with unpacked(path) as root:
        assert root.parent == scratch
    bad = write_tar(tmp_path / "b.tar.gz", contents() | {"../x": b"1"}, "w:gz")
    with pytest.raises(JackpotError, match="leads outside"):
        read_all(bad)
    assert os.listdir(scratch) == []
    assert sorted(os.listdir(tmp_path)) == ["a.tar.gz", "b.tar.gz", "scratch"]


def test_a_scratch_folder_without_room_is_named(tmp_path, scratch):
    path = write_tar(tmp_path / "a.tar", {"x": bytes(500_000)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(
            JackpotError, match=r"a\.tar: could not be unpacked in .*scratch.*TMPDIR"
        ):
            read_all(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    scratch.rmdir()
    with pytest.raises(JackpotError, match=r"could not be unpacked in .*scratch"):
        read_all(path)
