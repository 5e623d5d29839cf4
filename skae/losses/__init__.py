"""L: the comparison of a row and its reconstruction, penalties on the code, likelihoods.

Every loss gives one value per sample and is defined once.
"""

from skae.losses._penalties import Contractive, KLSparsity, L1Sparsity, LinearCode

__all__ = ["Contractive", "KLSparsity", "L1Sparsity", "LinearCode"]
