"""The variational autoencoder: estimator, objective, posterior, prior."""

from skae.variational._transformer import VAETransformer

__all__ = ["VAETransformer"]
