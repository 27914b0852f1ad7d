"""The recipe of a data set: which sources, which of their rows, and what becomes of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mellow.data.captions.tasks import CaptionTask
from mellow.data.filters.apply import FilterSettings
from mellow.data.recipe_file import Strict, read_yaml
from mellow.data.records import Split, Task
from mellow.data.sources.columns import Columns
from mellow.data.sources.spec import sources
from mellow.errors import DataError

__all__ = ["MIXTURES", "RECORDS", "TABLE", "DatasetRecipe", "Mixture", "SourceRecipe", "read_dataset_recipe"]

Mixture = Literal["all", "type1", "type2", "type3", "type4"]
Share = Annotated[float, Field(ge=0, le=1)]

# Which types of synthetic pairs are in a mixture (paper, appendix F.6). It does not define Type 4: the union of the
# others without repeated (clip, question) is our reading.
MIXTURES: dict[Mixture, tuple[str, ...]] = {
    "type1": ("1",),
    "type2": ("2",),
    "type3": ("3",),
    "type4": ("1", "2", "3"),
}
RECORDS, TABLE = "records", "table"


class SourceRecipe(Strict):
    source: str
    """A published source by its name (`mellow data sources` lists them), `records` for JSONL of our own (synthesis,
    authored pairs), or `table` for a table of your own."""
    files: tuple[str, ...] = ()
    """Paths or patterns (`synthesis/*.jsonl`) below `root`; empty: the published tables of the source below it."""
    split: Split | None = None
    """Of all these files; else the name of each tells its split, and records bear their own."""
    columns: dict[str, Any] = {}
    """For `table`: the names of its columns (audio, captions, question, answer, choices, split, id), and the `source`
    and `licence` of its rows."""
    tasks: tuple[CaptionTask, ...] = ("caption",)
    """What is asked about captioned clips: `caption` (one question a caption), `pairs` (describe one or both of two
    clips), `match` (does a caption fit)."""
    captions_per_clip: dict[Split, int] = {}
    """At most so many captions of a clip, by split; the paper takes one in AudioCaps' val and five in its test."""
    clips: dict[Split, str] = {}
    """Files with a clip's name per line: of this source, only these clips are used."""
    blacklist: str | None = None
    """For `wavcaps`: its file of clips that benchmarks share."""
    encoding: str | None = None
    """Of the tables where it is not UTF-8."""
    subtype: str = ""
    """Under which name rows are counted that bear none (`Mine.json`)."""

    @model_validator(mode="after")
    def _known(self) -> SourceRecipe:
        if self.source not in (*sources(), RECORDS, TABLE):
            raise ValueError(f"the source {self.source!r} is unknown; use {', '.join((*sources(), RECORDS, TABLE))}")
        if self.source in (RECORDS, TABLE) and not self.files:
            raise ValueError(f"a source {self.source!r} needs files")
        if self.source == TABLE and not self.columns:
            raise ValueError("a table needs columns; name those that hold the audio and the captions or questions")
        if self.columns:
            self.table_columns()
        return self

    def table_columns(self) -> Columns:
        """The columns of a table; ValueError for one that is unknown."""
        values: dict[str, Any] = dict(self.columns)
        for name in ("audio", "captions", "choices"):
            if name in values:
                values[name] = (values[name],) if isinstance(values[name], str) else tuple(values[name])
        try:
            return Columns(**values)
        except (TypeError, DataError) as error:
            raise ValueError(f"the columns are wrong ({error})") from None


class DatasetRecipe(Strict):
    """Everything that a data set depends on, besides the tables and clips themselves."""

    title: str = "A data set of questions about audio"
    output: str
    """The directory that is made; relative to the working directory, like all paths but those of `files`."""
    root: str = "."
    """The folder with the tables, in any subfolders."""
    audio_root: str | None = None
    """The folder with the clips, in any subfolders; without it no clip is looked for."""
    absent_audio: Literal["count", "require", "keep"] = "keep"
    """Rows whose clip is not there: left out and counted, a reason to stop, or kept and counted."""
    absent_tables: Literal["report", "require"] = "require"
    """Whether a published table that is not there, or a pattern without files, is reported or a reason to stop."""
    measure_audio: bool = True
    """Read the length of each clip from its header."""
    hash_audio: bool = True
    """Compare clips across splits by their content, too, not by name only."""
    seed: int = 1
    sources: tuple[SourceRecipe, ...] = Field(min_length=1)
    subtypes: tuple[str, ...] = ()
    """Rows of Table 1 that are wanted (`CLE`, `ACD`, `ACD-3`, `Clotho-MCQ`); empty: all."""
    mixture: Mixture = "all"
    """Which types of synthetic pairs: `type1`, `type2`, `type3`, or `type4`, the three of them without a repeated
    question about the same clip; pairs without a type are not touched."""
    shares: dict[str, Share] = {}
    """The share of a row of Table 1 that is used, chosen by content and seed."""
    clips: dict[Split, str] = {}
    """Files with a clip's name per line: only these clips are used, whatever the source; with `mixture`, this compares
    sets of questions about the same clips. Each build writes its own lists as `clips_SPLIT.txt`."""
    crossing: Literal["keep", "leave_out"] = "keep"
    """Rows of train (or val) whose clip is in val or test (or test): kept and counted, as published, or left out."""
    filters: dict[str, Any] | None = None
    """Settings of the filters (`mellow.data.filters`); null: none are applied."""
    filtered_tasks: tuple[Task, ...] = ("mcq", "detail", "other")
    """Families that the filters look at; published tables made by people are left as they are."""
    allow_text_only: tuple[str, ...] = ()
    """Families (`entailment`) or rows (`CLE`) that may be answered from their text alone more than 5 points above
    chance; others are refused."""
    reasons: dict[str, dict[Split, str]] = {}
    """Why counts differ from Table 1, where you know more than the report: by row and split."""

    @field_validator("filters")
    @classmethod
    def _settings(cls, values: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            FilterSettings.from_mapping(values or {})
        except (DataError, TypeError) as error:
            raise ValueError(str(error)) from None
        return values

    @model_validator(mode="after")
    def _can_require(self) -> DatasetRecipe:
        if self.absent_audio != "keep" and self.audio_root is None:
            raise ValueError(f"absent_audio: {self.absent_audio} needs an audio_root")
        return self

    @property
    def filter_settings(self) -> FilterSettings | None:
        return None if self.filters is None else FilterSettings.from_mapping(self.filters)


def read_dataset_recipe(path: str | Path, **overrides: str | None) -> DatasetRecipe:
    """Read a recipe, with some of its top-level settings given anew; RecipeError names the file and the bad key."""
    recipe = read_yaml(path, DatasetRecipe)
    given = {name: value for name, value in overrides.items() if value is not None}
    return DatasetRecipe.model_validate({**recipe.model_dump(), **given}) if given else recipe
