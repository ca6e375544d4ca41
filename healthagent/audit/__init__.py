"""Holds a stack against the requirements document, sentence by sentence, with evidence.

``reading/`` gathers what files, images, the Engine and a running agent show, as the frozen records
of ``evidence.py``. ``table.py`` is the document: each row has pure judgements over that evidence.
``document.py`` and ``markdown.py`` write the result down.
"""
