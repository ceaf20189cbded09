"""What all readers share."""

from __future__ import annotations

from pathlib import Path

from tasks.readers.files import read_lines


def test_blank_lines_at_the_end_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    for end in ("", "\n", "\r\n\r\n", "\n  \n\t\n"):
        path.write_bytes(f"\ufeff one 1\n\ntwo 2{end}".encode())
        assert read_lines(path) == [" one 1", "", "two 2"]
    path.write_bytes(b"\n \n")
    assert read_lines(path) == []
