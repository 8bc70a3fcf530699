"""Atmospheres of anemoi-inference, AIFS among them, as hosts of aiLand: two models coupled by surface variables.

`mid_processor.LandProcessor` runs within ``anemoi-inference run``, after each step of the atmosphere; `task.LandTask`
is a task of its own of ``anemoi-inference couple``. Both are entry points of this package, under the name ``ailand``.
"""
