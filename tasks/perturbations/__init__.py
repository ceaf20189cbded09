"""Perturbations in image space: what happens to a face's canvas crop before an encoder resizes it.

They act on uint8 canvases (S, S, 3) with the landmarks in canvas pixels. Each is a function of the picture, a
strength and random draws that depend on (name, version, seed, picture) and on nothing else: any number and
order of workers gives the same pictures. The level is left out of the draws on purpose: the five levels of
one picture show the same box growing and the same light turning, so that levels are paired.

:mod:`catalogue` says which there are, :func:`tasks.perturbations.apply.perturb` applies one. A picture
whose channels are equal everywhere stays grey.
"""
