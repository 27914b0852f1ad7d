"""The format of a file, recognised by its content: file names may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from mellow.audio import mpeg
from mellow.audio.window import read_at

__all__ = ["Kind", "recognise"]

HEAD = 64  # bytes that are examined


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    what: its name with an article, for messages.
    demuxer: FFmpeg's demuxer for what libsndfile does not read; None otherwise.
    parts: how its parts are found: "wav", "flac", "ogg", "mp3"; empty for a file that is read as one.
    audio: whether recordings come in it.
    """

    what: str
    demuxer: str | None = None
    parts: str = ""
    audio: bool = True


MP3 = Kind("an mp3 file", parts="mp3")
AAC = Kind("an aac file", demuxer="aac")
MPEG_4 = Kind("an MPEG-4 file (m4a, mp4, mov)", demuxer="mov")
KINDS: tuple[tuple[int, bytes, Kind], ...] = (  # offset, bytes there, kind
    (8, b"WAVE", Kind("a wav file", parts="wav")),
    (0, b"fLaC", Kind("a flac file", parts="flac")),
    (0, b"OggS", Kind("an ogg file", parts="ogg")),
    (4, b"ftyp", MPEG_4),
    (4, b"moov", MPEG_4),
    (4, b"mdat", MPEG_4),
    (0, b"\x1a\x45\xdf\xa3", Kind("a Matroska file (webm, mkv)", demuxer="matroska")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind("a Windows Media file (wma, asf)", demuxer="asf")),
    (0, b"#!AMR", Kind("an amr file", demuxer="amr")),
    (0, b"\x0b\x77", Kind("an ac3 file", demuxer="ac3")),
    (8, b"AVI ", Kind("an avi file")),
    (0, b"wvpk", Kind("a WavPack file")),
    (0, b"MAC ", Kind("a Monkey's Audio file")),
    (0, b"DSD ", Kind("a dsf file")),
    (0, b"MThd", Kind("a MIDI file", audio=False)),
    (0, b"#EXTM3U", Kind("a playlist", audio=False)),
    (0, b"[playlist]", Kind("a playlist", audio=False)),
    (0, b"version https://git-lfs", Kind("a Git LFS pointer, not the file itself", audio=False)),
    (0, b"<!DOCTYPE html", Kind("a web page", audio=False)),
    (0, b"<html", Kind("a web page", audio=False)),
    (0, b"%PDF", Kind("a PDF document", audio=False)),
    (0, b"\x89PNG", Kind("a PNG image", audio=False)),
    (0, b"\xff\xd8\xff", Kind("a JPEG image", audio=False)),
    (0, b"GIF8", Kind("a GIF image", audio=False)),
    (0, b"PK\x03\x04", Kind("a zip archive", audio=False)),
    (0, b"\x1f\x8b", Kind("a gzip archive", audio=False)),
    (0, b"\x93NUMPY", Kind("a numpy array", audio=False)),
)


def recognise(file: BinaryIO, size: int) -> Kind | None:
    """The kind of a file of `size` bytes, or None for one that is not in the table (libsndfile reads rarer ones)."""
    start = mpeg.behind_tags(file, 0, size)
    head = read_at(file, start, HEAD)
    for at, magic, kind in KINDS:
        if head[at : at + len(magic)].lower() == magic.lower():
            return kind
    if mpeg.is_adts(file, start, size):
        return AAC
    if start or mpeg.next_frame(file, start, min(size, start + mpeg.SEARCHED)) is not None:
        return MP3  # what carries an ID3 tag is an mp3, where it is nothing else
    return None
