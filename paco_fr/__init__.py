"""The method: face records, crops, the PaCo-FR model, its rivals and the pretraining loop.

Importing this package is cheap on purpose: command-line help must not wait for torch.
"""

__version__ = "0.2.0"
