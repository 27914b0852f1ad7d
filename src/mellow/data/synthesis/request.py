"""What is asked: one caption, one prompt, one language model, one seed; and the records that come of the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mellow.data.records import Record
from mellow.data.synthesis.captions import Caption
from mellow.data.synthesis.parse import Pair
from mellow.data.synthesis.prompts import Form, Kind, Messages, PromptTemplate, Style
from mellow.errors import DataError

__all__ = ["TYPES", "Request", "Setup", "caption_hash", "key_of", "requests_for"]

TYPES: dict[Style, tuple[int, ...]] = {"general": (1,), "expert": (2, 3)}  # of appendix F.6; the first is the default
PUBLISHED = {"audiocaps": "AudioCaps", "clotho": "Clotho"}  # source -> the published file's name begins so
ENDINGS: dict[Kind, str] = {"mcq": "MCQ", "detail": "Detail"}
SEEDS = 2**31 - 1  # servers take a signed 32-bit integer


@dataclass(frozen=True)
class Setup:
    """What is the same for all captions of a run.

    type: 1 (general prompt), 2 (expert prompt) or 3 (expert prompt, another language model than that of Type 2).
    revision: of the language model, where the user knows it; else what the server tells is recorded.
    """

    prompt: PromptTemplate
    model: str
    type: int
    revision: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.type not in (allowed := TYPES[self.prompt.style]):
            wanted = " or ".join(map(str, allowed))
            raise DataError(f"Pairs of the {self.prompt.style} prompt are of type {wanted}, not {self.type}.")


@dataclass(frozen=True)
class Request:
    """A caption to be asked about."""

    setup: Setup
    caption: Caption

    @property
    def key(self) -> int:
        """Equal requests have equal keys, in this run and in every later one."""
        prompt = self.setup.prompt
        caption, audio = self.caption.text, self.caption.audio
        return _key(audio, caption_hash(caption), prompt.name, prompt.version, self.setup.model, self.setup.seed)

    def messages(self, form: Form) -> Messages:
        return self.setup.prompt.messages(self.caption.text, form)

    def server_seed(self, attempt: int) -> int:
        """For the server's sampling: another one for every caption and attempt, the same in every run."""
        return int(hashlib.sha256(f"{self.key} {attempt}".encode()).hexdigest(), 16) % SEEDS

    def provenance(self, attempt: int) -> dict[str, str | int]:
        """What is known of a pair before the answer has come."""
        prompt = self.setup.prompt
        return {
            "type": self.setup.type,
            "kind": prompt.kind,
            "llm": self.setup.model,
            "prompt": prompt.name,
            "prompt_version": prompt.version,
            "seed": self.setup.seed,
            "attempt": attempt,
            "caption_hash": caption_hash(self.caption.text),
        }

    def records(self, pairs: Sequence[Pair], *, attempt: int, revision: str) -> list[Record]:
        """The pairs as rows of a data set. Options are part of the question, as in the paper."""
        caption, kind = self.caption, self.setup.prompt.kind
        published = PUBLISHED.get(caption.source.lower())
        provenance = self.provenance(attempt) | {"revision": self.setup.revision or revision}
        return [
            Record(
                pair.question_with_options(),
                pair.answer,
                audio=(caption.audio,) if caption.audio else (),
                captions=(caption.text,),
                choices=pair.options,
                task=kind,
                subtype=f"{published}-{ENDINGS[kind]}.json" if published else "",
                source=caption.source,
                split=caption.split,
                licence=caption.licence,
                provenance=provenance | {"pair": number},
            )
            for number, pair in enumerate(pairs, start=1)
        ]


def requests_for(captions: Iterable[Caption], setup: Setup) -> Iterator[Request]:
    """One request for every caption of every clip; a caption that stands twice beside a clip is asked about once."""
    seen: set[int] = set()
    for caption in captions:
        request = Request(setup, caption)
        if request.key not in seen:
            seen.add(request.key)
            yield request


def caption_hash(caption: str) -> str:
    """By which a caption is known where it is not copied: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(caption.encode()).hexdigest()[:16]


def key_of(audio: str, provenance: dict[str, str | int]) -> int:
    """The key of the request that gave a pair or a rejected output; KeyError where it was not written by a run."""
    names = ("caption_hash", "prompt", "prompt_version", "llm", "seed")
    return _key(audio, *(provenance[name] for name in names))


def _key(*parts: str | int) -> int:
    digest = hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).digest()
    return int.from_bytes(digest[:8])
