"""Monocular depth from an encoder's maps (Ray, Contrastive vs Classification Pre-Training for Monocular Depth Estimation)."""
