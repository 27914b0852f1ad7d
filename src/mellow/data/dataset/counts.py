"""What a data set holds, counted as its records pass: rows of Table 1, clips, hours, provenance, known defects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mellow.data.dataset.defects import Defects
from mellow.data.dataset.select import row_of
from mellow.data.records import Record, Split
from mellow.data.sources.audio import clip_key

__all__ = ["SplitCounts"]

SHORT = 10.0  # seconds of a clip that the paper's models listen to, and by which it counts hours


@dataclass
class _Row:
    pairs: int = 0
    clips: set[str] = field(default_factory=set)
    task: str = ""


@dataclass
class SplitCounts:
    """Counts of one split; memory grows with its clips and rows by a few bytes each, not with their texts."""

    split: Split
    rows: dict[str, _Row] = field(default_factory=dict)
    clips: dict[str, str] = field(default_factory=dict)  # what names have in common -> path
    absent: set[str] = field(default_factory=set)
    licences: Counter[tuple[str, str]] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    prompts: Counter[tuple[str, str]] = field(default_factory=Counter)
    defects: Defects = field(default_factory=Defects)

    def add(self, record: Record) -> None:
        name = row_of(record)
        row = self.rows.setdefault(name, _Row(task=record.task))
        row.pairs += 1
        for path in record.audio:
            key = clip_key(path)
            row.clips.add(self.clips.setdefault(key, path))  # one text for all rows
        self.licences[record.source or "other", record.licence or "not told"] += 1
        told = record.provenance
        if "type" in told:
            self.types[str(told["type"])] += 1
        if "llm" in told or "author" in told:
            by = str(told.get("llm") or told.get("author"))
            prompt = f"{told.get('prompt', 'no prompt')} {told.get('prompt_version', '')}".strip()
            revision = told.get("revision")
            self.prompts[f"{by} ({revision})" if revision else by, prompt] += 1
        self.defects.add(record)

    @property
    def pairs(self) -> int:
        return sum(row.pairs for row in self.rows.values())

    def to_dict(self, seconds: Mapping[str, float]) -> dict[str, Any]:
        """Plain values for JSON; seconds: the lengths of clips that are known."""
        known = [seconds[key] for key in self.clips if key in seconds]
        return {
            "pairs": self.pairs,
            "clips": len(self.clips),
            "clips_absent": len(self.absent),
            "clips_of_known_length": len(known),
            "hours_by_10_s": round(len(self.clips) * SHORT / 3600, 2),
            "hours_by_10_s_at_most": round(sum(min(one, SHORT) for one in known) / 3600, 2),
            "hours_in_full": round(sum(known) / 3600, 2),
            "rows": {
                name: {
                    "task": row.task,
                    "pairs": row.pairs,
                    "clips": len(row.clips),
                    "percent": round(100 * row.pairs / self.pairs, 1),
                }
                for name, row in self.rows.items()
            },
            "licences": [[*names, count] for names, count in sorted(self.licences.items())],
            "types": dict(sorted(self.types.items())),
            "prompts": [[*names, count] for names, count in sorted(self.prompts.items())],
            "defects": self.defects.to_dict(),
        }
