"""The judgements, a file for each part of the document: pure functions over evidence."""
