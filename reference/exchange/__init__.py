"""The catalogue as files that a program in any language can read, and the judge of the results that it writes."""
