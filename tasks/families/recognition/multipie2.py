"""Multi-PIE, setting 2: rank 1 by view, from 15 to 90 degrees, against one frontal picture a person."""

from tasks.readers.declared import multipie
from tasks.task import Task

TASK = Task(name="recognition/multipie2", version=2, **multipie(2))
