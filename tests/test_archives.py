"""Archives are read whole or refused, and nothing in them reaches outside."""

import gzip
import io
import os
import random
import stat
import tarfile
import zipfile

import pytest

from jackpot.data.archives import Limits, members
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
    return {member.name: member.read() for member in members(path, Limits(**limits))}


def special(kind, name="top/odd", target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("suffix", [*MODES, ".zip"])
def test_archives_give_back_every_byte(tmp_path, suffix):
    files, path = contents(), tmp_path / f"a{suffix}"
    write_zip(path, files) if suffix == ".zip" else write_tar(path, files, MODES[suffix])
    assert read_all(path) == files
    assert {m.name: m.size for m in members(path)} == {n: len(d) for n, d in files.items()}


def test_dot_slash_and_folders_are_no_part_of_names(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"./x/y": b"1"}, extra=[special(tarfile.DIRTYPE, "./x")])
    assert read_all(path) == {"x/y": b"1"}


def test_directories_are_sorted_and_leave_hidden_files_out(tmp_path):
    for name in ("b/2", "b/1", "a.x", "a/3", ".hidden", ".git/config"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    found = [(m.name, m.read().decode()) for m in members(tmp_path)]
    assert found == [(name, name) for name in ("a.x", "a/3", "b/1", "b/2")]


def test_directories_that_link_to_themselves_end(tmp_path):
    (tmp_path / "one").write_text("1")
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(JackpotError, match="symbolic links"):
        list(members(tmp_path))
    with pytest.raises(JackpotError, match="more than 5 files"):
        list(members(tmp_path, Limits(members=5)))


def test_directories_follow_links_and_name_broken_ones(tmp_path):
    (tmp_path / "outside").write_text("1")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    assert read_all(root) == {"link": b"1"}
    found = list(members(root))
    (tmp_path / "outside").unlink()
    for broken in (found[0].read, lambda: read_all(root)):
        with pytest.raises(JackpotError, match="root/link: cannot be read"):
            broken()


@pytest.mark.parametrize("suffix", [*MODES, ".zip"])
@pytest.mark.parametrize("kept", [0.05, 0.4, 0.7, 0.95, -40, -1])
def test_truncated_archives_are_refused(tmp_path, suffix, kept):
    files, path = contents(), tmp_path / f"a{suffix}"
    write_zip(path, files) if suffix == ".zip" else write_tar(path, files, MODES[suffix])
    whole = path.read_bytes()
    if suffix == ".tar":
        whole = whole[: whole.rindex(files["top/part0/4.bin"]) + 4096]  # without padding records
        kept = kept if kept > 0 else -4096
    path.write_bytes(whole[: int(kept * len(whole)) if kept > 0 else kept])
    with pytest.raises(JackpotError, match=r"a\.(tar|zip).*truncated"):
        read_all(path)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_a_flipped_bit_is_noticed(tmp_path, suffix):
    files, path = contents(), tmp_path / f"a{suffix}"
    write_zip(path, files) if suffix == ".zip" else write_tar(path, files, MODES[suffix])
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
        list(members(path))


def test_hard_links_count_from_the_top_and_symbolic_ones_from_their_folder(tmp_path):
    symbolic, hard = (special(kind, target="../x") for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE))
    assert len(list(members(write_tar(tmp_path / "a.tar", {}, extra=[symbolic])))) == 1
    with pytest.raises(JackpotError, match="outside the archive"):
        list(members(write_tar(tmp_path / "a.tar", {}, extra=[hard])))


def test_links_inside_are_listed_and_not_followed(tmp_path):
    files = {"top/1": b"one"}
    link = special(tarfile.SYMTYPE, target="../top/1")
    found = list(members(write_tar(tmp_path / "a.tar", files, extra=[link])))
    assert [m.name for m in found] == ["top/1", "top/odd"]
    with pytest.raises(JackpotError, match="not followed"):
        found[1].read()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path, kind):
    with pytest.raises(JackpotError, match="device or a pipe"):
        list(members(write_tar(tmp_path / "a.tar", {}, extra=[special(kind)])))
    path = write_zip(tmp_path / "a.zip", {"odd": b""}, {"odd": stat.S_IFCHR | 0o666})
    with pytest.raises(JackpotError, match="device or a pipe"):
        list(members(path))


@pytest.mark.parametrize("suffix", [".tar.xz", ".zip"])
def test_limits(tmp_path, suffix):
    files, path = contents(5, 3000), tmp_path / f"a{suffix}"
    write_zip(path, files) if suffix == ".zip" else write_tar(path, files, MODES[suffix])
    total = sum(len(data) for data in files.values())
    # What follows a tar's last file is padding to 10,240 bytes, well under the total here.
    assert read_all(path, members=5, member_bytes=3004, total_bytes=total) == files
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


def test_reading_leaves_nothing_on_disk(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", contents(), "w:gz")
    read_all(path)
    assert os.listdir(tmp_path) == ["a.tar.gz"]
