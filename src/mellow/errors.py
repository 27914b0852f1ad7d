"""The exception tree. Every message is one sentence that names the bad thing and the way out.

MellowError(ValueError)
├── AudioError        a clip that cannot be heard: missing, empty, not audio, not finite, too long, bad rate
├── QuestionError     a question, option list or clip count that cannot be asked
├── ModelError        an unknown model, or a model directory with a missing, damaged or unfit part
│   └── KeyMapError   a checkpoint whose tensor names do not match the total key map
├── DataError         a manifest, label table or example file that does not hold what it should
└── RecipeError       a training recipe with an unknown or impossible setting
"""

__all__ = ["AudioError", "DataError", "EndpointError", "KeyMapError", "MellowError", "ModelError", "QuestionError"]
__all__ += ["RecipeError"]


class MellowError(ValueError):
    """Base of all errors that a user can cause and can mend."""


class AudioError(MellowError):
    """A clip that cannot be heard."""


class QuestionError(MellowError):
    """A question, its options or its number of clips cannot be asked."""


class ModelError(MellowError):
    """A model is unknown, or a part of it is missing, damaged or unfit."""


class KeyMapError(ModelError):
    """Tensor names of a checkpoint do not match the total key map."""


class DataError(MellowError):
    """A manifest, table or example file does not hold what it should."""


class EndpointError(MellowError):
    """A language model's server cannot be reached, refuses, or gives no answer."""


class RecipeError(MellowError):
    """A training recipe has an unknown or impossible setting."""
