"""Which sounds are heard when: the event timeline of a clip."""

from mellow.events.timeline import Event, StepClock, Timeline, read_timeline

__all__ = ["Event", "StepClock", "Timeline", "read_timeline"]
