"""Runs flows on the compute of an Azure Machine Learning workspace."""

from __future__ import annotations

from pytest_llmops.engines.azureml.engine import AzureMLEngine
from pytest_llmops.engines.azureml.submissions import Submissions, notes_in

__all__ = ["AzureMLEngine", "Submissions", "notes_in"]
