"""aiLand as the land surface of ICON4Py (extra ``icon4py``, Python >= 3.12).

`process.couple` couples a `LandComponent` to an ICON4Py driver as one more physics process; `coupled_run` and the
command ``ailand-icon4py-run`` make a whole run. Nothing else in the package imports ICON4Py.
"""
