"""ONNX Runtime sessions: their threads and memory, and one clear error for a graph that cannot be opened or run."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import onnxruntime

from mellow.engines.onnx.quota import cpu_quota
from mellow.errors import ModelError

__all__ = ["available_threads", "open_session"]

MOST_THREADS = 8  # decoding is bound by memory bandwidth, which a few cores saturate
ERRORS_ONLY = 3


def available_threads() -> int:
    """Default threads of a session: the cores that this process may use, at most MOST_THREADS.

    Its affinity counts, the quota of a container, and PYTHON_CPU_COUNT where this Python knows it (3.13).
    """
    cores = getattr(os, "process_cpu_count", _affinity)() or 1
    return min(cores, cpu_quota() or MOST_THREADS, MOST_THREADS)


def _affinity() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def open_session(
    graph: str | bytes, *, threads: int, spinning: bool = False, arrays: Mapping[str, np.ndarray] | None = None
) -> onnxruntime.InferenceSession:
    """Open a graph: a file with its weights in the same directory, or its content with the arrays of its weights.

    threads: of this session. spinning: waiting ones stay awake for a moment, which pays where many small products
        follow each other; else they sleep at once, as other sessions and numpy want the cores, too.
    Raises ModelError where ONNX Runtime refuses it. It copies the arrays.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # ours are fused already
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False  # inputs vary in length
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    if arrays:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
        options.add_external_initializers(list(arrays), values)
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a dozen exception classes of its own
        name = graph if isinstance(graph, str) else "in memory"
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise ModelError(f"ONNX Runtime cannot open the graph {name} ({first}).") from None
