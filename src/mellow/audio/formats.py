"""Formats that libsndfile lacks (m4a, mp4, webm, aac, wma, amr, ac3), decoded by FFmpeg through PyAV.

FFmpeg reads hundreds of formats, some of which name other files and addresses. Here the demuxer is fixed by the
file's content, only audio decoders are allowed, every protocol is forbidden, and the bytes come from a file object.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import av
import numpy as np

__all__ = ["AudioTrack"]

DECODERS = (
    "aac,aac_latm,alac,mp1float,mp2float,mp3float,mp3,flac,opus,libopus,vorbis,ac3,eac3,amrnb,amrwb,wmav1,wmav2,wmapro,"
    "wmalossless,wmavoice,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,"
    "pcm_f64be,pcm_u8,pcm_s8,pcm_alaw,pcm_mulaw,adpcm_ima_qt"
)
OPTIONS = {
    "codec_whitelist": DECODERS,
    "protocol_whitelist": "none",
    "probesize": str(1 << 20),
    "analyzeduration": "2000000",  # microseconds
    "max_streams": "32",
}


class AudioTrack:
    """The first audio track of a file. It must be closed; its methods may raise any exception.

    file: at its beginning; demuxer: FFmpeg's name of the format.
    """

    def __init__(self, file: io.RawIOBase, demuxer: str) -> None:
        self._container = av.open(file, mode="r", format=demuxer, options=OPTIONS, metadata_errors="replace")
        tracks = self._container.streams.audio
        self.tracks = len(tracks)
        self._stream = tracks[0] if tracks else None

    @property
    def claimed(self) -> float | None:
        """The track's length in seconds where the container records it."""
        stream = self._stream
        if stream is None or stream.duration is None or stream.time_base is None:
            return None
        return float(stream.duration * stream.time_base)

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Rate in Hz and (S, C) float32 samples, frame by frame; both may change on the way."""
        stream = self._stream
        if stream is None:
            return
        stream.codec_context.thread_count = 1
        resampler, last = av.AudioResampler(format="fltp"), None
        for packet in self._container.demux(stream):
            for frame in stream.decode(packet):
                setup = frame.sample_rate, frame.layout.name, frame.format.name
                if last not in (None, setup):
                    resampler = av.AudioResampler(format="fltp")
                last = setup
                for converted in resampler.resample(frame):
                    yield frame.sample_rate, converted.to_ndarray().T

    def close(self) -> None:
        self._container.close()
