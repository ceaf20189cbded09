"""The whole encoder is trained on a task; read ``train`` first."""
