"""Whether anything healthy is ever called failed, on a machine that has no time to spare."""
