"""What the loop can train, by name: PaCo-FR and, in this folder, its rivals MAE, SimMIM, data2vec and nothing at all."""

from __future__ import annotations

from importlib import import_module

from paco_fr.config import PretrainConfig
from paco_fr.model.objective import Objective

OBJECTIVES = {
    "paco": "paco_fr.model.paco:PaCo",
    "mae": "paco_fr.baselines.mae:MAE",
    "simmim": "paco_fr.baselines.simmim:SimMIM",
    "data2vec": "paco_fr.baselines.data2vec:Data2Vec",
    "untrained": "paco_fr.baselines.untrained:Untrained",
}


def build_objective(config: PretrainConfig) -> Objective:
    """Return the untrained objective that a configuration names."""
    module, name = OBJECTIVES[config.objective].split(":")
    objective: Objective = getattr(import_module(module), name)(config)
    return objective
