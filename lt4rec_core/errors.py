"""Every error that lt4rec raises on purpose.

    Lt4recError
    ├── ConfigError         a setting, a TOML file or a catalogue says something impossible
    ├── SourceError         the files of a source are missing, unreadable or not as declared
    │   └── SourceChangedError  a file changed while it was read
    ├── SqlFileError        a .sql file's header and its statement do not fit
    ├── LakeError           a table cannot be read, staged or published
    │   ├── LakeConflictError  other writers of the same day were faster each time
    │   ├── StoreError         an object store is away, refuses, or lacks what a home needs
    │   └── QueryError      an analyst's query is not one SELECT over the views there are
    ├── QualityError        a gate refused a partition
    ├── MaskError           a mask does not fit the network, or would empty a layer
    ├── TrainingError       nothing to train on, or a loss that is not finite
    ├── ModelStoreError     a model is missing, damaged or belongs to another chain
    │   └── MissingParentError   yesterday's model is not there
    └── ServingError        a ranker is asked what it cannot answer

Each message has three beats: what is wrong, what was found, where to look.
"""


class Lt4recError(Exception):
    """The root: whatever lt4rec refuses to do, it refuses with a subclass of this."""


class ConfigError(Lt4recError):
    """A setting, a TOML file or a feature catalogue says something impossible."""


class SourceError(Lt4recError):
    """The files of a source are missing, unreadable or not as declared."""


class SourceChangedError(SourceError):
    """A file of the source changed while it was read; later it may be complete."""


class SqlFileError(Lt4recError):
    """A .sql file's header and its statement do not fit together."""


class LakeError(Lt4recError):
    """A table cannot be read, staged or published."""


class LakeConflictError(LakeError):
    """Other writers of the same day were faster each time; later it may work."""


class StoreError(LakeError, OSError):
    """An object store cannot be reached, refuses, or lacks what a home needs.

    An OSError as well: whoever says what a disk refused says it of a bucket too.
    """


class QueryError(LakeError):
    """An analyst's query is not one SELECT over the views there are."""


class QualityError(Lt4recError):
    """A gate refused to publish a partition."""


class MaskError(Lt4recError):
    """A mask does not fit the network it is applied to, or would empty a layer."""


class TrainingError(Lt4recError):
    """There is nothing to train on, or a loss stopped being finite."""


class ModelStoreError(Lt4recError):
    """A model or a ticket is missing, damaged or belongs to another chain."""


class MissingParentError(ModelStoreError):
    """Yesterday's model, which today's continues, is not there."""


class ServingError(Lt4recError):
    """A ranker is asked what it cannot answer: samples of another catalogue, an impossible request."""
