NAME = "late two"
