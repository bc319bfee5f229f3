"""Finding what is wrong with the files of structures, and putting right what can be without losing data."""

from tinysync.doctor.compared import compare
from tinysync.doctor.examined import examine
from tinysync.doctor.finding import Finding, Patient

__all__ = ["Finding", "Patient", "compare", "examine"]
