"""Functions of each element, or of the elements of an axis among themselves."""
