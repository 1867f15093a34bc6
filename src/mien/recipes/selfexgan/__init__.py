"""SelfExGAN (Liu, thesis, 2018)."""
