"""Multi-PIE, setting 1: rank 1 by view, from 15 to 90 degrees, against one frontal picture a person."""

from tasks.readers.declared import multipie
from tasks.task import Task

TASK = Task(name="recognition/multipie1", version=2, **multipie(1))
