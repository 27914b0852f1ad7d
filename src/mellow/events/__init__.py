"""Which sounds occur when in a clip: the event timeline."""

from mellow.events.timeline import Event, StepClock, Timeline, read_timeline

__all__ = ["Event", "StepClock", "Timeline", "read_timeline"]
