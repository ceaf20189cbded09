"""The report: tables in three text formats and one page to look at."""

from paco_eval.report.build import Report, build_report

__all__ = ["Report", "build_report"]
