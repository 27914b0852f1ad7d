"""The engine on ONNX Runtime: no torch, an answer within a second of starting.

Shapes: B batch, L new positions, S new positions without padding, K audio tokens, T encoder steps, D width,
V vocabulary, E width of a head, P positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from mellow.config import ModelConfig
from mellow.engines.interface import Cache
from mellow.engines.onnx.directory import GraphDirectory
from mellow.engines.onnx.embedding import EmbeddingTable
from mellow.engines.onnx.kv_cache import GROWTH, KVBuffer, KVCache
from mellow.engines.onnx.session import available_threads, open_session
from mellow.errors import ModelError
from mellow.graphs.graph import State, WeightMemory
from mellow.graphs.llama import EMBEDDING
from mellow.graphs.write import decoder_graph, encoder_graph
from mellow.text.prompt import AUDIO
from mellow.types import Encoded

__all__ = ["OnnxEngine"]

POSITIONS = 2048  # initial length of the rotary tables; they grow
AT_ONCE = 256  # positions of a pass: attention computes heads x new x all positions, masked ones included


class OnnxEngine:
    """The engine that runs the graphs of a model. Create one with `load` (a graph directory) or `of` (in memory).

    config: the model's; encoder, decoder: sessions; embedding: the input embedding.
    """

    def __init__(
        self,
        config: ModelConfig,
        encoder: onnxruntime.InferenceSession,
        decoder: onnxruntime.InferenceSession,
        embedding: EmbeddingTable,
    ) -> None:
        self.config = config
        self.encoder, self.decoder, self.embedding = encoder, decoder, embedding
        self.sizes = config.llama
        self.positions = self.sizes.positions
        self.outputs = [output.name for output in encoder.get_outputs()]
        self.rotary = _rotary_tables(POSITIONS, self.sizes.head_width, self.sizes.theta)

    @classmethod
    def load(cls, directory: str | Path, *, threads: int | None = None, verify: bool = False) -> OnnxEngine:
        """Open a graph directory.

        threads: of each session (by default all available cores, at most 8); verify: check the content of all files
            even if that was done within a day.
        Raises ModelError naming the file that is missing, damaged or incompatible.
        """
        files = GraphDirectory.open(directory, verify=verify)
        threads = threads or available_threads()
        encoder = open_session(str(files.path / "encoder.onnx"), threads=threads)
        decoder = open_session(str(files.path / "decoder.onnx"), threads=threads, spinning=True)
        return cls(files.config, encoder, decoder, EmbeddingTable(files.embedding(), files.config.llama.width))

    @classmethod
    def of(
        cls, config: ModelConfig, state: State, *, precision: str = "int8", threads: int | None = None
    ) -> OnnxEngine:
        """Write the graphs of a model in memory; see `write.write_graphs`."""
        threads = threads or available_threads()
        sessions: list[onnxruntime.InferenceSession] = []
        table: dict[str, np.ndarray] = {}
        for make, spinning in ((encoder_graph, False), (decoder_graph, True)):
            weights = WeightMemory()  # of one graph at a time: each session copies them
            graph = make(config, state, weights, precision=precision)
            sessions.append(open_session(graph, threads=threads, spinning=spinning, arrays=weights.arrays))
            everything = {**weights.arrays, **weights.others}
            table |= {name: array for name, array in everything.items() if name.startswith(EMBEDDING)}
        return cls(config, sessions[0], sessions[1], EmbeddingTable(table, config.llama.width))

    def encode(self, mel_FM: np.ndarray) -> Encoded:
        """Encode one window of log-mel; ModelError where the graph refuses it or produces non-finite values."""
        try:
            found = self.encoder.run(self.outputs, {"mel": np.ascontiguousarray(mel_FM[None], np.float32)})
        except Exception as error:  # ONNX Runtime has several exception classes of its own
            raise ModelError(f"The encoder cannot take a window of {len(mel_FM)} frames ({_first(error)}).") from None
        outputs = {name: array[0] for name, array in zip(self.outputs, found, strict=True)}
        if not np.isfinite(outputs["rows"]).all():
            raise ModelError("The model produced non-finite values for this clip; its graph or weights are damaged.")
        return Encoded(outputs["rows"], outputs["clip_scores"], outputs["step_scores"], outputs.get("event_scores"))

    def embed(self, ids: Sequence[int], audio_ND: np.ndarray | None = None) -> np.ndarray:
        """Input embeddings (L, D) of expanded ids, with the audio tokens, in order, in place of AUDIO."""
        ids_L = np.asarray(ids, np.int64)
        embeds_LD = self.embedding[np.maximum(ids_L, 0)]
        if audio_ND is not None:
            embeds_LD[ids_L == AUDIO] = audio_ND
        return embeds_LD

    def forward(
        self, embeds_BLD: np.ndarray, mask_BL: np.ndarray, cache: Cache | None, *, every: bool = False
    ) -> tuple[np.ndarray, Cache]:
        """See `engines.interface.Engine`. Logits at padding are those of the position before it, or 0."""
        batch, length = mask_BL.shape
        whole_BT = mask_BL if cache is None else np.concatenate([cache.mask_BL, mask_BL], 1)
        counts_BL = mask_BL.cumsum(1)
        embeds_BSD = embeds_BLD if mask_BL.all() else _without_padding(embeds_BLD, mask_BL)
        wanted = [(b, s) for b in range(batch) for s in range(counts_BL[b, -1]) if every or s == counts_BL[b, -1] - 1]
        past = self._cache_with_capacity(cache.state if cache is not None else None, embeds_BSD, counts_BL[:, -1])
        found_RV = self._read(past, np.ascontiguousarray(embeds_BSD, np.float32), wanted)
        after = KVCache(past.buffer, past.lengths_B + counts_BL[:, -1])
        if not every:
            logits_BV = np.zeros((batch, found_RV.shape[1]), np.float32)
            logits_BV[[b for b, _ in wanted]] = found_RV
            return logits_BV, Cache(whole_BT, after)
        logits_BLV = np.zeros((batch, length, found_RV.shape[1]), np.float32)
        logits_BLV[mask_BL.astype(bool)] = found_RV
        return logits_BLV, Cache(whole_BT, after)

    def take(self, cache: Cache, rows: Sequence[int]) -> Cache:
        """A cache of the given rows."""
        if list(rows) == list(range(cache.batch)):
            return cache
        return Cache(cache.mask_BL[list(rows)], cache.state.copy(rows))

    def _cache_with_capacity(self, past: KVCache | None, embeds_BSD: np.ndarray, counts_B: np.ndarray) -> KVCache:
        """The cache in a buffer with capacity for the new positions, reserved for it."""
        batch, new, _ = embeds_BSD.shape
        if past is None:
            lengths_B = np.zeros(batch, np.int64)
            shape = (self.sizes.layers, batch, self.sizes.key_heads, self.sizes.head_width)
            past = KVCache(KVBuffer(shape, lengths_B, new + GROWTH), lengths_B)
        if not past.buffer.reserve(past.lengths_B, new, past.lengths_B + counts_B):
            past = past.copy(range(batch), new + GROWTH)
            past.buffer.filled_B = past.lengths_B + counts_B
        return past

    def _rotary(self, positions: int) -> tuple[np.ndarray, np.ndarray]:
        """Rotary tables of at least this many positions."""
        rotary = self.rotary  # other threads may replace it
        if positions > len(rotary[0]):
            self.rotary = rotary = _rotary_tables(2 * positions, self.sizes.head_width, self.sizes.theta)
        return rotary

    def _read(self, past: KVCache, embeds_BSD: np.ndarray, wanted: Sequence[tuple[int, int]]) -> np.ndarray:
        """Logits (R, V) of the wanted positions (row, place among the new ones), in their order."""
        batch, new, _ = embeds_BSD.shape
        found: dict[tuple[int, int], np.ndarray] = {}
        for rows, places in _passes(batch, new, any_past=bool(past.lengths_B.any())):
            here = [(b, s) for b, s in wanted if b in rows and s in places]
            flat_R = [(b - rows.start) * len(places) + s - places.start for b, s in here] or [0]
            part_BSD = embeds_BSD[rows.start : rows.stop, places.start : places.stop]
            logits_RV = self._run(past, rows, places.start, part_BSD, np.array(flat_R, np.int64))
            if len(here) == len(wanted):
                return logits_RV
            found |= dict(zip(here, logits_RV, strict=False))
        return np.stack([found[place] for place in wanted])

    def _run(self, past: KVCache, rows: range, start: int, embeds_BSD: np.ndarray, rows_R: np.ndarray) -> np.ndarray:
        """One pass of the decoder over some rows, from the new position `start` on."""
        buffer = past.buffer
        binding = buffer.binding(self.decoder, rows)
        last_B = (past.lengths_B[rows.start : rows.stop] + start + embeds_BSD.shape[1] - 1).astype(np.int32)
        cosines, sines = self._rotary(int(last_B.max()) + 1)
        inputs = {
            "embeds": np.ascontiguousarray(embeds_BSD),
            "last_positions": last_B,
            "length": np.array(last_B.max() + 1, np.int32),
            "rows": rows_R,
            "cosines": cosines,
            "sines": sines,
        }
        for name, array in inputs.items():
            binding.bind_cpu_input(name, array)
        binding.bind_output("logits")
        self.decoder.run_with_iobinding(binding)
        logits_RV: np.ndarray = binding.get_outputs()[-1].numpy()
        return logits_RV


def _passes(batch: int, new: int, *, any_past: bool) -> Iterator[tuple[range, range]]:
    """Rows and new positions of each pass: ONNX Runtime takes several positions of several rows only without a past.

    Otherwise it is row by row or position by position, whichever needs fewer passes; long rows are split.
    """
    if new <= AT_ONCE and (batch == 1 or new == 1 or not any_past):
        yield range(batch), range(new)
    elif batch <= new:
        size = -(-new // -(-new // AT_ONCE))  # all about equally long
        parts = [range(start, min(start + size, new)) for start in range(0, new, size)]
        yield from ((range(b, b + 1), part) for b in range(batch) for part in parts)
    else:
        yield from ((range(batch), range(s, s + 1)) for s in range(new))


def _without_padding(embeds_BLD: np.ndarray, mask_BL: np.ndarray) -> np.ndarray:
    """Each row's unmasked positions first, then zeros: (B, S, D), at least one position."""
    counts_B = mask_BL.sum(1)
    embeds_BSD = np.zeros((len(mask_BL), max(1, int(counts_B.max())), embeds_BLD.shape[2]), np.float32)
    for row_SD, row_LD, mask_L, count in zip(embeds_BSD, embeds_BLD, mask_BL.astype(bool), counts_B, strict=True):
        row_SD[:count] = row_LD[mask_L]
    return embeds_BSD


def _rotary_tables(positions: int, head_width: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of rotary positions, each (P, E / 2), float32."""
    speeds = theta ** (-np.arange(0, head_width, 2, dtype=np.float32) / head_width)
    angles = np.arange(positions, dtype=np.float32)[:, None] * speeds.astype(np.float32)
    return np.cos(angles), np.sin(angles)


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200].rstrip(".")
