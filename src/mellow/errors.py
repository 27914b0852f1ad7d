"""The exception tree. Every message is one sentence that names the bad value and the way out.

MellowError(ValueError)
├── AudioError        a clip that cannot be read: missing, empty, not audio, not finite, too long, bad rate
├── QuestionError     an invalid question, list of options or number of clips
├── ModelError        an unknown model, or a model directory with a missing, damaged or incompatible part
│   └── KeyMapError   a checkpoint whose tensor names do not match the total key map
├── DataError         a manifest, label table or file of examples with invalid content
├── EndpointError    a language model's server that cannot be reached, refuses, or gives no answer
└── RecipeError       a training recipe with an unknown or invalid setting
"""

__all__ = [
    "AudioError",
    "DataError",
    "EndpointError",
    "KeyMapError",
    "MellowError",
    "ModelError",
    "QuestionError",
    "RecipeError",
]


class MellowError(ValueError):
    """Base of all errors that a user can cause and can fix."""


class AudioError(MellowError):
    """A clip cannot be read."""


class QuestionError(MellowError):
    """A question, its options or the number of clips is invalid."""


class ModelError(MellowError):
    """A model is unknown, or a part of it is missing, damaged or incompatible."""


class KeyMapError(ModelError):
    """Tensor names of a checkpoint do not match the total key map."""


class DataError(MellowError):
    """A manifest, table or file of examples has invalid content."""


class EndpointError(MellowError):
    """A language model's server cannot be reached, refuses, or gives no answer."""


class RecipeError(MellowError):
    """A training recipe has an unknown or invalid setting."""
